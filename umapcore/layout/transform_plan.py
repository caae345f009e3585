"""The plan of a transform: neighbours, firing rates and start positions of new heads.

Each row is computed from its own neighbours only, in double precision and in a fixed order. So
the result for a cell depends neither on the cells that are placed with it nor on threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from umapcore._kit.arrays import read_only
from umapcore._kit.jit import inline, kernel
from umapcore._kit.log2 import exact_log2
from umapcore._kit.parallel import for_rows
from umapcore._kit.rng import mix64, mix64_of
from umapcore._kit.simd import SIMD_WIDTH, any_lane, least, load
from umapcore.neighbors.bandwidth import LEAST_BANDWIDTH, NO_NEIGHBOR, fade, find_scales

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore.layout.spec import OptimizerSpec

#: Epochs if the specification does not set the number of epochs of the reference's layout.
#: umap-learn takes 100 for up to 10,000 new points and 30 for more; there a point's position
#: depends on the number of new points.
EPOCHS = 100
#: Step size relative to that of the layout, as in umap-learn.
STEP_SHARE = 0.25

#: Rows that a thread processes at a time.
_ROWS_PER_TASK = 1024


class TransformPlan(NamedTuple):
    """New heads, ready to be placed.

    Attributes
    ----------
    tails
        int32, (n, k): neighbours in the reference.
    rates
        uint32, (n, k): an edge fires in epoch t when ``uint32(t * rate) < rate``.
    keys
        uint64, (n,): keys of the random numbers of each head.
    start
        float32, (n, d): start positions of the heads; NaN for heads without neighbours.
    """

    tails: NDArray[np.int32]
    rates: NDArray[np.uint32]
    keys: NDArray[np.uint64]
    start: NDArray[np.float32]


def transform_epochs(spec: OptimizerSpec, n_epochs: int | None) -> int:
    """Return `n_epochs`, or if None a third of the layout's epochs, as in umap-learn."""
    if n_epochs is not None:
        return n_epochs
    return EPOCHS if spec.n_epochs is None else spec.n_epochs // 3


def transform_steps(spec: OptimizerSpec, n_epochs: int) -> NDArray[np.float32]:
    """Return the step size of each epoch: it falls linearly from a quarter of the layout's to 0."""
    epochs = np.arange(n_epochs, dtype=np.float64)
    return (STEP_SHARE * spec.alpha * (1.0 - epochs / n_epochs)).astype(np.float32)


def build_transform(
    indices: NDArray[np.int32],
    distances: NDArray[np.float32],
    reference: NDArray[np.float32],
    seed: int,
    *,
    n_threads: int | None = None,
) -> TransformPlan:
    """Compute the weights of the neighbours of new heads, and the heads' start positions.

    Parameters
    ----------
    indices, distances
        (n, k), as :func:`umapcore.neighbors.query.checked_neighbours` returns them.
    reference
        (n_reference, d): positions of the reference, which does not move.
    seed
        64-bit seed of the negative samples.
    n_threads
        Number of threads; the plan does not depend on it.
    """
    n, k = indices.shape
    plan = TransformPlan(
        tails=read_only(indices),
        rates=np.empty((n, k), np.uint32),
        keys=np.empty(n, np.uint64),
        start=np.empty((n, reference.shape[1]), np.float32),
    )
    seed_key = mix64(np.array([seed], np.uint64))[0]
    target = exact_log2(k)

    given = [read_only(x) for x in (distances, distances.view(np.uint32), reference)]

    def weigh(a: int, b: int) -> None:
        _weigh_rows(a, b, plan, *given, target, seed_key)

    for_rows(n, n_threads, weigh, _ROWS_PER_TASK)
    return plan


