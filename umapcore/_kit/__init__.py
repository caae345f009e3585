"""Shared tools: compilation of kernels, random numbers, threads, checks."""
