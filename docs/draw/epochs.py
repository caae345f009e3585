"""The demo's layout while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from style import bare, figure

import umapcore as uc
from umapcore.demo import load_cells
from umapcore.pl.palette import group_colors

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_SHOWN = (4, 10, 40, 150, 500)


def draw() -> Figure:
    """From the spectral start to the last epoch."""
    cells = load_cells()
    types = cells.obs["cell_type"]
    palette = group_colors(len(types.cat.categories))
    colours = [palette[code] for code in types.cat.codes]
    graph = cells.obsp["connectivities"]
    seen = {0: uc.simplicial_set_embedding(graph, uc.OptimizerSpec(n_epochs=0))}

    def look(epoch: int, positions: NDArray[np.float32]) -> None:
        if epoch in _SHOWN:
            seen[epoch] = positions

    uc.simplicial_set_embedding(graph, callback=look, progress=False)
    drawn = figure(8.4, 5.2)
    for ax, (epoch, positions) in zip(drawn.subplots(2, 3).flat, seen.items(), strict=True):
        ax.scatter(*positions.T, s=1.2, c=colours, linewidths=0)
        bare(ax, "the start" if epoch == 0 else f"after {epoch} epochs")
    return drawn
