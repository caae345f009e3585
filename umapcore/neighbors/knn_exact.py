"""Exact nearest neighbours: every point is compared with every other.

Euclidean distances, and those of directions (cosine, correlation), have a kernel of our own, in
which every sum is taken in one written order: the same points have the same neighbours, and these
the same bits of distances, on every processor and for any number of threads. Other metrics are
SciPy's.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.spatial import distance

from umapcore.errors import nearest
from umapcore.graph import is_sparse
from umapcore.jit import inline, kernel
from umapcore.neighbors.knn import KNN
from umapcore.rows import over_rows
from umapcore.threads import thread_count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

#: Metrics of the kernels, and what distance they are a function of: |x - y|² of the points, or
#: of the points scaled to length 1, of which it is twice the cosine distance.
OWN_METRICS = {
    "euclidean": "euclidean",
    "l2": "euclidean",
    "sqeuclidean": "sqeuclidean",
    "cosine": "cosine",
    "correlation": "correlation",
}
#: Names that scikit-learn and pynndescent have for metrics of SciPy.
_ALIASES = {
    "manhattan": "cityblock",
    "l1": "cityblock",
    "taxicab": "cityblock",
    "linf": "chebyshev",
    "linfinity": "chebyshev",
    "linfty": "chebyshev",
}
_SCIPY_METRICS = frozenset(
    {
        "braycurtis", "canberra", "chebyshev", "cityblock", "dice", "hamming", "jaccard",
        "jensenshannon", "mahalanobis", "minkowski", "rogerstanimoto", "russellrao", "seuclidean",
        "sokalsneath", "yule",
    }
)  # fmt: skip
METRICS = frozenset({*OWN_METRICS, *_ALIASES, *_SCIPY_METRICS})
#: Points that are compared side by side.
LANES = 64
#: Coordinates that are added up before the sums are stored.
_TERMS = 4
_ROWS_PER_TASK = 64
#: Entries of a block of distances to all points.
_BLOCK_ENTRIES = 2**22


def has_exact(metric: object, *, is_sparse: bool) -> bool:
    """Whether :func:`exact_knn` knows a metric; of sparse points it knows its own ones alone."""
    if not isinstance(metric, str):
        return callable(metric) and not is_sparse
    return metric in OWN_METRICS or (metric in METRICS and not is_sparse)


def exact_knn(
    points: Any,
    n_neighbors: int,
    *,
    metric: str | Callable[..., float] = "euclidean",
    metric_kwds: Mapping[str, Any] | None = None,
    n_threads: int | None = None,
) -> KNN:
    """Find the exact nearest neighbours.

    Parameters
    ----------
    points
        float32, finite, (n, p), dense in C order or CSR in canonical form.
    n_neighbors
        k, from 1 to n; every point is its own first neighbour.
    metric, metric_kwds
        One of :data:`METRICS` or a function of two points, and its parameters.
    n_threads
        Threads to use; None takes the settings' number.

    Returns
    -------
    (n, k). Of neighbours at equal distances that with the smaller number comes first.

    Raises
    ------
    ValueError
        When the metric does not suit the points, or a distance is NaN.
    """
    own = OWN_METRICS.get(metric) if isinstance(metric, str) else None
    if own is None:
        knn = _by_scipy(points, n_neighbors, metric, metric_kwds or {})
        if np.isnan(knn.distances).any():
            msg = f"metric={metric!r} gives distances that are NaN for these data."
            raise ValueError(msg)
        return knn
    if metric_kwds:
        msg = f"metric_kwds={dict(metric_kwds)!r}: metric={metric!r} has no parameters."
        raise ValueError(msg)
    if own in {"cosine", "correlation"}:
        points = directions(points, centred=own == "correlation")
    if is_sparse(points):
        indices, squares = _by_products(points, n_neighbors, n_threads)
    else:
        indices, squares = _by_tiles(points, n_neighbors, n_threads)
    return KNN(indices, from_squares(squares, own))


def from_squares(squares: NDArray[np.float32], own: str) -> NDArray[np.float32]:
    """Turn squared Euclidean distances of points, or of their directions, into a metric's."""
    if own == "euclidean":
        return np.sqrt(squares)
    return squares if own == "sqeuclidean" else squares * np.float32(0.5)


