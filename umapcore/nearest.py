"""The nearest points of a reference: an exact search of our own, and the check of given ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.errors import bad_type, bad_value
from umapcore.errors import nearest as nearest_name
from umapcore.graph import in_memory, is_sparse
from umapcore.jit import inline, kernel
from umapcore.logs import logger
from umapcore.rows import over_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: Metrics that the exact search knows; on rows of length 1 the last two are functions of the first.
METRICS = ("euclidean", "cosine", "correlation")

#: Points of the reference whose distances are worked out side by side.
_BLOCK = 256
#: New points that share a block while it is in the cache.
_TILE = 8


def checked_neighbours(
    indices: Any, distances: Any, n_reference: int, name: str = "knn"
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Bring given neighbours in a reference into the one form that everything else reads.

    Parameters
    ----------
    indices, distances
        (n, k). -1 or an infinite distance stands for no neighbour.
    n_reference
        Number of points in the reference.
    name
        What the two are called in messages: ``name_indices``, ``name_distances``.

    Returns
    -------
    indices
        int32, (n, k), by growing distance, -1 behind the last one.
    distances
        float32, (n, k), infinite where there is no neighbour.

    Raises
    ------
    ValueError, TypeError
        When shapes do not fit, an index is out of range or twice in a row, or a distance is
        negative or NaN.
    """
    rows = _matrix(indices, f"{name}_indices", "iu", "integers")
    lengths = _matrix(distances, f"{name}_distances", "iuf", "real numbers")
    if rows.shape != lengths.shape:
        msg = f"{name}_indices has shape {rows.shape} and {name}_distances {lengths.shape}: "
        msg += "they must be equal."
        raise ValueError(msg)
    if rows.size and (int(rows.min()) < -1 or int(rows.max()) >= n_reference):
        msg = f"{name}_indices has entries outside of 0 to {n_reference - 1}; -1 stands for none."
        raise ValueError(msg)
    with np.errstate(over="ignore"):
        found = np.array(lengths, np.float32)
    absent = (rows < 0) | (found == np.inf)
    if not (found[~absent] >= 0).all():
        msg = f"{name}_distances has entries that are NaN or negative: distances are at least 0."
        raise ValueError(msg)
    places = np.array(rows, np.int32)
    places[absent] = -1
    found[absent] = np.inf
    found += np.float32(0)  # no negative zeros
    if (found[:, 1:] < found[:, :-1]).any():
        logger.info("%s: rows sorted by distance", name)
        order = np.argsort(found, axis=1, kind="stable")
        places = np.take_along_axis(places, order, axis=1)
        found = np.take_along_axis(found, order, axis=1)
    by_place = np.sort(places, axis=1)
    twice = (by_place[:, 1:] == by_place[:, :-1]) & (by_place[:, 1:] >= 0)
    if twice.any():
        row = int(np.flatnonzero(twice.any(axis=1))[0])
        msg = f"{name}_indices has a neighbour twice in row {row}: each may be there once."
        raise ValueError(msg)
    return places, found


