"""Shards of a plan: parts of a layout that run at the same time, on several devices or machines.

In every bucket each shard walks some of the walkers, in whole groups, because the place of a walker
in its group decides its negative samples. It has the edges of these walkers alone, which are most
of a plan. Heads read positions that do not change until the bucket ends, and pulls are sums of
integers. So once the shards have added up their pulls and exchanged positions, every shard has the
bits that one device would have.

A shard moves a range of places, which is the same in all buckets.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from umapcore.layout.plan import group_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore.layout.plan import EdgePlan


def cut(plan: EdgePlan, shares: list[float]) -> list[EdgePlan]:
    """Divide a plan into shards.

    Parameters
    ----------
    plan
        A whole plan.
    shares
        The part of the work that each shard should get; they need not add up to 1. In every bucket
        a shard gets whole groups, so small graphs are divided unevenly.

    Returns
    -------
    A plan for each shard. They share all arrays with `plan` but the edges and their offsets.
    """
    ends = np.cumsum(shares) / np.sum(shares)
    ends[-1] = 1.0
    borders = np.stack([_borders(plan, bucket, ends) for bucket in range(plan.n_buckets)])
    places = [0, *(int(end * plan.n_vertices) for end in ends)]
    return [
        _shard(plan, borders[:, k : k + 2], np.array(places[k : k + 2])) for k in range(len(shares))
    ]


def ranges_of(shards: list[EdgePlan], bucket: int) -> tuple[list[tuple[int, int]], ...]:
    """TODO"""


def _borders(plan: EdgePlan, bucket: int, ends: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the walkers at which the shards' parts of a bucket begin, and its end."""
    start, end = plan.first_walkers[plan.bucket_offsets[bucket : bucket + 2]]
    size = max(1, group_size(int(end - start)))
    groups = np.append(np.arange(start, end, size), end)
    # A walker takes time too, if less than an edge that fires. The fires would be a better measure
    # than the edges, but walkers with many of both come first in any case.
    work = plan.row_offsets[groups] + groups
    nearest = np.searchsorted(work, work[0] + ends * (work[-1] - work[0]))
    return np.concatenate([[start], groups[np.minimum(nearest, groups.shape[0] - 1)]])


def _shard(
    plan: EdgePlan, own_walkers: NDArray[np.int64], own_places: NDArray[np.int64]
) -> EdgePlan:
    """Return the part of a plan that has some of its walkers."""
    counts = np.zeros(plan.heads.shape[0], np.int64)
    edges = []
    for first, last in own_walkers:
        counts[first:last] = np.diff(plan.row_offsets[first : last + 1])
        edges.append(slice(plan.row_offsets[first], plan.row_offsets[last]))
    row_offsets = np.zeros_like(plan.row_offsets)
    np.cumsum(counts, out=row_offsets[1:])
    return replace(
        plan,
        row_offsets=row_offsets,
        tails=np.concatenate([plan.tails[part] for part in edges]),
        rates=np.concatenate([plan.rates[part] for part in edges]),
        own_walkers=np.ascontiguousarray(own_walkers),
        own_places=own_places,
    )
