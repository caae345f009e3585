"""The CPU backend of umapcore, in numba."""
