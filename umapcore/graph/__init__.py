"""Graphs: one canonical CSR, its components, its vertices renumbered."""