def directions(points: Any, *, centred: bool) -> Any:
    """Scale points to length 1, centring each first if so wanted; dense stay dense.

    A point without a direction is at cosine distance 1 of all others and 0 of its like: it gets
    a coordinate of its own kind, which is added as a last column.
    """
    if is_sparse(points) and centred:
        points = points.toarray()
    if is_sparse(points):
        squares = np.asarray(points.multiply(points).sum(axis=1, dtype=np.float64)).ravel()
        scale = 1.0 / np.sqrt(np.where(squares > 0.0, squares, 1.0))
        scaled = sparse.csr_array(sparse.diags_array(scale).tocsr() @ points).astype(np.float32)
        extra = sparse.csr_array((squares == 0.0).astype(np.float32)[:, None])
        wide = sparse.csr_array(sparse.hstack([scaled, extra], format="csr"))
        wide.sum_duplicates()
        return wide
    dense = points.astype(np.float64)
    if centred:
        dense -= _row_sums(dense)[:, None] / max(1, dense.shape[1])
    largest = np.abs(dense).max(axis=1, initial=0.0)
    # What is left of a constant point after centring is rounding.
    nothing = largest <= 1e-6 * np.abs(points).max(axis=1, initial=0.0)
    dense /= np.where(nothing, 1.0, largest)[:, None]
    dense /= np.sqrt(np.where(nothing, 1.0, _row_sums(dense * dense)))[:, None]
    dense[nothing] = 0.0
    if nothing.any():
        dense = np.hstack([dense, nothing[:, None]])
    return np.ascontiguousarray(dense, dtype=np.float32)


