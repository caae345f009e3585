"""A head's walk through its row in one epoch, step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from sheet import EPOCH, SPEC, sheet
from style import BLUE, GREEN, GREY, ORANGE, bare, figure

from tests.support import oracle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from umapcore.layout.plan import EdgePlan

f32 = np.float32


@dataclass
class Walk:
    """Where a head stood after each step, and what it met."""

    stations: list[NDArray[np.float32]]
    pulled: list[bool]
    tails: list[int]
    samples: list[int]


def draw() -> Figure:
    """Left: the whole sheet. Right: the walk."""
    run = sheet()
    # The first bucket alone: its heads see everything as it stands when the epoch begins.
    first = replace(run.plan, bucket_offsets=run.plan.bucket_offsets[:2])
    head = _busiest(first)
    with np.errstate(over="ignore"):
        walk = follow(first, run.positions, head)
        moved = oracle.epoch(first, SPEC, run.positions, EPOCH)
    assert walk.stations[-1].tobytes() == moved[head].tobytes(), "not the walk of the run"

    drawn = figure(8.4, 3.9)
    left, right = drawn.subplots(1, 2, width_ratios=(1, 1.25))
    for ax in (left, right):
        ax.scatter(*run.positions.T, s=4, color=GREY, zorder=1)
        names = ("tails", "negative samples") if ax is left else ("", "")
        ax.scatter(*run.positions[walk.tails].T, s=26, color=BLUE, label=names[0], zorder=3)
        samples = run.positions[walk.samples]
        ax.scatter(*samples.T, s=13, color=ORANGE, label=names[1], zorder=2)
    left.scatter(*walk.stations[0], s=40, color="black", marker="x", label="the head", zorder=4)
    left.legend(**_BELOW)
    bare(left, f"epoch {EPOCH}: a head, its firing edges, its samples")
    _steps(right, walk)
    return drawn


_BELOW = {
    "loc": "upper center", "bbox_to_anchor": (0.5, -0.01), "ncols": 4, "fontsize": 8,
    "handletextpad": 0.3, "columnspacing": 1.0,
}  # fmt: skip


def _steps(ax: Axes, walk: Walk) -> None:
    stations = np.array(walk.stations)
    for begin, end, pulled in zip(stations[:-1], stations[1:], walk.pulled, strict=True):
        ax.annotate(
            "", end, begin,
            arrowprops={"arrowstyle": "-|>", "color": BLUE if pulled else ORANGE,
                        "shrinkA": 0, "shrinkB": 0, "linewidth": 1.5},
        )  # fmt: skip
    ax.plot([], [], color=BLUE, label="attraction")
    ax.plot([], [], color=ORANGE, label=f"{SPEC.negative_sample_rate} repulsions")
    ax.scatter(*stations[0], s=40, color="black", marker="x", zorder=5)
    ax.scatter(*stations[-1], s=45, color=GREEN, zorder=5, label="where it ends")
    bare(ax, "its walk: every step begins where the last one ended")
    low, high = stations.min(axis=0), stations.max(axis=0)
    middle, reach = (low + high) / 2, 0.8 * float((high - low).max())
    ax.set_aspect("equal", adjustable="box")
    ax.set_xlim(middle[0] - reach, middle[0] + reach)
    ax.set_ylim(middle[1] - reach, middle[1] + reach)
    ax.legend(**_BELOW)


def _busiest(plan: EdgePlan) -> int:
    """Choose the head with the most fires among those that nothing in its bucket pulls at."""
    last = int(plan.bucket_offsets[1])
    edges = range(int(plan.row_offsets[plan.first_walkers[last]]))
    pulled = {int(plan.tails[e]) for e in edges}
    return max(set(range(last)) - pulled, key=lambda head: len(_firing(plan, head)))


def _firing(plan: EdgePlan, head: int) -> list[int]:
    walker = int(plan.first_walkers[head])
    edges = range(int(plan.row_offsets[walker]), int(plan.row_offsets[walker + 1]))
    return [e for e in edges if EPOCH * int(plan.rates[e]) % 2**32 < int(plan.rates[e])]


def follow(plan: EdgePlan, frozen: NDArray[np.float32], head: int) -> Walk:
    """Walk a head of the first bucket as the oracle does, writing down every station."""
    alpha = f32(SPEC.alpha * (1 - EPOCH / plan.n_epochs))
    b, gamma = f32(SPEC.curve()[1]), f32(SPEC.gamma)
    key = oracle.mix64(oracle.mix64(SPEC.seed) ^ (EPOCH << 32))
    hashes = [oracle.mix64((key + e) & oracle.MASK) for e in range(plan.pool_size // 2)]
    words = [h >> 32 for h in hashes] + [h & 0xFFFFFFFF for h in hashes]
    pool = [word * plan.n_vertices >> 32 for word in words]
    sample_key = oracle.mix64(key ^ oracle.MASK)
    walker = int(plan.first_walkers[head])
    last = int(plan.first_walkers[plan.bucket_offsets[1]])
    turn = oracle.turns(plan, 0, last, EPOCH)[walker]

    y = frozen[head].copy()
    walk = Walk([y.copy()], [], [], [])
    for fire, e in enumerate(_firing(plan, head)):
        tail = int(plan.tails[e])
        d2 = oracle.squared_distance(y, frozen[tail])
        p = oracle.curve_power(d2, SPEC)
        slope = p * oracle.reciprocal(max(d2, f32(1e-30)) * (f32(1) + p))
        y += oracle.clipped(f32(-2) * b * alpha * slope * (y - frozen[tail]), f32(4) * alpha)
        walk.stations.append(y.copy())
        walk.tails.append(tail)
        stand, word = y.copy(), oracle.mix64((sample_key + fire) & oracle.MASK)
        for r in range(SPEC.negative_sample_rate):
            k = pool[(turn + (word >> (12 * r))) % plan.pool_size]
            walk.samples.append(k)
            if k == head:
                continue
            d2 = oracle.squared_distance(stand, frozen[k])
            p = oracle.curve_power(d2, SPEC)
            push = oracle.reciprocal((f32(0.001) + d2) * (f32(1) + p))
            push = f32(2) * gamma * b * alpha * push
            y += oracle.clipped(push * (stand - frozen[k]), f32(4) * alpha)
        walk.stations.append(y.copy())
        walk.pulled += [True, False]
    return walk
