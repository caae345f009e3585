"""Shards of a plan: parts of one layout that run at the same time, in different places.

In every bucket each shard walks some of the walkers, in whole groups, because the place of a walker
in its group decides its negative samples. A shard has the edges of its walkers alone, which are
most of a plan. Heads read positions that do not change before the bucket ends, and pulls are sums
of integers. So when the shards have added up their pulls and exchanged positions, each has the bits
that one device would have.

Each shard also moves a part of the vertices, which is the same range of places in all buckets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from umapcore.layout.plan import group_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from umapcore.layout.plan import EdgePlan

#: The parts of an array, as pairs of a first index and the one after the last, by shard.
Ranges = list[list[tuple[int, int]]]

#: Time of an edge that fires, where that of looking whether it fires is 1 (measured with 5 negative
#: samples).
_FIRE = 4.0
#: Shards that share memory write to different cache lines if they begin at multiples of this.
_PLACES = 64


@dataclass(frozen=True)
class Shard:
    """A part of a layout.

    Attributes
    ----------
    number
        Number of the shard, from 0.
    plan
        The plan with the edges of this shard's walkers. All other arrays are whole.
    walkers
        int64, (buckets, shards + 1): in a bucket, shard k has the walkers from ``walkers[b, k]`` to
        ``walkers[b, k + 1] - 1``.
    places
        int64, (shards + 1,): shard k moves the vertices from ``places[k]`` to
        ``places[k + 1] - 1``, in the order of the plan.
    """

    number: int
    plan: EdgePlan
    walkers: NDArray[np.int64]
    places: NDArray[np.int64]

    @property
    def n_shards(self) -> int:
        """Number of shards of the layout."""
        return len(self.places) - 1

    def moved(self, per_place: int) -> Ranges:
        """Return which part of an array of vertices each shard writes when it moves them."""
        ends = (self.places * per_place).tolist()
        return [[(ends[k], ends[k + 1])] for k in range(self.n_shards)]

    def walked(self, bucket: int, per_place: int) -> Ranges:
        """Return which part of an array of vertices each shard writes when it walks a bucket.

        Two shards that walk for the same head have it both, and write the same.
        """
        heads, ranges = self.plan.heads, []
        for k in range(self.n_shards):
            first, last = self.walkers[bucket, k : k + 2]
            some = first < last
            ranges.append(
                [(int(heads[first]) * per_place, (int(heads[last - 1]) + 1) * per_place)]
                if some
                else []
            )
        return ranges

    def measured(self, per_walker: int) -> Ranges:
        """Return which parts of an array of walkers each shard writes."""
        ends = self.walkers * per_walker
        return [
            [(int(bucket[k]), int(bucket[k + 1])) for bucket in ends] for k in range(self.n_shards)
        ]


def cut(plan: EdgePlan, shares: Sequence[float]) -> Iterator[Shard]:
    """Divide a plan into shards, and make one at a time.

    Parameters
    ----------
    plan
        A whole plan.
    shares
        The part of the work that each shard should get, above 0; they need not add up to 1. Groups
        are not divided, so some shards of a small graph have nothing to walk.
    """
    ends = np.cumsum(shares) / np.sum(shares)
    ends[-1] = 1.0
    walkers = _borders(plan, ends)
    n = plan.n_vertices
    places = np.minimum(n, np.rint(np.append(0.0, ends) * n / _PLACES).astype(np.int64) * _PLACES)
    places[-1] = n
    for k in range(len(shares)):
        part = _part(plan, walkers[:, k : k + 2], places[k : k + 2])
        yield Shard(k, part, walkers, places)


def _borders(plan: EdgePlan, ends: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the walkers at which the shards' parts of each bucket begin, and the bucket's end.

    `ends` are the parts of the work that the first shard, the first two, … should have.
    """
    found = np.empty((plan.n_buckets, ends.shape[0] + 1), np.int64)
    total, given = 0.0, np.zeros(ends.shape[0])
    for bucket in range(plan.n_buckets):
        start, end = plan.first_walkers[plan.bucket_offsets[bucket : bucket + 2]]
        size = max(1, group_size(int(end - start)))
        borders = np.append(np.arange(start, end, size), end)
        edges = plan.row_offsets[borders]
        work = (edges - edges[0]).astype(np.float64)
        for k in range(borders.shape[0] - 1):
            fires = plan.rates[edges[k] : edges[k + 1]].sum(dtype=np.float64) / 2.0**32
            work[k + 1 :] += _FIRE * fires
        total += work[-1]
        # What a shard had too little of in one bucket, it gets in the next.
        wanted = np.maximum.accumulate(ends * total - given)
        chosen = np.searchsorted((work[1:] + work[:-1]) / 2, wanted)
        chosen[-1] = borders.shape[0] - 1
        given += work[chosen]
        found[bucket] = np.append(start, borders[chosen])
    return found


def _part(
    plan: EdgePlan, own_walkers: NDArray[np.int64], own_places: NDArray[np.int64]
) -> EdgePlan:
    """Return a plan that has the edges of some of the walkers alone."""
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
        own_places=np.ascontiguousarray(own_places),
    )
