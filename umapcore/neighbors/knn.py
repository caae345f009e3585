"""k nearest neighbours as two arrays, and the checks of these arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from umapcore._kit.arrays import given_array
from umapcore._kit.blocks import is_lazy, whole_rows
from umapcore._kit.jit import kernel
from umapcore._kit.parallel import for_rows
from umapcore.logs import logger

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What `_inspect` can find in the neighbours.
_UNSORTED = 4
_SELF_NOT_FIRST = 8
_SELF_SOMEWHERE = 16
_ALLOWED = "a matrix of {}, one row a point and one column a neighbour"
#: NumPy's kinds of the dtypes of neighbours and of their distances, and what is allowed.
_INDICES = ("iu", _ALLOWED.format("integers"))
_DISTANCES = ("iuf", _ALLOWED.format("real numbers"))
#: Rows that a thread inspects at a time.
_ROWS_PER_TASK = 16_384


class KNN(NamedTuple):
    """Neighbours of n vertices in order of increasing distance, each vertex first in its own row.

    Attributes
    ----------
    indices
        int32, (n, k); -1 where a vertex has fewer neighbours.
    distances
        float32, (n, k); infinite where a vertex has fewer neighbours.
    """

    indices: NDArray[np.int32]
    distances: NDArray[np.float32]


def checked_knn(
    indices: object,
    distances: object,
    *,
    n: int | None = None,
    name: str = "knn",
    n_threads: int | None = None,
) -> KNN:
    """Check given neighbours and convert them to a :class:`KNN`.

    Parameters
    ----------
    indices, distances
        (n, k), neighbours and their distances. -1 or an infinite distance means no neighbour.
        Rows may or may not begin with the vertex itself.
    n
        Number of vertices, if known.
    name
        Prefix of their names in messages: ``name_indices``, ``name_distances``.
    n_threads
        Threads to use; None takes the settings' number.

    Returns
    -------
    Rows sorted by distance, each beginning with its own vertex if it contains it. When no row
    contains its own vertex, it is added to all rows, and k grows by one. The arrays may be the
    caller's own, not copies.

    Raises
    ------
    ValueError, TypeError
        When the shapes do not match, an index is out of range, or a distance is negative, NaN or
        finite and beyond float32.
    """
    knn = given_neighbours(indices, distances, name)
    count = knn.indices.shape[0]
    if n is not None and count != n:
        msg = f"{name}_indices has {count} rows: there must be {n}, one a vertex."
        raise ValueError(msg)
    if count == 0:
        msg = f"{name}_indices has no rows: there must be one a vertex."
        raise ValueError(msg)
    found = _found(knn, n_threads)
    if found & _UNSORTED:
        order = np.argsort(knn.distances, axis=1, kind="stable")
        knn = KNN(
            np.take_along_axis(knn.indices, order, axis=1),
            np.take_along_axis(knn.distances, order, axis=1),
        )
        logger.info("%s: rows sorted by distance", name)
        found = _found(knn, n_threads)
    if not found & _SELF_SOMEWHERE:
        own = np.arange(count, dtype=np.int32)[:, None]
        logger.info("%s: each vertex added as its own first neighbour", name)
        return KNN(
            np.hstack([own, knn.indices]),
            np.hstack([np.zeros((count, 1), np.float32), knn.distances]),
        )
    return with_self_first(knn, insert=False) if found & _SELF_NOT_FIRST else knn


def with_self_first(knn: KNN, *, insert: bool) -> KNN:
    """Move each vertex to the front of its own row, at distance 0.

    The neighbours that were before it move back by one. Where points coincide, a search may list a
    vertex after its duplicates, or not at all.

    Parameters
    ----------
    insert
        Whether a vertex that is missing in its row replaces the last neighbour there. If False,
        such rows are not changed.
    """
    own = np.arange(knn.indices.shape[0])
    wrong = np.flatnonzero(knn.indices[:, 0] != own)
    if not insert:
        wrong = wrong[(knn.indices[wrong] == wrong[:, None]).any(axis=1)]
    if wrong.size == 0:
        return knn
    indices, distances = knn.indices.copy(), knn.distances.copy()
    rows, lengths = indices[wrong], distances[wrong]
    is_self = rows == wrong[:, None]
    place = np.where(is_self.any(axis=1), is_self.argmax(axis=1), rows.shape[1] - 1)
    moved = np.arange(1, rows.shape[1])[None] <= place[:, None]
    rows[:, 1:] = np.where(moved, rows[:, :-1], rows[:, 1:])
    lengths[:, 1:] = np.where(moved, lengths[:, :-1], lengths[:, 1:])
    rows[:, 0], lengths[:, 0] = wrong, 0.0
    indices[wrong], distances[wrong] = rows, lengths
    return KNN(indices, distances)


def given_neighbours(
    indices: object, distances: object, name: str, *, n_points: int | None = None
) -> KNN:
    """Check neighbours from the caller: their shapes, dtypes and ranges.

    Parameters
    ----------
    indices, distances, name
        As for :func:`checked_knn`.
    n_points
        Number of points that may be neighbours; None: one a row.

    Returns
    -------
    Arrays in C order, which may be the caller's own; rows may have any order. Where there is no
    neighbour, the index is -1 and the distance infinite.

    Raises
    ------
    ValueError, TypeError
        The message names the array.
    """
    rows, lengths = (
        given_array(value, f"{name}_{what}", allowed, kinds=kinds)
        for what, value, (kinds, allowed) in _named(indices, distances)
    )
    _check_shapes(rows.shape, lengths.shape, name)
    count = rows.shape[0] if n_points is None else n_points
    if rows.size and not (int(rows.min()) >= -1 and int(rows.max()) < count):
        msg = f"{name}_indices has entries outside of 0 to {count - 1}; -1 stands for none."
        raise ValueError(msg)
    present = (rows >= 0) & (lengths != np.inf)
    if (present & ~(lengths >= 0)).any():
        msg = f"{name}_distances has entries that are NaN or negative: distances are at least 0."
        raise ValueError(msg)
    with np.errstate(over="ignore", under="ignore"):
        narrow = np.ascontiguousarray(lengths, dtype=np.float32)
    if lengths.dtype != np.float32:
        beyond = int((present & (narrow == np.inf)).sum())
        if beyond:
            msg = f"{name}_distances has {beyond} entries that are beyond float32: "
            msg += "only an infinite distance stands for no neighbour."
            raise ValueError(msg)
        lost = int((present & (narrow == 0) & (lengths > 0)).sum())
        if lost:
            logger.warning("%s_distances: %d distances above 0 are 0 in float32", name, lost)
    rows = np.ascontiguousarray(rows, dtype=np.int32)
    if present.all():
        return KNN(rows, narrow)
    return KNN(np.where(present, rows, np.int32(-1)), np.where(present, narrow, np.float32(np.inf)))


def lazy_neighbours(indices: Any, distances: Any, name: str = "knn") -> tuple[Any, Any]:
    """Return neighbours as two Dask arrays with the same blocks, of whole rows.

    Parameters
    ----------
    indices, distances, name
        As for :func:`given_neighbours`; at least one is a Dask array.

    Raises
    ------
    ValueError, TypeError
        When shapes or dtypes are not those of neighbours. Values are not looked at.
    """
    found: dict[str, Any] = {}
    like = None
    # A Dask array comes first: the other one gets its blocks.
    for what, value, (kinds, allowed) in sorted(
        _named(indices, distances), key=lambda given: not is_lazy(given[1])
    ):
        found[what] = whole_rows(value, f"{name}_{what}", allowed, kinds=kinds, like=like)
        like = f"{name}_{what}", found[what]
    rows, lengths = found["indices"], found["distances"]
    _check_shapes(rows.shape, (rows.shape[0], *lengths.shape[1:]), name)
    return rows, lengths


def _named(indices: Any, distances: Any) -> list[tuple[str, Any, tuple[str, str]]]:
    return [("indices", indices, _INDICES), ("distances", distances, _DISTANCES)]


def _check_shapes(rows: tuple[int, ...], lengths: tuple[int, ...], name: str) -> None:
    if rows != lengths:
        msg = f"{name}_indices has shape {rows} and {name}_distances {lengths}: "
        msg += "they must be equal."
        raise ValueError(msg)
    if rows[1] == 0:
        msg = f"{name}_indices has shape {rows}: there are no neighbours in it."
        raise ValueError(msg)


def _found(knn: KNN, n_threads: int | None) -> int:
    """Inspect all rows; return the flags of what was found."""
    n = knn.indices.shape[0]
    parts = for_rows(n, n_threads, lambda a, b: _inspect(a, b, *knn), _ROWS_PER_TASK)
    return int(np.bitwise_or.reduce(parts))


@kernel()
def _inspect(first: Any, last: Any, indices: Any, distances: Any) -> Any:
    k = indices.shape[1]
    found = 0
    for i in range(first, last):
        previous = np.float32(0.0)
        if indices[i, 0] != i:
            found |= _SELF_NOT_FIRST
        for j in range(k):
            column, d = indices[i, j], distances[i, j]
            if d < previous:
                found |= _UNSORTED
            previous = d
            if column == i:
                found |= _SELF_SOMEWHERE
                if d > np.float32(0.0):
                    found |= _UNSORTED | _SELF_NOT_FIRST
    return found
