"""Benchmarks of the search for neighbours and of their weights.

``.search``: seconds, memory and recall beside other programs. ``.growth``: seconds against the
number of points. ``.end_to_end``: from coordinates to the embedding. ``.layouts``: layouts from
approximate neighbours against layouts from exact ones. ``.weights``: UMAP's weights alone.
"""
