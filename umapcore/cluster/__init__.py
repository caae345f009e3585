"""Layouts on several workers."""
