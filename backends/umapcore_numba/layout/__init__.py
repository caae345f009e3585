"""Layouts on the CPU."""
