"""Counter-based random numbers: a hash of a counter, without a state.

The hash is the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). It uses only integer
operations, so its bits are equal on every machine. The backends contain the same hash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.jit import inline

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Bits in half a hash, and its lower half.
HALF_WORD, LOW_HALF = np.uint64(32), np.uint64(0xFFFFFFFF)

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def mix64(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hash every number; the hash is a bijection of the 64-bit integers.

    Parameters
    ----------
    x
        Counters, uint64, any shape; they are not changed.
    """
    x = x + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    mixed: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed


def uniform(seed: int, stream: int, count: int) -> NDArray[np.float64]:
    """Draw uniform numbers in [0, 1), float64, multiples of 2**-53.

    Parameters
    ----------
    seed
        64-bit seed.
    stream
        Number of the stream: the same seed with different streams gives unrelated numbers.
    count
        Number of random numbers.
    """
    counters = np.arange(count, dtype=np.uint64)
    counters += stream_key(seed, stream)
    bits = mix64(counters)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def stream_key(seed: int, stream: int) -> NDArray[np.uint64]:
    """Return the first counter of a stream, as an array of one element."""
    return mix64(mix64(np.array([seed], np.uint64)) ^ np.uint64(stream))


@inline
def mix64_of(x: Any) -> Any:
    """Hash one number in a kernel, like `mix64`."""
    x = x + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


@inline
def unit(bits: Any) -> Any:
    """Convert 64 bits to a number in [0, 1) in a kernel, like `uniform`."""
    return np.float64(bits >> np.uint64(11)) * 2.0**-53
