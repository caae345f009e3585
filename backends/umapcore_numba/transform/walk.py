"""The walk of new heads among vertices that stay where they are.

Nothing that a new head sees ever moves, so it is taken through all epochs at once, whatever the
others do. SIMD runs over heads: every lane has one, at a fire of its own in an epoch of its own;
a lane whose head is done takes the next. The arithmetic of a round is split into short loops over
the lanes, as in :mod:`umapcore_numba.layout.walk`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.jit import inline, kernel
from umapcore._kit.rng import mix64_of
from umapcore_numba.floats import ZERO, clip, exp2
from umapcore_numba.forces import CLIP, attraction, curve_exponent, repulsion

#: Heads that are walked side by side.
LANES = 64
#: Loops over lanes are rounded up to this, the lanes of the widest vectors.
LANES_STEP = 16
TWO = np.float32(2.0)
U0, U1 = np.uint64(0), np.uint64(1)
WORD = np.uint64(32)
LOW_WORD = np.uint64(0xFFFFFFFF)


@inline
def _next_fire(rates: Any, row: Any, k: Any, n_epochs: Any, epoch: Any, edge: Any) -> Any:
    """Epoch and edge of the first fire from an edge of an epoch on; epoch `n_epochs`: none."""
    while epoch < n_epochs:
        t = np.uint32(epoch)
        while edge < k:
            rate = rates[row + edge]
            # numba widens uint32 * uint32 to 64 bits; the schedule needs it modulo 2**32.
            if np.uint32(t * rate) < rate:
                return epoch, edge
            edge += U1
        edge = U0
        epoch += U1
    return epoch, edge


@inline
def _measure(
    d: Any, y: Any, other: Any, squared: Any, power: Any, m: Any, b: Any, log2_a: Any
) -> None:
    """Write squared distances, summed in the order of the dimensions, and log2(a d^(2b))."""
    for i in range(m):
        squared[i] = ZERO
    for k in range(d):
        for i in range(m):
            difference = y[k * LANES + i] - other[k * LANES + i]
            squared[i] += difference * difference
    for i in range(m):
        power[i] = curve_exponent(squared[i], b, log2_a)


@inline
def _move(d: Any, y: Any, stand: Any, other: Any, coefficient: Any, alpha: Any, m: Any) -> None:
    """Move the heads by what acts on them where they stand."""
    for k in range(d):
        for i in range(m):
            j = k * LANES + i
            y[j] += clip(coefficient[i] * (stand[j] - other[j]), CLIP * alpha[i])


@kernel()
def transform_rows(
    dims: Any,
    n_components: Any,
    first: Any,
    last: Any,
    n_epochs: Any,
    tails: Any,
    rates: Any,
    keys: Any,
    reference: Any,
    steps: Any,
    b: Any,
    log2_a: Any,
    gamma: Any,
    n_samples: Any,
    positions: Any,
) -> None:
    """Take the heads `first` … `last` - 1 from where they start to where they end.

    Parameters
    ----------
    dims
        A tuple as long as there are dimensions, for which it is then compiled, or empty.
    n_components
        The number of dimensions d.
    n_epochs
        Epochs; 1 … n_epochs - 1 do something.
    tails, rates
        int32 and uint32, (n, k): neighbours of each head and how often they fire.
    keys
        uint64, (n,): keys of the heads' random numbers.
    reference
        float32, flat: positions of the vertices that stay.
    steps
        float32, (n_epochs,): step sizes.
    positions
        float32, flat: of the heads, moved in place.
    """
    d = len(dims) if len(dims) > 0 else n_components
    stride = np.uint64(d)
    k = np.uint64(tails.shape[1])
    n_reference = np.uint64(reference.shape[0]) // stride
    tail = tails.reshape(-1)
    rate = rates.reshape(-1)
    y = np.zeros(d * LANES, np.float32)
    stand = np.zeros(d * LANES, np.float32)
    other = np.zeros(d * LANES, np.float32)
    squared = np.zeros(LANES, np.float32)
    power = np.zeros(LANES, np.float32)
    alpha = np.zeros(LANES, np.float32)
    word = np.zeros(LANES, np.uint64)
    counters = np.zeros(LANES, np.uint64)
    head = np.zeros(LANES, np.uint64)
    epoch = np.zeros(LANES, np.uint64)
    edge = np.zeros(LANES, np.uint64)
    E = np.uint64(n_epochs)

    # All lanes begin as if they had just finished a head that there is not.
    none = ~U0
    head[:] = none
    epoch[:] = E
    waiting: Any = np.uint64(first)
    end = np.uint64(last)
    live = LANES
    while True:
        # From the last lane down: one that takes the place of another has been seen to.
        for i in range(live - 1, -1, -1):
            t, e = _next_fire(rate, head[i] * k, k, E, epoch[i], edge[i])
            while t >= E:
                if head[i] != none:
                    for c in range(d):
                        positions[head[i] * stride + np.uint64(c)] = y[c * LANES + i]
                if waiting == end:
                    break
                head[i] = waiting
                counters[i] = keys[waiting]
                for c in range(d):
                    y[c * LANES + i] = positions[waiting * stride + np.uint64(c)]
                waiting += U1
                t, e = _next_fire(rate, head[i] * k, k, E, U1, U0)
            if t < E:
                epoch[i] = t
                # Where to look for the next one.
                edge[i] = e + U1
                alpha[i] = steps[t]
                continue
            live -= 1
            head[i] = head[live]
            epoch[i] = epoch[live]
            edge[i] = edge[live]
            alpha[i] = alpha[live]
            counters[i] = counters[live]
            for c in range(d):
                y[c * LANES + i] = y[c * LANES + live]
        if live == 0:
            break
        m = (live + LANES_STEP - 1) // LANES_STEP * LANES_STEP

        for i in range(live):
            place = np.uint64(tail[head[i] * k + edge[i] - U1]) * stride
            for c in range(d):
                other[c * LANES + i] = reference[place + np.uint64(c)]
        _measure(d, y, other, squared, power, m, b, log2_a)
        for i in range(m):
            force = attraction(squared[i], exp2(power[i]))
            squared[i] = -TWO * b * alpha[i] * force
        _move(d, y, y, other, squared, alpha, m)

        for j in range(d * LANES):
            stand[j] = y[j]
        for r in range(n_samples):
            # A hash gives two samples, the first by its upper half.
            if r % 2 == 0:
                for i in range(m):
                    word[i] = mix64_of(counters[i])
                    counters[i] += U1
            for i in range(live):
                half = word[i] >> WORD if r % 2 == 0 else word[i] & LOW_WORD
                place = ((half * n_reference) >> WORD) * stride
                for c in range(d):
                    other[c * LANES + i] = reference[place + np.uint64(c)]
            _measure(d, stand, other, squared, power, m, b, log2_a)
            for i in range(m):
                force = repulsion(squared[i], exp2(power[i]))
                squared[i] = TWO * gamma * b * alpha[i] * force
            _move(d, y, stand, other, squared, alpha, m)
