"""Start positions: where a layout begins, scaled as umap-learn scales them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.arrays import given_points
from umapcore._kit.jit import kernel
from umapcore._kit.parallel import for_rows
from umapcore._kit.rng import mix64, mix64_of, stream_key, uniform, unit
from umapcore.errors import did_you_mean
from umapcore.init.spectral import spectral_layout
from umapcore.layout.constants import EXTENT
from umapcore.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from umapcore.device.spectral_ops import SpectralOps

#: Standard deviation of the noise that separates equal vertices, when the largest coordinate is
#: `EXTENT`.
NOISE = 1e-4
#: Smaller extents are multiplied by a power of two before they are divided by.
_TINY_EXTENT = 2.0**-512

_RANDOM_STREAM = 0x72616E64
_NOISE_STREAM = 0x6E6F6973


def start_positions(
    init: object,
    graph: Any,
    *,
    n_components: int,
    seed: int,
    representation: Any = None,
    metric: str = "euclidean",
    ops: SpectralOps | None = None,
    n_threads: int | None = None,
) -> NDArray[np.float32]:
    """Compute the positions that a layout starts from.

    Parameters
    ----------
    init
        ``'spectral'``, ``'random'``, or positions, (n, n_components).
    graph
        Symmetric CSR, n × n, from :func:`umapcore.graph.csr.prepare_graph`, or what a backend
        made of one.
    n_components
        Dimensions of the layout.
    seed
        Seed of random positions and of the noise.
    representation
        Coordinates of the vertices, or a function that returns them or None. Used to place the
        components of a graph that has several (``'spectral'`` only).
    metric
        Metric of the representation's distances.
    ops
        Device that computes a spectral start; None: the CPU.
    n_threads
        Threads to use; the positions do not depend on it.

    Returns
    -------
    float32, C order, (n, n_components); every axis from 0 to 10, or all about 5 when it was
    constant.

    Raises
    ------
    ValueError, TypeError
        When `init` is unknown, or has a wrong shape or values that are not finite.
    """
    if not isinstance(init, str):
        return scaled_start(_checked(init, graph.shape[0], n_components, "init"), seed)
    make = STARTS.get(init)
    if make is None:
        known = [name for name, function in STARTS.items() if function is not None]
        allowed = ", ".join(map(repr, known))
        msg = f"init={init!r} is unknown: init must be one of {allowed}, or an array."
        raise ValueError(msg + did_you_mean(init, known))
    return make(
        graph,
        n_components,
        seed=seed,
        representation=representation,
        metric=metric,
        ops=ops,
        n_threads=n_threads,
    )


def _spectral(
    graph: Any, n_components: int, *, seed: int, n_threads: int | None, **options: Any
) -> NDArray[np.float32]:
    layout = spectral_layout(graph, n_components, seed=seed, n_threads=n_threads, **options)
    return _scaled(_expanded(layout) + _noise(seed, layout.shape, n_threads))


def _random(graph: Any, n_components: int, *, seed: int, **_: Any) -> NDArray[np.float32]:
    n = graph.shape[0]
    drawn = uniform(seed, _RANDOM_STREAM, n * n_components).reshape(n, n_components)
    return _scaled(20.0 * drawn - 10.0)


#: Starts by name, each with the function that computes it from a graph. None: the start also needs
#: the results of PAGA in an AnnData object (:mod:`umapcore.init.paga`).
STARTS: dict[str, Callable[..., NDArray[np.float32]] | None] = {
    "spectral": _spectral,
    "random": _random,
    "paga": None,
}


def scaled_start(positions: NDArray[Any], seed: int) -> NDArray[np.float32]:
    """Scale given positions, (n, d), finite; noise separates equal ones."""
    scaled = _scaled(positions.astype(np.float64))
    if positions.shape[0] > 1 and _has_equal_rows(scaled):
        logger.info("some start positions are equal; noise separates them")
        centred = scaled.astype(np.float64) - 0.5 * EXTENT
        scaled = _scaled(_expanded(centred) + _noise(seed, scaled.shape))
    return scaled


def check_positions(
    positions: Any, n_vertices: int, n_components: int, *, name: str = "init"
) -> NDArray[np.float32]:
    """Check positions and copy them to float32, C order.

    Parameters
    ----------
    positions
        (n_vertices, n_components): array, sparse matrix or data frame, of any real dtype, on the
        host or on a GPU.
    n_vertices, n_components
        The required shape.
    name
        Name of the positions in error messages.

    Raises
    ------
    ValueError, TypeError
        When the shape is wrong, or values are not finite real numbers.
    """
    return np.array(_checked(positions, n_vertices, n_components, name), np.float32, order="C")


def _checked(positions: Any, n_vertices: int, n_components: int, name: str) -> NDArray[Any]:
    allowed = f"an array of real numbers of shape ({n_vertices}, {n_components})"
    return given_points(positions, name, allowed, shape=(n_vertices, n_components))


def _expanded(layout: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale all axes by one factor, so that the largest absolute coordinate is `EXTENT`."""
    largest = np.abs(layout).max(initial=0.0)
    return layout * (EXTENT / largest) if largest > 0.0 else layout


def _scaled(positions: NDArray[np.float64]) -> NDArray[np.float32]:
    """Shift and scale each axis to [0, EXTENT].

    A constant axis is moved to the middle, with a little noise if there are several vertices:
    without differences along an axis, no force would ever act along it.
    """
    low, high = positions.min(axis=0), positions.max(axis=0)
    extent = high - low
    flat = extent == 0.0
    # No float64 is as large as EXTENT over the smallest extents.
    more = np.where(extent < _TINY_EXTENT, np.int32(512), np.int32(0))
    scaled = np.ldexp(positions - low, more) * (
        EXTENT / np.where(flat, 1.0, np.ldexp(extent, more))
    )
    if flat.any():
        scaled[:, flat] = 0.5 * EXTENT
        if positions.shape[0] > 1:
            scaled[:, flat] += _noise(0, positions.shape)[:, flat]
    return np.ascontiguousarray(scaled, dtype=np.float32)


def _noise(seed: int, shape: tuple[int, ...], n_threads: int | None = None) -> NDArray[np.float64]:
    """Draw nearly normal numbers of standard deviation `NOISE`.

    They are sums of twelve uniform numbers: logarithms and cosines would differ between machines.
    """
    keys = np.concatenate([stream_key(seed, _NOISE_STREAM + k) for k in range(12)])
    noise = np.empty(shape)
    flat = noise.reshape(-1)
    for_rows(flat.shape[0], n_threads, lambda a, b: _draw_noise(a, b, keys, flat))
    return noise


@kernel()
def _draw_noise(first: Any, last: Any, keys: Any, noise: Any) -> None:
    for i in range(np.uint64(first), np.uint64(last)):
        total = 0.0
        for k in range(keys.shape[0]):
            total += unit(mix64_of(keys[k] + i))
        noise[i] = (total - 6.0) * NOISE


def _has_equal_rows(positions: NDArray[np.float32]) -> bool:
    """Return whether two rows are equal, by a 64-bit hash of each: linear memory, one sort."""
    hashes = np.zeros(positions.shape[0], np.uint64)
    for column in (positions + 0.0).T:
        hashes = mix64(hashes ^ column.astype(np.float32).view(np.uint32))
    hashes.sort()
    return bool((hashes[1:] == hashes[:-1]).any())
