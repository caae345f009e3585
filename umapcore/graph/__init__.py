"""Graphs: the canonical CSR, connected components, renumbering of vertices."""
