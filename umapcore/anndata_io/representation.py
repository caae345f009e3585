"""Choose the coordinates of an AnnData object in which neighbours are searched."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from umapcore._kit.arrays import dask_pieces, in_memory, is_sparse, package_of, sound_sparse
from umapcore._kit.checks import check_integer
from umapcore._kit.mapped import check_room, contiguous, scratch_zeros
from umapcore.errors import bad_type, did_you_mean
from umapcore.logs import logger
from umapcore.neighbors.pairs import row_length
from umapcore.neighbors.pca import PrincipalComponents, principal_components

if TYPE_CHECKING:
    from anndata import AnnData

#: X itself is used up to this number of variables, as in scanpy. Also the components of a PCA.
FEW_VARIABLES = 50
#: A dask array of up to so many bytes in float32 is computed into memory as a whole.
_FEW_BYTES = 2**26

#: How raw counts are recognised, see `looks_like_raw_counts`.
_ROWS_TO_LOOK_AT = 256
_HEAVY_TAIL = 10
_DEPTHS_DIFFER = 2
_FULL_SCALES = frozenset({255.0, 1023.0, 4095.0, 16383.0, 65535.0})


@dataclass(frozen=True)
class Representation:
    """Coordinates, and what must be stored about them.

    Attributes
    ----------
    points
        float32, finite, (n_obs, p): dense in C order, in a scratch file if they are those of a
        large dask array; or canonical CSR.
    use_rep, n_pcs
        Values to store in the neighbours' params; None for nothing.
    computed_pca
        Principal components to store, if they were computed because none were stored; or None.
    """

    points: Any
    use_rep: str | None
    n_pcs: int | None
    computed_pca: PrincipalComponents | None = None


def choose_representation(
    adata: AnnData,
    use_rep: str | None = None,
    n_pcs: int | None = None,
    *,
    computes_pca: bool = True,
) -> Representation:
    """Choose coordinates as scanpy does, and check them.

    Parameters
    ----------
    adata
        Holds the coordinates in `obsm` or `X`, which may be on disk or on a device. MuData has
        no `X`.
    use_rep
        A key of `obsm`, or 'X'. None: X when it has at most 50 variables or `n_pcs` is 0, else
        ``obsm['X_pca']``, else principal components of X, with a warning. Unlike in scanpy,
        ``X_pca`` is also used when X is absent or has fewer variables than ``X_pca`` has
        components, so that ``X_pca`` cannot have been computed from it.
    n_pcs
        Number of leading columns to use; None: all.
    computes_pca
        Whether principal components are computed where they are missing.

    Raises
    ------
    ValueError, TypeError
        When there are no such coordinates, or they are not finite numbers.
    OSError
        When a scratch file does not fit on the disk.
    """
    if n_pcs is not None:
        n_pcs = check_integer("n_pcs", n_pcs, 0, or_none=True)
    if use_rep is not None and not isinstance(use_rep, str):
        raise bad_type("use_rep", use_rep, "None, 'X' or a key of .obsm")
    wanted = use_rep
    if use_rep is None:
        use_rep, wanted = _default(adata, n_pcs)
    if use_rep == "X" and "X" not in adata.obsm:
        x = x_of(adata)
        if x is None:
            msg = "There is no .X to find neighbours in: use_rep must be a key of .obsm "
            raise ValueError(msg + f"({_listed(adata)}).")
        logger.info("neighbours: in .X, %d variables", n_variables(adata))
        points = _streamed(x, adata.n_obs, ".X")
        if points is None:
            points = checked_points(x, adata.n_obs, ".X")
        return Representation(points, wanted, n_pcs)
    if computes_pca and use_rep == "X_pca" and "X_pca" not in adata.obsm and wanted is None:
        return _by_pca(adata, n_pcs)
    if use_rep not in adata.obsm:
        msg = f"use_rep={use_rep!r}: there is no .obsm[{use_rep!r}]; it must be 'X' or a key of "
        msg += f".obsm ({_listed(adata)})."
        raise ValueError(msg + did_you_mean(use_rep, adata.obsm))
    points = _streamed(adata.obsm[use_rep], adata.n_obs, f".obsm[{use_rep!r}]")
    if points is None:
        points = checked_points(adata.obsm[use_rep], adata.n_obs, f".obsm[{use_rep!r}]")
    if n_pcs:
        if n_pcs > points.shape[1]:
            msg = f"n_pcs={n_pcs}: .obsm[{use_rep!r}] has {points.shape[1]} columns only."
            raise ValueError(msg)
        points = points[:, :n_pcs]
        points = points if is_sparse(points) else contiguous(points)
    logger.info("neighbours: in .obsm[%r], %d dimensions", use_rep, points.shape[1])
    return Representation(points, wanted, n_pcs)


def _default(adata: AnnData, n_pcs: int | None) -> tuple[str, str | None]:
    """Choose the default key, and return it with the use_rep to store in params."""
    if n_pcs == 0:
        return "X", None
    if n_variables(adata) > FEW_VARIABLES:
        return "X_pca", None
    stored = adata.obsm.get("X_pca")
    if stored is not None and (x_of(adata) is None or n_variables(adata) < stored.shape[1]):
        return "X_pca", "X_pca"
    return "X", None


def _by_pca(adata: AnnData, n_pcs: int | None) -> Representation:
    x = x_of(adata)
    if x is None:
        msg = "There is neither .X nor .obsm['X_pca'] to find neighbours in: use_rep must be a "
        raise ValueError(msg + f"key of .obsm ({_listed(adata)}).")
    matrix = checked_points(x, adata.n_obs, ".X")
    most = min(matrix.shape) - 1
    if n_pcs is not None and n_pcs > most:
        msg = f"n_pcs={n_pcs}: .X, of shape {matrix.shape}, has at most {most}."
        raise ValueError(msg)
    if most < 1:
        return Representation(matrix, "X", None)
    count = min(FEW_VARIABLES, most) if n_pcs is None else n_pcs
    said = (
        f".X has {n_variables(adata)} variables and there is no .obsm['X_pca']: {count} principal "
        "components are computed from .X as it is, and stored there. "
    )
    if looks_like_raw_counts(matrix):
        said += (
            "But .X looks like raw counts: the picture will mostly show how many counts each "
            "observation has. The usual steps before are sc.pp.normalize_total, sc.pp.log1p and "
            "sc.pp.pca."
        )
    else:
        said += "use_rep='X' uses .X itself."
    warnings.warn(said, UserWarning, stacklevel=4)
    components = principal_components(matrix, count)
    return Representation(components.scores, None, n_pcs, components)


def looks_like_raw_counts(matrix: Any) -> bool:
    """Return whether a matrix looks like counts of molecules that were not normalised.

    It is asked only where principal components are computed, so for more than 50 variables. In
    fewer, whole numbers are often measures on scales of their own, such as ages and incomes, which
    nothing here tells from counts.

    Parameters
    ----------
    matrix
        (n, p), dense or CSR. Only a sample of its rows is looked at.
    """
    n = matrix.shape[0]
    rows = matrix[np.unique(np.linspace(0, n - 1, _ROWS_TO_LOOK_AT).astype(np.int64))]
    values = rows.data if is_sparse(rows) else rows
    positive = values[values > 0]
    if not positive.size or values.min() < 0 or (positive != np.floor(positive)).any():
        return False
    # Most counts are small and a few are very large: in grey values, ratings, one-hot codes and
    # 0/1 features the largest value is near the typical one.
    largest = float(positive.max())
    if largest < _HEAVY_TAIL * float(np.median(positive)):
        return False
    # Dark images have such a tail as well, but it ends where the sensor or the format does.
    if largest in _FULL_SCALES:
        return False
    # What misleads is that some observations have many times the counts of others. Normalised
    # counts that were rounded do not have this.
    totals = np.asarray(rows.sum(axis=1, dtype=np.float64)).ravel()
    low, high = np.percentile(totals, [5, 95])
    return bool(high >= _DEPTHS_DIFFER * low and high > 0)


def x_of(adata: AnnData) -> Any:
    """Return X, or None: MuData has none, and anndata raises KeyError for an open file without."""
    try:
        return getattr(adata, "X", None)
    except KeyError:
        return None


def n_variables(adata: AnnData) -> int:
    """Return the number of variables, 0 if the object has observations alone."""
    return int(getattr(adata, "n_vars", 0))


def checked_points(stored: Any, n: int, name: str) -> Any:
    """Return the coordinates of n points in memory, as a finite float32 matrix, dense or CSR.

    Raises
    ------
    ValueError, TypeError
        When they are something else; the message begins with their name.
    """
    matrix = in_memory(stored)
    if is_sparse(matrix):
        matrix = sound_sparse(matrix, name)
    else:
        matrix = np.asarray(matrix)
        if matrix.ndim == 1:
            matrix = matrix[:, None]
    _check_form(matrix, n, name)
    points: Any
    if is_sparse(matrix):
        with np.errstate(over="ignore"):
            points = sparse.csr_array(matrix, dtype=np.float32, copy=False)
        if not points.has_canonical_format:
            points = points.copy()
            points.sum_duplicates()
        values = points.data
    else:
        with np.errstate(over="ignore"):
            points = values = np.ascontiguousarray(matrix, dtype=np.float32)
    if not np.isfinite(values).all():
        raise _not_finite(int((~np.isfinite(values)).sum()), name)
    return points


def _streamed(stored: Any, n: int, name: str) -> Any:
    """Return the coordinates of a large dense dask array in a scratch file; None for others.

    A few chunks are in memory at a time. The coordinates, and the errors, are those of
    :func:`checked_points`; also OSError, when the disk has too little room.
    """
    if package_of(stored) != "dask" or not 1 <= len(stored.shape) <= 2:
        return None
    if any(math.isnan(length) for length in stored.shape):
        return None
    matrix = stored[:, None] if len(stored.shape) == 1 else stored
    _check_form(matrix, n, name)
    if is_sparse(getattr(matrix, "_meta", None)) or 4 * n * matrix.shape[1] <= _FEW_BYTES:
        return None
    # A search copies the points to rows of whole blocks, and these again in another order.
    check_room(4 * n * (matrix.shape[1] + 2 * row_length(matrix.shape[1])))
    points = scratch_zeros(matrix.shape, np.float32)
    count = 0
    for rows, columns, piece in dask_pieces(matrix):
        if is_sparse(piece):
            return None
        _check_form(piece, rows.stop - rows.start, name)
        part = points[rows, columns]
        if piece.shape != part.shape:
            msg = f"{name} has a chunk of shape {piece.shape} in the place of {part.shape}."
            raise ValueError(msg)
        with np.errstate(over="ignore"):
            part[:] = piece
        count += int((~np.isfinite(part)).sum())
    if count:
        raise _not_finite(count, name)
    return points


def _check_form(matrix: Any, n: int, name: str) -> None:
    """Check that a matrix holds real numbers, in n rows and at least one column."""
    if matrix.dtype.kind not in "buif":
        msg = f"{name} has dtype {matrix.dtype}: neighbours need real numbers."
        raise TypeError(msg)
    if matrix.ndim != 2 or matrix.shape[0] != n or matrix.shape[1] == 0:
        msg = f"{name} has shape {matrix.shape}: it must have {n} rows and at least one column."
        raise ValueError(msg)


def _not_finite(count: int, name: str) -> ValueError:
    return ValueError(f"{name} has {count} values that are NaN, infinite or beyond float32.")


def _listed(adata: AnnData) -> str:
    return ", ".join(repr(key) for key in adata.obsm) or "which is empty"
