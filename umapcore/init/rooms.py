"""Rooms: the box that each connected component of a graph gets in the layout.

umap-learn places components by a spectral embedding of all distances between their centroids
(``umap.spectral.component_layout``). This needs a dense matrix, and the size of a component is
limited by its distance to the nearest other one. Here each component gets a box whose volume is
proportional to its number of vertices, and the boxes are arranged like the centroids. As in a k-d
tree, the unit cube is split repeatedly. Each split separates components that are on different sides
along a principal axis of the centroids. Apart from a logarithm, memory and time are linear in the
number of components.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from umapcore._kit.arrays import is_sparse, row_pieces
from umapcore._kit.rng import uniform
from umapcore.init.dense import product
from umapcore.init.jacobi import diagonalise, scaled_columns
from umapcore.logs import logger

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Sweeps of the subspace iteration; few, because only the order of centroids along axes matters.
_SWEEPS = 8
#: Metrics that depend only on directions.
_OF_DIRECTIONS = ("cosine", "correlation")
_AXES_STREAM = 0x61786573
#: If less than this share of a vector is left, the rest is only rounding errors.
_DEPENDENT = 1e-10
#: Coordinates of centroids are rounded to this share of the largest. Otherwise noise would
#: determine their order on an axis without extent.
_ROUND = 2.0**-20


def component_rooms(
    sizes: NDArray[np.int64], n_dimensions: int, targets: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Divide the unit cube among components.

    Parameters
    ----------
    sizes
        (components,): number of vertices of each, at least 1.
    n_dimensions
        Dimensions d of the cube.
    targets
        (components, d): preferred positions of the components, in any unit; only their order
        along the axes matters. None: large components come first.

    Returns
    -------
    low, high
        float64, (components, d): corners of boxes that do not overlap, with volumes proportional
        to `sizes`.
    """
    count = sizes.shape[0]
    if targets is None:
        targets = np.repeat(-sizes[:, None].astype(np.float64), n_dimensions, axis=1)
    # Ranks, unlike coordinates, have no ties. Box number and rank can be sorted as one integer.
    ranks = np.empty((count, n_dimensions), np.int64)
    by_target = np.argsort(targets, axis=0, kind="stable")
    np.put_along_axis(ranks, by_target, np.arange(count)[:, None], axis=0)
    low, high = np.zeros((count, n_dimensions)), np.ones((count, n_dimensions))
    # Components in the order of their boxes; all components in a box store its corners.
    order = np.arange(count)
    box = np.zeros(count, np.int64)
    while box[-1] < count - 1:
        axis = np.argmax(high[order] - low[order], axis=1)
        order = order[np.argsort(box * count + ranks[order, axis])]
        starts = np.flatnonzero(np.diff(box, prepend=-1))
        members = np.diff(starts, append=count)
        weight = sizes[order]
        total = np.add.reduceat(weight, starts)
        # A component goes left when its middle is in the left half of the box's weight.
        through = np.cumsum(weight)
        before = through - weight - np.repeat(through[starts] - weight[starts], members)
        goes_left = 2 * before + weight < np.repeat(total, members)
        n_left = np.clip(np.add.reduceat(goes_left, starts, dtype=np.int64), 1, members - 1)
        place = np.arange(count) - np.repeat(starts, members)
        is_left = place < np.repeat(n_left, members)
        left = np.add.reduceat(np.where(is_left, weight, 0), starts)
        share = np.repeat(left / total, members)
        # Boxes with a single component are not split.
        split = np.repeat(members > 1, members)
        lo, hi = low[order, axis], high[order, axis]
        cut = lo + share * (hi - lo)
        high[order, axis] = np.where(split & is_left, cut, hi)
        low[order, axis] = np.where(split & ~is_left, cut, lo)
        second = split & ~is_left
        box = np.cumsum((place == 0) | (second & (place == np.repeat(n_left, members)))) - 1
    return low, high


