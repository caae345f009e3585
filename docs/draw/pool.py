"""The pool of negative samples of one bucket in one epoch, and who reads which of its entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from style import GREY, ORANGE, bare, figure

import umapcore as uc
from tests.support import oracle
from umapcore.demo import load_cells
from umapcore.graph.csr import prepare_graph
from umapcore.layout.plan import build_plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_EPOCH, _BUCKET = 100, 0


def draw() -> Figure:
    """Left: the pool among all cells. Right: reads of the first two fires, heads by rank."""
    graph = prepare_graph(load_cells().obsp["connectivities"])
    spec = uc.OptimizerSpec(n_epochs=500)
    plan = build_plan(graph, spec)
    layout = uc.simplicial_set_embedding(graph, spec, stop_epoch=_EPOCH, progress=False)
    key = oracle.mix64(oracle.mix64(spec.seed) ^ (_EPOCH << 32 | _BUCKET))
    hashes = [oracle.mix64((key + e) & oracle.MASK) for e in range(plan.pool_size // 2)]
    words = [h >> 32 for h in hashes] + [h & 0xFFFFFFFF for h in hashes]
    members = [word * plan.n_vertices >> 32 for word in words]

    last = int(plan.first_walkers[plan.bucket_offsets[_BUCKET + 1]])
    turns = oracle.turns(plan, 0, last, _EPOCH)
    ranks = np.sort(np.array(list(turns.values())))
    sample_key = oracle.mix64(key ^ oracle.MASK)

    drawn = figure(8.4, 3.3)
    left, right = drawn.subplots(1, 2, width_ratios=(1, 1.2))
    left.scatter(*layout.T, s=0.6, color=GREY, linewidths=0)
    left.scatter(*layout[plan.order[members]].T, s=3, color=ORANGE, linewidths=0)
    bare(
        left,
        f"one bucket's pool in epoch {_EPOCH}: {plan.pool_size:,} of {len(layout):,} cells",
    )
    for fire, colour in enumerate((ORANGE, "#0072b2")):
        word = oracle.mix64((sample_key + fire) & oracle.MASK)
        for r in range(spec.negative_sample_rate):
            entries = (ranks + (word >> (12 * r)) % plan.pool_size) % plan.pool_size
            right.plot(ranks, entries, ",", color=colour, zorder=2)
        right.plot([], [], color=colour, label=f"fire {fire + 1}")
    right.set(xlabel="rank of the head in its bucket", ylabel="entry of the pool")
    right.set_xlim(0, ranks.max())
    right.set_ylim(0, plan.pool_size)
    right.legend(loc="upper right", frameon=True)
    right.set_title("entries that the heads read: neighbours read neighbours", fontsize=9)
    return drawn
