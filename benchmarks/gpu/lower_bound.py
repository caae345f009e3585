"""The least time of an epoch on a device, computed from the device's measured rates.

Three quantities bound an epoch from below. The floor is the largest of them, as if it hid the
other two completely.

*Bytes.* What the kernels must read and write, as if nothing was moved twice, divided by the
bandwidth of a copy on the device. There are d dimensions and B buckets; pulls have 8 bytes per
vertex in two dimensions and 4·d in others.

- rates: 4 bytes per edge, since all edges are tested in every epoch; tails: 4 bytes per fire
- walkers: 12 bytes per walker for its head and the end of its row; per head 8 bytes of first
  walkers, 4·d to read its position and 4·d to write its new position
- gathers: a tail's position per fire, in whole sectors of 32 bytes, since tails are anywhere
- pulls: an addition per fire, which reads and writes a sector
- apply: in every bucket, the pulls of all vertices are read. Pulled vertices are read, moved and
  written, and their pulls are reset to zero. Heads are moved to their new positions
- pool: drawn in every bucket, and copied by every block of walkers

Rates, tails and walkers are read once per epoch, in order. All other bytes are revisited. If
positions, pulls and walks fit into the device's cache, these bytes move at the rate of a copy
within the cache. If everything fits, all bytes do.

*Operations.* The operations in the kernels' source for a fire (one attraction, R repulsions, the
hashes of the samples) and for testing an edge, divided by the measured rate of float32
multiplications and additions. The compiler flags that keep the bits equal do not fuse them.
Integer operations, selects, conversions and bit casts to the left of an operation count as one
each, casts as none. Many devices have fewer units for some of them: a floor, not a forecast.

*Launches.* A bucket waits for the one before it. The bound is the number of kernels in an epoch
times the time of an empty kernel in a recorded sequence.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil, exp
from typing import Any

from umapcore.layout.constants import SAMPLES_A_WORD

SECTOR = 32

# Operations as written in kernels/floats.cuh, cuda.cuh and walk.cu; a fused one counts as one.
_LOG2, _EXP2, _RECIPROCAL = 17, 16, 8
#: curve_power: larger, log2_of, *, +, exp2_of.
_CURVE = 1 + _LOG2 + 1 + 1 + _EXP2
#: Two 64-bit multiplications, three shifts, three exclusive ors and an addition: at least twice as
#: many 32-bit operations. Then the counter of the samples.
_HASH = 2 * 9 + 2
#: Product, comparison, shift, or.
_TEST = 4


@dataclass(frozen=True)
class Work:
    """The work of an epoch of a layout.

    Attributes
    ----------
    n_vertices, n_edges, n_walkers
        Numbers from the plan; edges that never fire are not counted.
    n_buckets
        Buckets that have heads.
    n_blocks
        Blocks of walkers in all buckets.
    n_components, n_samples, pool_size
        Dimensions; negative samples per fire; entries of the pool.
    fires
        Average number of edges that fire in an epoch: the sum of the firing rates.
    launches
        Kernel launches of an epoch.
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
    """Measured rates of a device.

    Attributes
    ----------
    copy
        Bytes per second that a large copy on the device reads and writes.
    copy_in_cache
        The same for a copy that fits into its cache.
    operations
        Multiplications and additions of float32 per second, none fused.
    launch
        Seconds of an empty kernel.
    cache_bytes
        Size of the cache that the whole device shares.
    """

    copy: float
    copy_in_cache: float
    operations: float
    launch: float
    cache_bytes: int


def bytes_of(work: Work) -> dict[str, float]:
    """Return the bytes that an epoch reads and writes, by purpose; see the module docstring."""
    position = 4 * work.n_components
    pull = 8 if work.n_components == 2 else 4 * work.n_components
    # Expected number of vertices pulled in a bucket if fires hit vertices at random.
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
    """Return the operations of an epoch, by purpose; see the module docstring."""
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
    """Compute the least seconds of a layout; only epochs 1 … `n_epochs` - 1 do anything."""
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
