"""From a formula to machine code: ``schedule`` orders the loops, ``emit`` writes expressions, ``cpu`` and ``ptx``
write the loops of one target each."""
