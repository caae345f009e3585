"""Placement of new points in an embedding, on the CPU."""
