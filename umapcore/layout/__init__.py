"""Layouts: specification, curve, plan and densities, and the functions that run a layout."""
