"""Benchmarks of umapcore against other programs; not installed with the package."""
