"""The least time that a device could take for an epoch, worked out from its measured rates.

Three things bound an epoch from below, and the floor is the largest of them, as if the other two
were hidden behind it entirely:

*Bytes.* What the kernels must read and write (d dimensions, B buckets, pulls of 8 bytes a vertex in
two dimensions and 4·d in others), counted as if nothing was moved twice:

- rates: 4 bytes an edge, all edges being tested in every epoch; tails: 4 bytes a fire
- walkers: 12 bytes each for its head and its row's end, and for its head 8 bytes of first walkers,
  4·d to read its position and 4·d to write where it walked to
- gathers: a tail's position a fire, in whole sectors of 32 bytes, since tails lie anywhere
- pulls: an addition a fire, which reads and writes a sector
- apply: in every bucket the pulls of all vertices are read; those that were pulled are read, moved
  and written, with their pulls set back to zero; and heads are moved to where they walked
- pool: drawn in every bucket, and copied by every block of walkers

over the bandwidth of a copy on the device. Rates, tails and walkers are read once an epoch, in
order. The rest is revisited: where positions, pulls and walks fit into the device's cache, its
bytes move at the rate of a copy within the cache, and so do all where everything fits.

*Operations.* Those that the source of the kernels writes down for a fire (one attraction, R
repulsions, the hashes of the samples) and for testing an edge, over the measured rate of
float32 multiplications and additions, which the flags for the same bits keep apart. Integer
operations, selects, conversions and bit casts to the left of an operation count as one each, casts
as none. Many devices have fewer units for some of them: a floor, not a forecast.

*Launches.* A bucket waits for the one before it: the kernels of an epoch times the time that one
kernel takes which does nothing, in a recorded sequence.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil, exp
from typing import Any

from umapcore.layout.constants import SAMPLES_A_WORD

SECTOR = 32

# Operations as they are written in kernels/floats.cuh, cuda.cuh and walk.cu; a fused one is one.
_LOG2, _EXP2, _RECIPROCAL = 17, 16, 8
#: curve_power: larger, log2_of, *, +, exp2_of.
_CURVE = 1 + _LOG2 + 1 + 1 + _EXP2
#: Two multiplications of 64 bits, three shifts, three exclusive ors and an addition, in 32 bits at
#: least twice as many; the counter of the samples.
_HASH = 2 * 9 + 2
#: Product, comparison, shift, or.
_TEST = 4


@dataclass(frozen=True)
class Work:
    """What an epoch of a layout has to do.

    Attributes
    ----------
    n_vertices, n_edges, n_walkers
        Of the plan: edges are those that ever fire.
    n_buckets
        Buckets that have heads.
    n_blocks
        Blocks of walkers in all buckets.
    n_components, n_samples, pool_size
        Dimensions; negative samples a fire; entries of the pool.
    fires
        Edges that fire in an epoch, in the mean: the sum of the firing rates.
    launches
        Kernels of an epoch.
    """

    n_vertices: int
    n_edges: int
    n_walkers: int
    n_buckets: int
    n_blocks: int
    n_components: int
    n_samples: int
    pool_size: int
    fires: float
    launches: int


@dataclass(frozen=True)
class Rates:
    """What a device can do, measured.

    Attributes
    ----------
    copy
        Bytes a second that a large copy on the device reads and writes.
    copy_in_cache
        The same for a copy that fits into its cache.
    operations
        Multiplications and additions of float32 a second, none fused.
    launch
        Seconds that a kernel takes which does nothing.
    cache_bytes
        Size of the cache that all of the device shares.
    """

    copy: float
    copy_in_cache: float
    operations: float
    launch: float
    cache_bytes: int


def bytes_of(work: Work) -> dict[str, float]:
    """Bytes that an epoch reads and writes, by what for; see the module."""
    position = 4 * work.n_components
    pull = 8 if work.n_components == 2 else 4 * work.n_components
    # Tails of a bucket, if fires fell on the vertices at random.
    fires_a_vertex = work.fires / max(1, work.n_buckets * work.n_vertices)
    pulled = work.n_buckets * work.n_vertices * (1.0 - exp(-fires_a_vertex))
    entry = 4 + position
    return {
        "rates": 4.0 * work.n_edges,
        "tails": 4.0 * work.fires,
        "walkers": work.n_walkers * (4.0 + 8.0) + work.n_vertices * (8.0 + 2.0 * position),
        "gathers": work.fires * _sectors(position),
        "pulls": work.fires * 2.0 * _sectors(pull),
        "apply": (
            float(work.n_buckets * work.n_vertices * pull)
            + pulled * (2.0 * position + pull)
            + work.n_vertices * 2.0 * position
        ),
        "pool": work.pool_size * (work.n_buckets * float(_sectors(position) + entry)
                                  + work.n_blocks * float(entry)),
    }  # fmt: skip


def operations_of(work: Work) -> dict[str, float]:
    """Operations of an epoch, by what for; see the module."""
    return {
        "tests": float(_TEST * work.n_edges),
        "attractions": work.fires * attraction(work.n_components),
        "repulsions": work.fires * work.n_samples * repulsion(work.n_components),
        "hashes": work.fires * ceil(work.n_samples / SAMPLES_A_WORD) * _HASH,
    }


def attraction(d: int) -> int:
    """Count the operations of ``attract`` and ``add_pull``."""
    # larger, 1 + p, * and reciprocal; p * and attraction *
    coefficient = 3 + _RECIPROCAL + 2
    # -, *, two to clip, +; pull: *, ?, +, conversion, -
    return 3 * d + _CURVE + coefficient + 10 * d + (3 if d == 2 else 0)


def repulsion(d: int) -> int:
    """Count the operations of ``repel`` for one sample."""
    # entry: shift, +, and; NEAR +, 1 + p, * and reciprocal; repulsion *; the head itself
    coefficient = 3 + 3 + _RECIPROCAL + 1 + 1
    return 3 * d + _CURVE + coefficient + 5 * d


def floor(work: Work, rates: Rates, n_epochs: int) -> dict[str, Any]:
    """Work out the least seconds of a layout; only epochs 1 … `n_epochs` - 1 do anything."""
    epochs = n_epochs - 1
    moved, done = bytes_of(work), operations_of(work)
    scattered = sum(moved[part] for part in ("gathers", "pulls", "apply", "pool"))
    in_order = sum(moved.values()) - scattered
    position = 4 * work.n_components
    revisited = work.n_vertices * (2 * position + (8 if work.n_components == 2 else position))
    everything = revisited + 8 * work.n_edges + 12 * work.n_walkers + 8 * work.n_vertices
    in_order_rate = rates.copy_in_cache if everything <= rates.cache_bytes else rates.copy
    scattered_rate = rates.copy_in_cache if revisited <= rates.cache_bytes else rates.copy
    seconds = {
        "bytes": epochs * (in_order / in_order_rate + scattered / scattered_rate),
        "operations": epochs * sum(done.values()) / rates.operations,
        "launches": epochs * work.launches * rates.launch,
    }
    bound = max(seconds, key=lambda part: seconds[part])
    return {
        "seconds": seconds[bound],
        "bound_by": bound,
        "by": seconds,
        "work_an_epoch": asdict(work),
        "bytes_an_epoch": moved,
        "operations_an_epoch": done,
        "in_cache": {
            "positions and pulls": revisited <= rates.cache_bytes,
            "everything": everything <= rates.cache_bytes,
        },
    }


def _sectors(n_bytes: int) -> int:
    return SECTOR * ceil(n_bytes / SECTOR)
