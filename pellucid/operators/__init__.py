"""Every operator, one file a family. ``pointwise.py`` and ``gather`` in ``indexing.py`` show the two usual shapes."""
