"""The edge plan: what an optimiser needs to know about a graph; built once, for all backends.

Vertices are renumbered so that each bucket of heads is one contiguous range (the *plan order*).
Backends store tails and positions in that order. An edge costs 8 bytes: its tail and its firing
rate. The plan does not change while a layout runs.

A hash of a vertex's number and its neighbours decide its bucket: neighbours should be in
different buckets.

The edges of a head's row are processed one after the other. For a hub with thousands of edges
that is one long serial chain, which no device can speed up. Rows of more than ``LONGEST_WALK``
edges are therefore split among several *walkers*, which start together; the hub moves by the mean
of their moves (averaged parallel SGD: Zinkevich, Weimer, Li and Smola, NIPS 2010). All other
heads have one walker.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.arrays import csr_arrays
from umapcore._kit.parallel import for_rows
from umapcore._kit.rng import mix64
from umapcore._kit.scratch import Sink, scratch_of, windows
from umapcore.layout.constants import (
    CLIP,
    GROUP,
    GROUP_STEP,
    LONGEST_MOVE,
    LONGEST_WALK,
    MAX_POOL,
    MIN_POOL,
    N_BUCKETS,
    N_PHASES,
)
from umapcore.layout.plan_kernels import count_rows, fill_rows, part_neighbours

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from umapcore.layout.spec import OptimizerSpec

#: With at most this many epochs, edges are pruned as for the default number (as in umap-learn).
FEW_EPOCHS = 10


@dataclass(frozen=True)
class EdgePlan:
    """A graph that is pruned and scheduled for a number of epochs.

    Attributes
    ----------
    n_epochs
        Number of epochs E. Edges fire in epochs 1 … E - 1.
    order
        int32, (n,): vertex at each place of the plan order.
    bucket_offsets
        int64, (buckets + 1,): bucket b holds the places from ``bucket_offsets[b]`` to
        ``bucket_offsets[b + 1] - 1``.
    first_walkers
        int64, (n + 1,): the head at place p has the walkers from ``first_walkers[p]`` to
        ``first_walkers[p + 1] - 1``.
    heads
        int32, (walkers,): place of each walker's head.
    row_offsets
        int64, (walkers + 1,): walker w has the edges from ``row_offsets[w]`` to
        ``row_offsets[w + 1] - 1``.
    tails
        int32, (edges,): place of each edge's tail.
    rates
        uint32, (edges,): firing rate q, the weight divided by the largest weight, times 2**32.
        An edge fires in epoch t when ``uint32(t * q) < q``.
    pull_exponent
        Pulls on tails are summed as int32 in units of ``2**-pull_exponent``. The sums cannot
        overflow: the exponent follows from the largest number of edges that any bucket has into
        any vertex.
    pool_size
        Number of vertices in the pool of negative samples, a power of two.
    own_walkers
        int64, (buckets, 2): the first walker that is walked here in each bucket, and the one after
        the last. These are all walkers, unless the plan is a shard
        (:func:`umapcore.layout.shards.cut`).
    own_places
        int64, (2,): likewise the places whose vertices are moved here.
    """

    n_epochs: int
    order: NDArray[np.int32]
    bucket_offsets: NDArray[np.int64]
    first_walkers: NDArray[np.int64]
    heads: NDArray[np.int32]
    row_offsets: NDArray[np.int64]
    tails: NDArray[np.int32]
    rates: NDArray[np.uint32]
    pull_exponent: int
    pool_size: int
    own_walkers: NDArray[np.int64]
    own_places: NDArray[np.int64]

    @property
    def n_vertices(self) -> int:
        """Number of vertices."""
        return self.order.shape[0]

    @property
    def n_buckets(self) -> int:
        """Number of buckets."""
        return self.bucket_offsets.shape[0] - 1

    @property
    def n_edges(self) -> int:
        """Number of directed edges that are kept."""
        return self.tails.shape[0]


def build_plan(
    graph: csr_array[np.float32], spec: OptimizerSpec, *, n_threads: int | None = None
) -> EdgePlan:
    """Prune, schedule and bucket a graph.

    Parameters
    ----------
    graph
        Symmetric, canonical CSR, n × n, with finite and positive weights, as
        :func:`umapcore.graph.csr.prepare_graph` returns it. It is only read. If it is in a scratch
        file, tails and rates are written there too: the rows are read in their order, once for
        each window of the plan.
    spec
        The plan depends on its number of epochs, its step size, and whether it preserves
        densities.
    n_threads
        Number of threads; the plan does not depend on it.
    """
    n = graph.shape[0]
    n_epochs = spec.epochs_for(n)
    heaviest = float(graph.data.max()) if graph.nnz else 1.0
    least = least_weight(spec, n)
    source = (csr_arrays(graph), heaviest, least)
    degrees = np.empty(n, np.int64)
    fires = np.empty(n, np.float64)
    for_rows(n, n_threads, lambda a, b: count_rows(a, b, *source, degrees, fires))

    buckets = _buckets(graph, n_threads)
    n_walkers = np.maximum(1, -(-degrees // LONGEST_WALK))
    order = _order(buckets, fires / n_walkers)
    places = np.empty(n, np.int32)
    places[order] = np.arange(n, dtype=np.int32)
    bucket_offsets = np.zeros(N_BUCKETS + 1, np.int64)
    np.cumsum(np.bincount(buckets, minlength=N_BUCKETS), out=bucket_offsets[1:])
    first_walkers, heads, row_offsets = _deal_out(degrees[order], n_walkers[order])
    bounds = first_walkers[bucket_offsets]
    scratch = scratch_of(graph.indices)
    tails, rates = Sink(scratch, np.int32), Sink(scratch, np.uint32)
    layout = (places, buckets, first_walkers, row_offsets)
    crowd = 0
    for low, high in windows(row_offsets[first_walkers], scratch):
        count = int(row_offsets[first_walkers[high]] - row_offsets[first_walkers[low]])
        part = ((low, high), np.empty(count, np.int32), np.empty(count, np.uint32))

        def fill(a: int, b: int, window: Any = part[0], part: Any = part[1:]) -> Any:
            return fill_rows(a, b, window, *source, layout, *part)

        crowd = max([crowd, *for_rows(n, n_threads, fill)])
        tails.append(part[1])
        rates.append(part[2])
    return EdgePlan(
        n_epochs=n_epochs,
        order=order,
        bucket_offsets=bucket_offsets,
        first_walkers=first_walkers,
        heads=heads,
        row_offsets=row_offsets,
        tails=tails.array(),
        rates=rates.array(),
        pull_exponent=pull_exponent(crowd, longest_step(spec)),
        pool_size=pool_size(n),
        own_walkers=np.stack([bounds[:-1], bounds[1:]], axis=1),
        own_places=np.array([0, n]),
    )


def least_weight(spec: OptimizerSpec, n_vertices: int) -> float:
    """Return the smallest relative weight of an edge that is kept, as in umap-learn."""
    n_epochs = spec.epochs_for(n_vertices)
    return 1.0 / (
        n_epochs if n_epochs > FEW_EPOCHS else spec.replace(n_epochs=None).epochs_for(n_vertices)
    )


def _buckets(graph: csr_array[np.float32], n_threads: int | None) -> NDArray[np.uint8]:
    """Assign the vertices to buckets so that neighbours are seldom in the same bucket.

    Neighbours that move at the same time use each other's old positions, and overshoot. On
    noise-free moons (min_dist 0.1) the neighbour recall was 0.780 with buckets by hash alone,
    0.792 with these buckets, and 0.793 in umap-learn. This is a greedy colouring in phases: a
    phase sees the choices of the phases before it. It is as good as a colouring of one vertex
    after the other, and it is parallel.
    """
    n = graph.shape[0]
    hashed = (mix64(np.arange(n, dtype=np.uint64)) % np.uint64(N_BUCKETS)).astype(np.uint8)
    buckets = np.empty_like(hashed)
    rows = csr_arrays(graph)
    for phase in range(N_PHASES):

        def choose(a: int, b: int, phase: int = phase) -> None:
            part_neighbours(a, b, phase, rows, hashed, buckets)

        for_rows(n, n_threads, choose)
    return buckets


def _order(buckets: NDArray[np.uint8], fires: NDArray[np.float64]) -> NDArray[np.int32]:
    """Sort vertices by bucket, then by decreasing fires per epoch, then by number.

    Devices process consecutive heads in lockstep. Heads that fire about equally often waste the
    least time.
    """
    most = (1 << 16) // N_BUCKETS - 1
    rank = most - np.minimum(np.rint(fires), most)
    # NumPy sorts 16-bit keys with a radix sort, in time linear in n.
    key = buckets.astype(np.uint16) * np.uint16(most + 1) + rank.astype(np.uint16)
    return np.argsort(key, kind="stable").astype(np.int32)


def _deal_out(
    degrees: NDArray[np.int64], shares: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """Return the first walker of each head, the head of each walker and the edge offsets."""
    first_walkers = np.zeros(degrees.shape[0] + 1, np.int64)
    np.cumsum(shares, out=first_walkers[1:])
    heads = np.repeat(np.arange(degrees.shape[0], dtype=np.int32), shares)
    # Edges are dealt in turn: walker k of K gets the edges k, k + K, k + 2K, ...
    turn = np.arange(heads.shape[0]) - first_walkers[heads]
    row_offsets = np.zeros(heads.shape[0] + 1, np.int64)
    np.cumsum((degrees[heads] - turn + shares[heads] - 1) // shares[heads], out=row_offsets[1:])
    return first_walkers, heads, row_offsets


def longest_step(spec: OptimizerSpec) -> float:
    """Return the largest coordinate of one pull; the density part is clipped separately."""
    return (2.0 if spec.density_weight > 0 else 1.0) * CLIP * spec.alpha


def pull_exponent(crowd: int, longest: float) -> int:
    """Return the exponent of the finest unit in which `crowd` pulls cannot overflow an int32.

    No coordinate of a pull exceeds `longest`.
    """
    largest_sum = max(crowd, 1) * longest + LONGEST_MOVE
    # One bit is reserved for the rounding of each pull to the unit.
    return 30 - math.frexp(largest_sum)[1]


def group_size(n_walkers: int) -> int:
    """Return the size of a bucket's groups: as few groups as possible, of nearly equal size."""
    n_groups = max(1, -(-n_walkers // GROUP))
    return -(-n_walkers // (n_groups * GROUP_STEP)) * GROUP_STEP


def pool_size(n_vertices: int) -> int:
    """Return the pool size: about a quarter of a small graph, within the two limits.

    A pool is drawn for every bucket and epoch.
    """
    quarter = 1 << max(0, (n_vertices // 4).bit_length())
    return min(MAX_POOL, max(MIN_POOL, quarter))


def most_edges_of_a_group(plan: EdgePlan) -> int:
    """Return the largest number of edges that the walkers of one group have."""
    most = 0
    bounds = plan.first_walkers[plan.bucket_offsets]
    for start, end in pairwise(bounds):
        size = group_size(int(end - start))
        firsts = np.arange(start, end, max(1, size))
        lasts = np.minimum(firsts + size, end)
        if firsts.size:
            most = max(most, int((plan.row_offsets[lasts] - plan.row_offsets[firsts]).max()))
    return most
