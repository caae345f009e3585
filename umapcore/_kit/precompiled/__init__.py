"""Kernels that are compiled when a wheel is built: making, finding and calling their code."""