def _row_sums(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum rows from the first column to the last: NumPy's order depends on the processor."""
    total = np.zeros(matrix.shape[0])
    for column in matrix.T:
        total += column
    return total


def _by_tiles(
    points: NDArray[np.float32], k: int, n_threads: int | None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Neighbours and squared distances of dense points."""
    n = points.shape[0]
    rows, across = tiled(points)
    indices, squares = _own_first(n, k)

    def search(a: int, b: int) -> None:
        _search_tiles(a, b, n, rows, across, indices, squares)

    over_rows(n, n_threads, search, _ROWS_PER_TASK)
    return indices, squares


def tiled(points: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give points, filled up with zeros, by rows, and in tiles of coordinates side by side."""
    n, p = points.shape
    padded = max(_TERMS, -(-p // _TERMS) * _TERMS)
    tiles = np.zeros((-(-n // LANES), LANES, padded), np.float32)
    tiles.reshape(-1, padded)[:n, :p] = points
    return tiles.reshape(-1, padded), np.ascontiguousarray(tiles.transpose(0, 2, 1))


def _own_first(n: int, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    indices = np.full((n, k), -1, np.int32)
    squares = np.full((n, k), np.inf, np.float32)
    indices[:, 0], squares[:, 0] = np.arange(n), 0.0
    return indices, squares


@inline
def keep(indices: Any, squares: Any, column: Any, square: Any, foremost: Any) -> None:
    """Put a neighbour that is nearer than the last one where it belongs, behind its equals.

    Places before `foremost` are not for it.
    """
    at = indices.shape[0] - 1
    while at > foremost and squares[at - 1] > square:
        indices[at] = indices[at - 1]
        squares[at] = squares[at - 1]
        at -= 1
    indices[at] = column
    squares[at] = square


@inline
def add_squares(point: Any, lanes: Any, sums: Any) -> None:
    """Write the squared distances of a point to those of a tile."""
    sums[:] = np.float32(0.0)
    for c in range(0, point.shape[0], _TERMS):
        x0, x1, x2, x3 = point[c], point[c + 1], point[c + 2], point[c + 3]
        y0, y1, y2, y3 = lanes[c], lanes[c + 1], lanes[c + 2], lanes[c + 3]
        for lane in range(LANES):
            d0 = x0 - y0[lane]
            d1 = x1 - y1[lane]
            d2 = x2 - y2[lane]
            d3 = x3 - y3[lane]
            sums[lane] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)


@kernel()
def _search_tiles(
    first: Any, last: Any, n: Any, rows: Any, across: Any, indices: Any, squares: Any
) -> None:
    """Compare the points `first` … `last` - 1 with all, tile by tile, which then stays cached."""
    k = indices.shape[1]
    if k < 2:
        return
    sums = np.empty(LANES, np.float32)
    for tile in range(across.shape[0]):
        lanes = across[tile]
        for i in range(first, last):
            add_squares(rows[i], lanes, sums)
            base = tile * LANES
            worst = squares[i, k - 1]
            for lane in range(min(LANES, n - base)):
                if sums[lane] < worst and base + lane != i:
                    keep(indices[i], squares[i], base + lane, sums[lane], 1)
                    worst = squares[i, k - 1]


@kernel()
def _keep_nearest(first: Any, block: Any, indices: Any, squares: Any) -> None:
    """Keep the nearest of all points for the rows of a block, which begins with row `first`."""
    k = indices.shape[1]
    for r in range(block.shape[0]):
        i = first + r
        if k < 2:
            continue
        worst = squares[i, k - 1]
        for j in range(block.shape[1]):
            d = np.float32(block[r, j])
            if d != d:
                squares[i, k - 1] = d
                break
            if d < worst and j != i:
                keep(indices[i], squares[i], j, d, 1)
                worst = squares[i, k - 1]


def _by_scipy(points: Any, k: int, metric: Any, metric_kwds: Mapping[str, Any]) -> KNN:
    """Blocks of all distances by SciPy."""
    if is_sparse(points):
        msg = f"metric={metric!r}: an exact search of sparse data knows only "
        msg += ", ".join(map(repr, OWN_METRICS)) + "."
        raise ValueError(msg)
    name, options = scipy_metric(metric, metric_kwds, points)
    n = points.shape[0]
    indices, distances = _own_first(n, k)
    step = max(1, _BLOCK_ENTRIES // n)
    for first in range(0, n, step):
        block = distance.cdist(points[first : first + step], points, name, **options)
        _keep_nearest(first, block, indices, distances)
    return KNN(indices, distances)


def scipy_metric(
    metric: Any, metric_kwds: Mapping[str, Any], points: NDArray[Any]
) -> tuple[Any, dict[str, Any]]:
    """Name and parameters of a metric of SciPy's, those that it takes from the points included."""
    name: Any = _ALIASES.get(metric, metric) if isinstance(metric, str) else metric
    options = dict(metric_kwds)
    if name == "seuclidean":  # of all points, not of those in a block
        options.setdefault("V", np.var(points, axis=0, ddof=1, dtype=np.float64))
    elif name == "mahalanobis" and "VI" not in options:
        options["VI"] = np.linalg.inv(np.atleast_2d(np.cov(points.T.astype(np.float64))))
    return name, options


def _by_products(
    points: Any, k: int, n_threads: int | None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Neighbours and squared distances of sparse points.

    They are chosen by |x|² + |y|² - 2 x·y; their distances are then computed from differences,
    since that formula takes doubles for near points.
    """
    wide = sparse.csr_array(points.astype(np.float64))
    across = wide.T.tocsr()
    lengths = np.asarray(wide.multiply(wide).sum(axis=1)).ravel()
    n = points.shape[0]
    indices, squares = _own_first(n, k)
    step = max(1, _BLOCK_ENTRIES // n)

    def search(first: int) -> None:
        rows = slice(first, min(n, first + step))
        block = -2.0 * (wide[rows] @ across).toarray()
        block += lengths
        block += lengths[rows, None]
        _keep_nearest(first, block, indices, squares)
        _square_differences(
            rows.start, rows.stop, wide.indptr, wide.indices, wide.data, indices, squares
        )

    with ThreadPoolExecutor(thread_count(n_threads)) as pool:
        list(pool.map(search, range(0, n, step)))
    return indices, squares


@kernel()
def _square_differences(
    first: Any, last: Any, indptr: Any, columns: Any, data: Any, indices: Any, squares: Any
) -> None:
    """Compute squared distances to the neighbours of some rows from differences; sort them."""
    for i in range(first, last):
        for j in range(1, indices.shape[1]):
            other = indices[i, j]
            e, end = indptr[i], indptr[i + 1]
            f, stop = indptr[other], indptr[other + 1]
            total = 0.0
            while e < end or f < stop:
                own = columns[e] if e < end else np.iinfo(np.int32).max
                their = columns[f] if f < stop else np.iinfo(np.int32).max
                difference = 0.0
                if own <= their:
                    difference += data[e]
                    e += 1
                if their <= own:
                    difference -= data[f]
                    f += 1
                total += difference * difference
            square = np.float32(total)
            at = j
            while at > 1 and (
                squares[i, at - 1] > square
                or (squares[i, at - 1] == square and indices[i, at - 1] > other)
            ):
                indices[i, at] = indices[i, at - 1]
                squares[i, at] = squares[i, at - 1]
                at -= 1
            indices[i, at] = other
            squares[i, at] = square


def metric_name(metric: Any) -> str:
    """Name of a metric, as it can be stored in a file."""
    return metric if isinstance(metric, str) else getattr(metric, "__name__", repr(metric))


def unknown_metric(metric: Any, known: Any) -> ValueError:
    """Make the error for a metric that no search knows."""
    msg = f"metric={metric!r} is unknown: metric must be one of "
    msg += ", ".join(map(repr, sorted(known))) + ", or a function of two points."
    return ValueError(msg + nearest(str(metric), known))
