"""``umapcore.compare``: whether two embeddings are the same, and if not, how they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.checks import check_integer
from umapcore.errors import bad_type, bad_value, did_you_mean

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import ArrayLike, NDArray

# With more observations than this, neighbours are searched only for this many of them.
_MOST_LOOKED_UP = 50_000
_CHUNK = 10_000


@dataclass(frozen=True)
class Comparison:
    """How two embeddings differ; made by :func:`compare`.

    A value of None could not be computed: the two embeddings have too little in common.
    """

    #: Same cells in the same order, same shape, type and bits.
    equal: bool
    #: Observations and dimensions of each.
    shapes: tuple[tuple[int, int], tuple[int, int]]
    #: Data types of each.
    dtypes: tuple[str, str]
    #: Whether both have the same observations in any order, and whether in the same order.
    same_cells: bool
    same_order: bool
    #: Number of observations that both have. All values below are about these.
    n_shared: int
    #: Number of observations with a coordinate that differs between the two.
    n_moved: int | None
    #: Largest difference between two coordinates.
    largest_difference: float | None
    #: Procrustes disparity: 0 if rotation, reflection, translation and scaling can make the layouts
    #: equal; at most 1.
    procrustes: float | None
    #: Share of the k nearest neighbours in one layout that are among the k nearest in the other.
    neighbor_overlap: float | None
    k: int


def compare(
    a: AnnData | ArrayLike, b: AnnData | ArrayLike, *, key: str = "X_umap", k: int = 15
) -> Comparison:
    """Compare two embeddings by their bits, shape and neighbourhoods.

    Observations are matched by their names. Arrays have no names and are matched row by row.

    Parameters
    ----------
    a, b
        Annotated data with an embedding in ``obsm[key]``, or arrays, n × dimensions.
    key
        Key of the embedding, with or without the leading ``X_``.
    k
        Number of neighbours to compare; fewer if there are not enough observations. The search
        is exact. Above 50,000 observations it runs for 50,000 of them, the same each time.

    Returns
    -------
    A :class:`Comparison`.

    Raises
    ------
    ValueError, TypeError
        When there is no such embedding, or when observations cannot be matched because their
        names are not unique or because arrays differ in their number of rows.

    Examples
    --------
    >>> import numpy as np, umapcore as uc
    >>> positions = np.random.default_rng(0).normal(size=(50, 2))
    >>> uc.compare(positions, positions).equal
    True
    """
    k = check_integer("k", k, 1)
    (names_a, first), (names_b, second) = _embedding("a", a, key), _embedding("b", b, key)
    shapes = (_shape(first), _shape(second))
    if names_a is None or names_b is None:
        if shapes[0][0] != shapes[1][0]:
            msg = (
                f"a has {shapes[0][0]} rows and b {shapes[1][0]}: only AnnData objects, whose "
                "observations have names, can be compared then."
            )
            raise ValueError(msg)
        same_cells = same_order = True
    else:
        same_order = len(names_a) == len(names_b) and bool((names_a == names_b).all())
        same_cells = same_order
        if not same_order:
            rows_a, rows_b = _matched(names_a, names_b)
            same_cells = len(rows_a) == len(names_a) == len(names_b)
            first, second = first[rows_a], second[rows_b]
    equal = (
        same_order
        and shapes[0] == shapes[1]
        and first.dtype == second.dtype
        and np.ascontiguousarray(first).tobytes() == np.ascontiguousarray(second).tobytes()
    )
    one, other = _float64(first), _float64(second)
    finite = np.isfinite(one).all(axis=1) & np.isfinite(other).all(axis=1)
    alike = shapes[0][1] == shapes[1][1]
    moved = None
    if alike:
        moved = int((~((one == other) | (np.isnan(one) & np.isnan(other))).all(axis=1)).sum())
    n_shared = len(one)
    one, other = one[finite], other[finite]
    return Comparison(
        equal=equal,
        shapes=shapes,
        dtypes=(str(first.dtype), str(second.dtype)),
        same_cells=same_cells,
        same_order=same_order,
        n_shared=n_shared,
        n_moved=moved,
        largest_difference=_largest_difference(one, other) if alike and one.size else None,
        procrustes=_procrustes(one, other),
        neighbor_overlap=_overlap(one, other, min(k, len(one) - 1)),
        k=min(k, max(len(one) - 1, 0)),
    )


def _embedding(name: str, given: Any, key: str) -> tuple[NDArray[Any] | None, NDArray[Any]]:
    """Return the names of the observations (None for an array) and the positions."""
    names = None
    if hasattr(given, "obsm"):
        found = key if key in given.obsm else f"X_{key}"
        if found not in given.obsm:
            msg = f"{name}: did not find .obsm[{key!r}].{did_you_mean(key, given.obsm.keys())}"
            raise ValueError(msg)
        names, given = given.obs.index.to_numpy(), given.obsm[found]
    positions = np.asarray(given.toarray() if hasattr(given, "toarray") else given)
    if positions.dtype.kind not in "fiu":
        raise bad_type(name, given, "an AnnData object or an array of numbers")
    if positions.ndim != 2 or not positions.shape[1]:
        allowed = "an AnnData object or an array of two dimensions with at least one column"
        raise bad_value(name, given, allowed)
    return names, positions


def _shape(positions: NDArray[Any]) -> tuple[int, int]:
    n, dimensions = positions.shape
    return n, dimensions


def _matched(a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows of the shared observations in both, in the order of the first."""
    import pandas as pd

    first, second = pd.Index(a), pd.Index(b)
    for name, index in (("a", first), ("b", second)):
        if not index.is_unique:
            twice = index[index.duplicated()][0]
            msg = (
                f"{name}: the observation {twice!r} occurs more than once, so the observations, "
                "whose order differs, cannot be matched. `obs_names_make_unique()` makes names."
            )
            raise ValueError(msg)
    places = second.get_indexer(first)
    rows = np.flatnonzero(places >= 0)
    return rows, np.asarray(places[rows], dtype=np.intp)