@kernel()
def _weigh_rows(
    first: Any,
    last: Any,
    plan: Any,
    distances: Any,
    bits: Any,
    reference: Any,
    target: Any,
    seed_key: Any,
) -> None:
    """Write rates, keys and start positions of the heads `first` … `last` - 1.

    A neighbour at distance d has the weight exp(-d / sigma). Sigma is chosen so that the weights
    of all but the nearest neighbour sum to `target`: McInnes, Healy and Melville 2018, algorithm
    3, with rho = 0. umap-learn does the same, because the nearest neighbours of new points may be
    far away.
    """
    indices, rates, keys, start = plan
    k = indices.shape[1]
    # First neighbours of the eight heads of a group, then their second neighbours, and so on.
    excess, shares = np.empty(k * SIMD_WIDTH, np.float64), np.empty(k * SIMD_WIDTH, np.float64)
    near, far = np.empty(SIMD_WIDTH, np.float64), np.empty(SIMD_WIDTH, np.float64)
    most = np.empty(SIMD_WIDTH, np.float64)
    sums = np.empty(reference.shape[1], np.float64)
    zero = np.uint64(0)
    for group in range(first, last, SIMD_WIDTH):
        for lane in range(SIMD_WIDTH):
            i = min(group + lane, last - 1)
            keys[i], most[lane] = _load(
                lane, indices[i], distances[i], bits[i], seed_key, excess, shares, near, far
            )
        s = find_scales(excess, shares, k, load(near, zero), load(far, zero), target)
        limit = load(most, zero)
        if any_lane(s > limit):
            fade(excess, shares, k, least(s, limit))
        for lane in range(min(SIMD_WIDTH, last - group)):
            i = group + lane
            _begin(lane, indices[i], distances[i], reference, shares, sums, rates[i], start[i])


@inline
def _load(
    lane: Any,
    indices: Any,
    distances: Any,
    bits: Any,
    seed_key: Any,
    excess: Any,
    shares: Any,
    near: Any,
    far: Any,
) -> Any:
    """Write the distances of a head to its lane; return its key and the largest 1 / sigma."""
    present = 0
    n_near = 0
    n_far = 0
    total = 0.0
    key = seed_key
    for j in range(indices.shape[0]):
        at = j * SIMD_WIDTH + lane
        # Missing neighbours do not enter the key: padding a row does not change its result.
        if indices[j] < 0:
            excess[at] = NO_NEIGHBOR
            shares[at] = 0.0
            continue
        distance = np.float64(distances[j])
        key = mix64_of(key ^ np.uint64(indices[j]))
        key = mix64_of(key ^ np.uint64(bits[j]))
        present += 1
        total += distance
        if j > 0 and distance > 0.0:
            n_far += 1
        elif j > 0:
            n_near += 1
        excess[at] = distance
        shares[at] = 1.0
    near[lane] = n_near
    far[lane] = n_far
    # In such rows umap-learn uses the mean distance of all new points. A point's position would
    # then depend on the other new points.
    return key, 1.0 / (LEAST_BANDWIDTH * total / present) if total > 0.0 else 0.0


@inline
def _begin(
    lane: Any,
    indices: Any,
    distances: Any,
    reference: Any,
    shares: Any,
    sums: Any,
    rates: Any,
    start: Any,
) -> None:
    """Write the firing rates of a head's edges and its start position."""
    if indices[0] < 0:
        rates[:] = np.uint32(0)
        start[:] = np.float32(np.nan)
        return
    present = 0
    all_weights = 0.0
    for j in range(indices.shape[0]):
        rate = 0
        if indices[j] >= 0:
            weight = np.float64(np.float32(shares[j * SIMD_WIDTH + lane]))
            all_weights += weight
            rate = min(int(weight * 4294967296.0), 4294967295)
            present += 1
        rates[j] = np.uint32(rate)
    sums[:] = 0.0
    if distances[0] == np.float32(0.0):
        # The head coincides with a vertex of the reference and starts there.
        for c in range(reference.shape[1]):
            sums[c] = reference[indices[0], c]
    else:
        for j in range(present):
            weight = np.float64(np.float32(shares[j * SIMD_WIDTH + lane]))
            share = weight / all_weights
            for c in range(reference.shape[1]):
                sums[c] += share * np.float64(reference[indices[j], c])
    for c in range(reference.shape[1]):
        start[c] = np.float32(sums[c])