def centroid_targets(
    representation: Any,
    labels: NDArray[np.int32],
    sizes: NDArray[np.int64],
    n_dimensions: int,
    *,
    metric: str = "euclidean",
) -> NDArray[np.float64] | None:
    """Project the components' centroids on their principal axes.

    Parameters
    ----------
    representation
        Coordinates of the vertices, (n, p): dense or sparse. Arrays on disk and dask arrays are
        read piece by piece.
    labels, sizes
        Component of every vertex, and number of vertices of every component.
    n_dimensions
        Number of axes.
    metric
        For ``'cosine'`` and ``'correlation'`` the directions of the centroids are projected, for
        all other metrics the centroids themselves.

    Returns
    -------
    float64, (components, n_dimensions), or None when the representation is not finite.
    """
    sums = _sums(representation, labels, sizes.shape[0])
    largest = float(np.abs(sums.data if is_sparse(sums) else sums).max(initial=0.0))
    if not math.isfinite(largest):
        logger.warning(
            "the representation has values that are not finite; the graph's %d components are "
            "placed without it",
            sizes.shape[0],
        )
        return None
    # Only ratios of coordinates matter, and squares of these are neither too large nor too small.
    _, exponent = math.frexp(largest)
    sums = sums * 2.0 ** -max(exponent, -1000)
    if is_sparse(sums):
        centroids = sparse.diags_array(1.0 / sizes).tocsr() @ sums
    else:
        centroids = sums / sizes[:, None]
    if metric in _OF_DIRECTIONS:
        centroids = _directions(centroids, centred=metric == "correlation")
    mean = np.asarray(centroids.sum(axis=0)).ravel() / sizes.shape[0]

    def project(axes: NDArray[np.float64]) -> NDArray[np.float64]:
        projected: NDArray[np.float64] = _product(centroids, axes) - _product(mean[None], axes)
        return projected

    n_features = mean.shape[0]
    n_axes = min(n_dimensions + 2, n_features)
    axes = uniform(0, _AXES_STREAM, n_features * n_axes).reshape(n_features, n_axes) - 0.5
    for _ in range(_SWEEPS):
        scores = project(axes)
        spread = _product(mean[:, None], scores.sum(axis=0)[None])
        axes = _orthonormal(_product(centroids.T, scores) - spread)
    scores = project(axes)
    rotation = diagonalise(_product(scores.T, scores))
    scores = _product(scores, rotation[:n_dimensions].T)
    targets = np.zeros((sizes.shape[0], n_dimensions))
    targets[:, : scores.shape[1]] = np.rint(scaled_columns(scores) / _ROUND)
    return targets


def _directions(centroids: Any, *, centred: bool) -> Any:
    """Scale centroids to length 1, so that distances of directions become Euclidean ones.

    Sparse centroids are not centred, because they would become dense; their means are small.
    """
    if is_sparse(centroids):
        squares = np.asarray(centroids.multiply(centroids).sum(axis=1)).ravel()
    else:
        if centred:
            centroids = centroids - centroids.mean(axis=1)[:, None]
        squares = (centroids * centroids).sum(axis=1)
    scale = 1.0 / np.sqrt(np.where(squares > 0.0, squares, 1.0))
    return sparse.diags_array(scale).tocsr() @ centroids


def _product(x: Any, y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Multiply matrices without BLAS, whose rounding differs from machine to machine.

    So does that of SciPy's sums of products: on ARM, C compilers fuse multiplications and additions
    unless they are told not to. Where a sum has a single product, or all factors are 1, as in the
    other products of this module, that makes no difference.
    """
    if not is_sparse(x):
        return product(x, y)
    entries = x.tocoo()
    columns = (
        np.bincount(entries.row, entries.data * column[entries.col], minlength=x.shape[0])
        for column in y.T
    )
    return np.stack(list(columns), axis=1)


def _orthonormal(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormalise columns by Gram-Schmidt; linearly dependent ones become 0."""
    rows = np.ascontiguousarray(columns.T)
    for k, row in enumerate(rows):
        length = np.sqrt((row * row).sum())
        for _ in range(2):
            for other in rows[:k]:
                row -= (row * other).sum() * other
        rest = np.sqrt((row * row).sum())
        row *= 1.0 / rest if rest > _DEPENDENT * length else 0.0
    return rows.T


def _sums(representation: Any, labels: NDArray[np.int32], count: int) -> Any:
    """Sum the coordinates of each component's vertices; the sums are dense or sparse like them."""
    sums: Any = None
    n_rows = 0
    for first, rows in row_pieces(representation):
        n_rows = first + rows.shape[0]
        if n_rows > labels.shape[0]:
            break
        present, position = np.unique(labels[first : first + rows.shape[0]], return_inverse=True)
        shape = (present.shape[0], rows.shape[0])
        at = (position, np.arange(rows.shape[0]))
        piece = sparse.csr_array((np.ones(rows.shape[0]), at), shape=shape) @ rows
        if is_sparse(piece):
            entries = piece.tocoo()
            at = (present[entries.row], entries.col)
            spread = sparse.csr_array((entries.data, at), shape=(count, rows.shape[1]))
            sums = spread if sums is None else sums + spread
        else:
            if sums is None:
                sums = np.zeros((count, rows.shape[1]))
            with np.errstate(over="ignore", invalid="ignore"):
                sums[present] += piece
    if n_rows != labels.shape[0]:
        msg = (
            f"representation has shape {np.shape(representation)}: it must have "
            f"{labels.shape[0]} rows, one a vertex."
        )
        raise ValueError(msg)
    return sums
