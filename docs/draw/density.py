"""The demo's cells without and with their densities, coloured by these."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from style import bare, figure

import umapcore as uc
from umapcore.demo import load_cells
from umapcore.graph.csr import prepare_graph
from umapcore.layout.density import density_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw() -> Figure:
    """Lay out twice, for as many epochs."""
    cells = load_cells()
    dense = uc.OptimizerSpec(density_weight=2.0)
    n_epochs = dense.epochs_for(cells.n_obs)
    graph = prepare_graph(cells.obsp["connectivities"])
    radii = density_of(graph, cells.obsp["distances"], dense).radii
    drawn = figure(8.4, 3.3)
    axes = drawn.subplots(1, 2)
    # The sparsest cells last, where they can be seen. Colours go by rank: a few cells, mouse and
    # erythroid, lie far more densely than all others.
    order = np.argsort(radii, kind="stable")
    ranks = np.linspace(0.0, 1.0, cells.n_obs)
    for ax, weight in zip(axes, (0.0, 2.0), strict=True):
        uc.tl.umap(cells, density_weight=weight, maxiter=n_epochs)
        x, y = cells.obsm["X_umap"][order].T
        points = ax.scatter(x, y, s=1.5, c=ranks, cmap="viridis", linewidths=0)
        bare(ax, f"density_weight={weight:g}")
    bar = drawn.colorbar(points, ax=axes, shrink=0.7, ticks=[0, 1])
    bar.ax.set_yticklabels(["dense", "sparse"])
    bar.set_label("in the data, by rank")
    return drawn