def _float64(positions: NDArray[Any]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):  # larger long doubles become infinite
        return positions.astype(np.float64)


def _largest_difference(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    with np.errstate(over="ignore"):
        return float(np.abs(a - b).max())


def _near_one(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale by a power of two, so that no square overflows, and none vanishes that matters."""
    largest = np.abs(positions).max(initial=0.0)
    return np.ldexp(positions, -int(np.frexp(largest)[1]))


def _procrustes(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Return the sum of squared differences after the best match (Gower 1975), each of norm 1."""
    if a.shape != b.shape or not a.size:
        return None
    if np.array_equal(a, b):
        return 0.0
    a, b = _near_one(a), _near_one(b)
    a, b = _near_one(a - a.mean(axis=0)), _near_one(b - b.mean(axis=0))
    norms = np.linalg.norm(a), np.linalg.norm(b)
    if not all(norms):
        return None  # all points of one embedding coincide
    singular = np.linalg.svd((a / norms[0]).T @ (b / norms[1]), compute_uv=False)
    return float(max(1.0 - singular.sum() ** 2, 0.0))


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64], k: int) -> float | None:
    """Return the mean share of common neighbours."""
    if k < 1:
        return None
    rows = np.arange(len(a))
    if len(rows) > _MOST_LOOKED_UP:
        rows = np.sort(np.random.default_rng(0).choice(rows, _MOST_LOOKED_UP, replace=False))
    first, second = _neighbors(a, rows, k), _neighbors(b, rows, k)
    common = 0
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        common += int((first[part, :, None] == second[part, None, :]).sum())
    return common / (k * len(rows))


def _neighbors(points: NDArray[np.float64], rows: NDArray[np.intp], k: int) -> NDArray[np.intp]:
    """Return the k nearest other points of some points; of more coincident points, any k."""
    from scipy.spatial import cKDTree

    points = _near_one(points)
    _, found = cKDTree(points).query(points[rows], k=k + 1, workers=-1)
    found = np.asarray(found, dtype=np.intp)
    # A point is its own nearest neighbour. If others coincide with it and it was not found, drop
    # the last one found instead.
    own = found == rows[:, None]
    own[~own.any(axis=1), -1] = True
    others: NDArray[np.intp] = found[~own].reshape(len(rows), k)
    return others
