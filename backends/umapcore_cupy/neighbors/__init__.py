"""Nearest neighbours on the GPU."""
