"""The common floor: how kernels are compiled, random numbers, threads, checks."""
