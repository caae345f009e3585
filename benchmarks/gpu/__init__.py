"""Benchmark of the GPU backend, run on a GPU: ``python -m benchmarks.gpu``."""
