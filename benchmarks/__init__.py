"""Speed of Pellucid beside PyTorch: `python -m benchmarks.run`, or `make bench`."""
