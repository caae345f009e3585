"""Buckets of heads, and why neighbours should be in different ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.collections import LineCollection
from sheet import sheet
from style import BLUE, GREY, ORANGE, bare, figure

from umapcore._kit.rng import mix64
from umapcore.layout.constants import N_BUCKETS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw() -> Figure:
    """Left: all buckets. Middle: one that moves. Right: edges within a bucket."""
    run = sheet()
    plan, points = run.plan, run.final
    n = plan.n_vertices
    bucket = np.searchsorted(plan.bucket_offsets, np.arange(n), side="right") - 1
    heads = np.repeat(plan.heads, np.diff(plan.row_offsets))
    tails = plan.tails

    drawn = figure(8.4, 3.1)
    left, middle, right = drawn.subplots(1, 3, width_ratios=(3, 3, 1.5))
    colours = mpl.colormaps["tab20"](np.arange(N_BUCKETS) % 20)
    left.scatter(*points.T, s=11, c=colours[bucket])
    bare(left, f"{n} points in {N_BUCKETS} buckets")

    moving = 3
    out = bucket[heads] == moving
    lines = np.stack([points[heads[out]], points[tails[out]]], axis=1)
    middle.add_collection(LineCollection(lines, colors=GREY, linewidths=0.6))
    middle.scatter(*points[bucket != moving].T, s=3, color=GREY)
    middle.scatter(*points[bucket == moving].T, s=16, color=BLUE, zorder=3)
    bare(middle, "one bucket moves; all else stands still")

    hashed = (mix64(plan.order.astype(np.uint64)) % np.uint64(N_BUCKETS)).astype(np.int64)
    shares = [100 * np.mean(which[heads] == which[tails]) for which in (hashed, bucket)]
    right.bar(["hash\nalone", "parted"], shares, color=[ORANGE, BLUE], width=0.6)
    for place, share in enumerate(shares):
        right.text(place, share, f"{share:.1f} %", ha="center", va="bottom", fontsize=8)
    right.set_title("edges within a bucket", fontsize=9)
    right.set_yticks([])
    right.spines["left"].set_visible(False)
    return drawn