def nearest(
    reference: NDArray[Any],
    new: NDArray[Any],
    k: int,
    *,
    metric: str = "euclidean",
    n_threads: int | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find the k nearest points of a reference by looking at all of them.

    Distances are sums in the order of the coordinates, in float32: the same bits on every
    processor, and the same for a point whatever others are looked up with it. Of two at equal
    distances the one with the lower number is nearer.

    Parameters
    ----------
    reference, new
        (n_reference, d) and (n, d), finite.
    k
        At most n_reference.
    metric
        One of :data:`METRICS`.
    n_threads
        Threads to use.

    Returns
    -------
    indices, distances
        int32 and float32, (n, k), the nearest first.
    """
    points, queries = (_prepared(rows, metric) for rows in (reference, new))
    n_points, d = points.shape
    n_blocks = -(-n_points // _BLOCK)
    blocks = np.zeros((n_blocks, d, _BLOCK), np.float32)
    for number in range(n_blocks):
        rows = points[number * _BLOCK : (number + 1) * _BLOCK]
        blocks[number, :, : rows.shape[0]] = rows.T
    indices = np.empty((queries.shape[0], k), np.int32)
    squared = np.empty((queries.shape[0], k), np.float32)
    over_rows(
        queries.shape[0],
        n_threads,
        lambda a, b: _search(a, b, blocks, n_points, queries, indices, squared),
        # Ranges grow as distances get cheaper; each is well below a second.
        max(_TILE, 50_000_000 // max(1, n_points * d) * _TILE),
    )
    distances = np.sqrt(squared) if metric == "euclidean" else np.float32(0.5) * squared
    return indices, distances


def approximate_nearest(
    reference: NDArray[Any],
    new: NDArray[Any],
    k: int,
    *,
    metric: str,
    seed: int,
    metric_kwds: Mapping[str, Any] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find about the k nearest points of a reference by pynndescent, which knows many metrics.

    Raises
    ------
    ImportError, ValueError
        When it is not installed, or does not know the metric; both say what would do.
    """
    try:
        from pynndescent import NNDescent
        from pynndescent.distances import named_distances
    except ImportError as error:
        msg = (
            f"metric={metric!r} needs pynndescent: pip install pynndescent. Without it, metrics "
            f"are {', '.join(METRICS)}."
        )
        raise ImportError(msg) from error
    if metric not in named_distances:
        msg = f"metric={metric!r} is unknown to pynndescent: give the neighbours by `knn`."
        raise ValueError(msg + nearest_name(metric, named_distances))
    index = NNDescent(
        np.ascontiguousarray(reference, np.float32), metric=metric,
        metric_kwds=dict(metric_kwds or {}), n_neighbors=max(k, 15),
        random_state=seed % 2**32, compressed=False,
    )  # fmt: skip
    found, distances = index.query(np.ascontiguousarray(new, np.float32), k=k, epsilon=0.12)
    return found.astype(np.int32), distances.astype(np.float32)


def _prepared(rows: NDArray[Any], metric: str) -> NDArray[np.float32]:
    """Bring rows into a space where Euclidean distances tell how near they are."""
    if metric not in METRICS:
        raise bad_value("metric", metric, "one of " + ", ".join(map(repr, METRICS)))
    if metric == "euclidean":
        return np.ascontiguousarray(rows, np.float32)
    wide = np.array(rows, np.float64)
    if metric == "correlation":
        wide -= (np.cumsum(wide, axis=1)[:, -1] / wide.shape[1])[:, None]
    # A running sum has one order of additions; a plain one has that of the processor's vectors.
    lengths = np.sqrt(np.cumsum(wide * wide, axis=1)[:, -1])
    # A row without a direction is at distance 1/2 of all others, and so takes any.
    return np.ascontiguousarray(wide / np.where(lengths > 0, lengths, 1.0)[:, None], np.float32)


@kernel()
def _search(
    first: Any,
    last: Any,
    blocks: Any,
    n_points: Any,
    queries: Any,
    indices: Any,
    squared: Any,
) -> None:
    """Find the neighbours of the queries `first` … `last` - 1, in tiles that share each block."""
    n_blocks = blocks.shape[0]
    k = indices.shape[1]
    sums = np.empty((_TILE, _BLOCK), np.float32)
    for tile in range(first, last, _TILE):
        size = min(_TILE, last - tile)
        for q in range(tile, tile + size):
            squared[q, :] = np.float32(np.inf)
            indices[q, :] = -1
        for number in range(n_blocks):
            base = number * _BLOCK
            count = min(_BLOCK, n_points - base)
            for q in range(size):
                total = sums[q]
                total[:] = np.float32(0.0)
                _add_squares(blocks[number], queries[tile + q], total)
            for q in range(size):
                row_squared = squared[tile + q]
                row_indices = indices[tile + q]
                total = sums[q]
                worst = row_squared[k - 1]
                for i in range(count):
                    if total[i] < worst:
                        value = total[i]
                        j = k - 1
                        while j > 0 and row_squared[j - 1] > value:
                            row_squared[j] = row_squared[j - 1]
                            row_indices[j] = row_indices[j - 1]
                            j -= 1
                        row_squared[j] = value
                        row_indices[j] = base + i
                        worst = row_squared[k - 1]


@inline
def _add_squares(block: Any, query: Any, total: Any) -> None:
    """Add squared differences in the order of the coordinates, four at a time in registers."""
    d = query.shape[0]
    whole = d - d % 4
    for c in range(0, whole, 4):
        first, second, third, fourth = block[c], block[c + 1], block[c + 2], block[c + 3]
        for i in range(_BLOCK):
            w = query[c] - first[i]
            x = query[c + 1] - second[i]
            y = query[c + 2] - third[i]
            z = query[c + 3] - fourth[i]
            total[i] = (((total[i] + w * w) + x * x) + y * y) + z * z
    for c in range(whole, d):
        column = block[c]
        for i in range(_BLOCK):
            w = query[c] - column[i]
            total[i] += w * w


def _matrix(value: Any, name: str, kinds: str, what: str) -> NDArray[Any]:
    allowed = f"a matrix of {what}, one row a new point and one column a neighbour"
    if is_sparse(value):
        raise bad_type(name, value, allowed)
    try:
        array = np.asarray(in_memory(value))
    except ValueError:  # a ragged list
        raise bad_type(name, value, allowed) from None
    if array.dtype.kind not in kinds and array.size:
        raise bad_type(name, value, allowed)
    if array.ndim != 2 or array.shape[1] == 0:
        msg = f"{name} has shape {array.shape}: it must be {allowed}."
        raise ValueError(msg)
    return array
