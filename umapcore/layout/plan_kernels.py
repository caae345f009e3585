"""Kernels that build an edge plan; each call processes a range of a graph's rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.jit import kernel
from umapcore.layout.constants import N_BUCKETS, N_PHASES


@kernel()
def part_neighbours(
    first: Any,
    last: Any,
    phase: Any,
    graph: Any,
    hashed: Any,
    buckets: Any,
) -> None:
    """Choose the buckets of one phase's vertices among `first` … `last` - 1.

    A vertex takes the bucket in which its neighbours of earlier phases have the least weight. In
    a tie it takes the first such bucket, counted from its own hash. `first` is a multiple of
    `N_PHASES`.
    """
    weight = np.empty(N_BUCKETS, np.float64)
    for vertex in range(first + phase, last, N_PHASES):
        weight[:] = 0.0
        for e in range(graph.indptr[vertex], graph.indptr[vertex + 1]):
            tail = graph.indices[e]
            if tail & (N_PHASES - 1) < phase:
                weight[buckets[tail]] += graph.weights[e]
        own = np.int64(hashed[vertex])
        best = own
        for i in range(1, N_BUCKETS):
            bucket = (own + i) & (N_BUCKETS - 1)
            if weight[bucket] < weight[best]:
                best = bucket
        buckets[vertex] = best


@kernel()
def count_rows(
    first: Any,
    last: Any,
    graph: Any,
    heaviest: Any,
    least: Any,
    degrees: Any,
    fires: Any,
) -> None:
    """Count the edges of each row that are kept, and their fires per epoch."""
    for vertex in range(first, last):
        kept = 0
        total = 0.0
        for e in range(graph.indptr[vertex], graph.indptr[vertex + 1]):
            weight = np.float64(graph.weights[e]) / heaviest
            if weight >= least:
                kept += 1
                total += weight
        degrees[vertex] = kept
        fires[vertex] = total


@kernel()
def fill_rows(
    first: Any,
    last: Any,
    window: Any,
    graph: Any,
    heaviest: Any,
    least: Any,
    layout: Any,
    tails: Any,
    rates: Any,
) -> int:
    """Write the edges of those rows whose places are in a window.

    `window` holds the window's first place and its end; `tails` and `rates` begin with the edges of
    the first. `layout` holds the places, buckets, first walkers and row offsets.

    Returns
    -------
    The largest number of edges from one vertex into one bucket. The graph is symmetric, so no
    bucket has more edges into one vertex.
    """
    places, buckets, first_walkers, row_offsets = layout
    low, high = window
    base = row_offsets[first_walkers[low]]
    per_bucket = np.zeros(N_BUCKETS, np.int64)
    crowd = 0
    for vertex in range(first, last):
        place = places[vertex]
        if place < low or place >= high:
            continue
        per_bucket[:] = 0
        walker = first_walkers[place]
        n_walkers = first_walkers[place + 1] - walker
        dealt = 0
        for e in range(graph.indptr[vertex], graph.indptr[vertex + 1]):
            weight = np.float64(graph.weights[e]) / heaviest
            if weight >= least:
                tail = graph.indices[e]
                out = row_offsets[walker + dealt % n_walkers] + dealt // n_walkers - base
                tails[out] = places[tail]
                rates[out] = np.uint32(min(int(weight * 4294967296.0), 4294967295))
                dealt += 1
                bucket = buckets[tail]
                per_bucket[bucket] += 1
                crowd = max(crowd, per_bucket[bucket])
    return crowd
