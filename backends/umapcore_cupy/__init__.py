"""The GPU backend of umapcore: CUDA kernels of its own, launched through CuPy."""
