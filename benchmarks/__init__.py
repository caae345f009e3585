"""Measurements of umapcore beside other programs; not installed with the package."""
