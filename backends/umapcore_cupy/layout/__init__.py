"""Layouts on the GPU."""
