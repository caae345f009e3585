"""Speed of the GPU backend, measured on a GPU: ``python -m benchmarks.gpu``."""
