"""When edges of a real row fire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from style import BLUE, GREY, figure

from umapcore import OptimizerSpec
from umapcore.demo import load_cells
from umapcore.graph.csr import prepare_graph
from umapcore.layout.plan import build_plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_EPOCHS = 60


def draw() -> Figure:
    """One row of the demo's graph: an epoch a column, an edge a line."""
    graph = prepare_graph(load_cells().obsp["connectivities"])
    plan = build_plan(graph, OptimizerSpec(n_epochs=500))
    rows = zip(plan.row_offsets[:-1], plan.row_offsets[1:], strict=True)
    # A row whose weights are of all sizes.
    rates = max(
        (plan.rates[a:b] for a, b in rows if 11 <= b - a <= 15),
        key=lambda q: np.unique(q >> np.uint32(28)).size,
    )
    rates = np.sort(rates)
    t = np.arange(1, _EPOCHS, dtype=np.uint64)
    product = (t[:, None] * rates[None, :].astype(np.uint64)).astype(np.uint32)
    fires = product < rates

    drawn = figure(8.4, 2.7)
    ax = drawn.subplots()
    epoch, edge = np.nonzero(fires)
    ax.hlines(np.arange(rates.size), 1, _EPOCHS - 1, color=GREY, linewidth=0.5)
    ax.scatter(t[epoch], edge, s=14, color=BLUE, zorder=3)
    ax.set_yticks(range(rates.size), [f"{q / 2**32:.3f}" for q in rates], fontsize=7)
    ax.set(xlabel="epoch", ylabel="weight / largest", xlim=(0, _EPOCHS))
    ax.set_title(f"the {rates.size} edges of one cell of the demo: a dot where an edge fires",
                 fontsize=9)  # fmt: skip
    return drawn
