"""Recognise arrays and matrices of many kinds, bring them into memory, and check them.

Every array that a caller gives is checked here, once, before a kernel reads it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse

from umapcore.errors import bad_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


class Csr(NamedTuple):
    """Arrays of a CSR matrix, as kernels take them."""

    indptr: NDArray[Any]
    indices: NDArray[Any]
    weights: NDArray[Any]


#: Number of entries of a representation that are in memory at a time.
_CHUNK_ENTRIES = 2**23
#: Packages whose arrays and tables are recognised.
_ARRAY_PACKAGES = frozenset({"cupy", "cupyx", "dask", "h5py", "zarr", "pandas", "xarray"})


def is_sparse(value: object) -> bool:
    """Return whether a value is a SciPy sparse matrix or array."""
    return bool(sparse.issparse(value))


def on_gpu(value: object) -> bool:
    """Return whether a value is a CuPy array or matrix."""
    return package_of(value) in {"cupy", "cupyx"}


def package_of(value: object) -> str:
    """Return the package that a type comes from; anndata's types for parts of views do not count.

    A part of a view is, for example, anndata's DaskArrayView, which is a dask array.
    """
    homes = [base.__module__.partition(".")[0] for base in type(value).__mro__]
    return next((home for home in homes if home in _ARRAY_PACKAGES), homes[0])


def in_memory(value: Any) -> Any:
    """Copy an array or matrix from a device, disk or task graph; return other values unchanged.

    Nothing is imported for this: a value's kind is read from its type's module and its methods.
    """
    home = package_of(value)
    if on_gpu(value):
        return value.get()
    if home == "dask":
        return in_memory(_computed(value))
    if home == "anndata" and hasattr(value, "to_memory"):  # a sparse data set on disk
        return value.to_memory()
    if home in {"h5py", "zarr"}:
        return value[...]
    if home == "pandas":
        return value.to_numpy()
    if home == "xarray":
        return in_memory(value.data)
    return value


def _computed(value: Any) -> Any:
    """Compute a dask array. Its chunks may be sparse; some dask versions cannot join these."""
    if value.ndim != 2 or value.npartitions == 1:
        return value.compute()
    compute: Any = import_module("dask").compute
    (blocks,) = compute(value.to_delayed().tolist())  # chunks are read in threads of dask
    rows = [[in_memory(block) for block in row] for row in blocks]
    if any(is_sparse(block) for row in rows for block in row):
        return sparse.block_array(rows, format="csr")
    return np.block(rows)


def dask_pieces(array: Any) -> Iterator[tuple[slice, slice, Any]]:
    """Yield whole chunks of a dask matrix, as many at a time as fit in memory.

    Yields
    ------
    Which rows and columns they are, and what they hold: dense or sparse, in memory.
    """
    for rows in _joined(array.chunks[0], _CHUNK_ENTRIES // max(1, array.shape[1])):
        for columns in _joined(array.chunks[1], _CHUNK_ENTRIES // max(1, rows.stop - rows.start)):
            yield rows, columns, in_memory(array[rows, columns])


def _joined(lengths: tuple[int, ...], most: int) -> Iterator[slice]:
    """Yield ranges of at least one length each, and of at most `most` if they are several."""
    first = last = 0
    for length in lengths:
        if last > first and last + length - first > most:
            yield slice(first, last)
            first = last
        last += length
    if last > first:
        yield slice(first, last)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view of an array, the only type that kernels are compiled for."""
    view = array.view(np.ndarray)
    view.flags.writeable = False
    return view


#: NumPy's kinds of real numbers.
REAL = "buif"


def given_array(
    value: Any, name: str, allowed: str, *, kinds: str = REAL, ndim: int = 2
) -> NDArray[Any]:
    """Return numbers from the caller as a dense array in memory, of any dtype and memory order.

    Parameters
    ----------
    value
        An array, a data frame, a list, or what :func:`in_memory` accepts.
    name, allowed
        For messages: its name, and what it must be.
    kinds
        NumPy's kinds of dtypes that are accepted.
    ndim
        Required number of dimensions.

    Raises
    ------
    ValueError, TypeError
        When it is not such an array, or entries of it are masked.
    """
    found = in_memory(value)
    if isinstance(found, np.ma.MaskedArray):
        n_masked = int(np.ma.getmaskarray(found).sum())
        if n_masked:
            msg = f"{name} has {n_masked} masked values: it must be {allowed}."
            raise ValueError(msg)
        found = found.data
    try:
        array = np.asarray(found)
    except ValueError:  # a ragged list
        raise bad_type(name, value, allowed) from None
    if array.ndim == 0:
        raise bad_type(name, value, allowed)
    check_form(array, name, allowed, kinds=kinds, ndim=ndim)
    return array


def check_form(array: Any, name: str, allowed: str, *, kinds: str = REAL, ndim: int = 2) -> None:
    """Check the dtype and the number of dimensions of any array, without a look at its values.

    Raises
    ------
    ValueError, TypeError
        When they are not as :func:`given_array` requires.
    """
    if array.dtype.kind not in kinds and array.size:
        msg = f"{name} has dtype {array.dtype}: it must be {allowed}."
        raise TypeError(msg)
    if array.ndim != ndim:
        msg = f"{name} has shape {array.shape}: it must be {allowed}."
        raise ValueError(msg)


def given_points(
    value: Any, name: str, allowed: str, *, shape: tuple[int, int] | None = None
) -> NDArray[Any]:
    """Return finite coordinates from the caller, dense or sparse, as a dense matrix in memory.

    Raises
    ------
    ValueError, TypeError
        As :func:`given_array`; also for another shape, no entries without a `shape`, and values
        that are NaN, infinite or beyond float32.
    """
    found = in_memory(value)
    if is_sparse(found):
        found = sound_sparse(found, name)
        if found.dtype.kind in REAL:  # SciPy cannot convert every dtype
            found = found.astype(np.float64).toarray()
    points = given_array(found, name, allowed)
    if points.shape != shape if shape is not None else 0 in points.shape:
        msg = f"{name} has shape {points.shape}: it must be {allowed}."
        raise ValueError(msg)
    with np.errstate(over="ignore", under="ignore"):
        finite = np.isfinite(points.astype(np.float32, copy=False)).all(axis=1)
    if not finite.all():
        msg = (
            f"{name} has {finite.size - int(finite.sum())} rows that are not finite: "
            f"it must be {allowed}, all finite (float32)."
        )
        raise ValueError(msg)
    return points


def sound_sparse(matrix: Any, name: str) -> Any:
    """Check that the arrays of a SciPy matrix fit each other; SciPy and kernels rely on it.

    Returns
    -------
    A CSR or CSC unchanged, any other matrix as a COO, which may share its arrays. The values
    themselves are not checked.

    Raises
    ------
    ValueError
        When they do not fit; the message begins with the name of the matrix.
    """
    try:
        fault = _fault_of_sparse(matrix)
        if fault is None and matrix.format not in {"csr", "csc", "coo"}:
            matrix = matrix.tocoo(copy=False)
            fault = _fault_of_sparse(matrix)
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        fault = str(error)
    if fault is not None:
        msg = f"{name} is damaged: {fault}."
        raise ValueError(msg)
    return matrix


def _fault_of_sparse(matrix: Any) -> str | None:
    """Return what is wrong with the arrays of a matrix, or None."""
    n_rows, n_columns = matrix.shape
    if matrix.format == "coo":
        stored = matrix.data.shape
        return _fault_of_indices("row", matrix.row, n_rows, stored) or _fault_of_indices(
            "col", matrix.col, n_columns, stored
        )
    if matrix.format == "dia" and matrix.offsets.shape != matrix.data.shape[:1]:
        return f"its data have shape {matrix.data.shape} and its offsets {matrix.offsets.shape}"
    if matrix.format == "lil" and [*map(len, matrix.rows)] != [*map(len, matrix.data)]:
        return "its rows and data differ in length"
    if matrix.format not in {"csr", "csc", "bsr"}:
        return None
    tall, wide = matrix.blocksize if matrix.format == "bsr" else (1, 1)
    n_rows, n_columns = n_rows // tall, n_columns // wide
    if matrix.format == "csc":
        n_rows, n_columns = n_columns, n_rows
    data, indices, indptr = matrix.data, matrix.indices, matrix.indptr
    if indptr.shape != (n_rows + 1,) or indptr.dtype.kind not in "iu":
        return (
            f"its offsets (indptr) have shape {indptr.shape} and dtype {indptr.dtype} where "
            f"{n_rows + 1} integers are needed"
        )
    stored = int(indptr[-1])
    if data.ndim != (3 if matrix.format == "bsr" else 1) or indices.ndim != 1:
        return f"its data have shape {data.shape} and its indices {indices.shape}"
    if (
        indptr[0] != 0
        or (indptr[1:] < indptr[:-1]).any()
        or stored > min(data.shape[0], indices.shape[0])
    ):
        return (
            f"its offsets (indptr) do not fit its {data.shape[0]} values and "
            f"{indices.shape[0]} indices"
        )
    return _fault_of_indices("indices", indices[:stored], n_columns, (stored,))


def _fault_of_indices(name: str, indices: Any, n: int, shape: tuple[int, ...]) -> str | None:
    if indices.dtype.kind not in "iu" or len(shape) != 1 or indices.shape != shape:
        return (
            f"its {name} have shape {indices.shape} and dtype {indices.dtype} where integers of "
            f"shape {shape} are needed"
        )
    if indices.size and not (indices.min() >= 0 and indices.max() < n):
        return f"its {name} go beyond 0 to {n - 1}"
    return None


def row_pieces(representation: Any, name: str = "representation") -> Iterator[tuple[int, Any]]:
    """Yield the rows of a representation in pieces that fit in memory, with their first row.

    Parameters
    ----------
    representation
        Real numbers, two-dimensional, dense or sparse; it may be on disk.
    name
        Its name in messages.

    Raises
    ------
    ValueError, TypeError
        When it is something else. Values may be NaN.
    """
    allowed = "a matrix of real numbers, one row a vertex"
    if not hasattr(representation, "shape"):
        representation = given_array(representation, name, allowed)
    if len(representation.shape) != 2:
        msg = f"{name} has shape {tuple(representation.shape)}: it must be {allowed}."
        raise ValueError(msg)
    n, n_features = representation.shape
    step = max(1, _CHUNK_ENTRIES // max(1, n_features))
    by_position = getattr(representation, "iloc", representation)
    for first in range(0, n, max(1, n) if is_sparse(representation) else step):
        rows = representation if is_sparse(representation) else by_position[first : first + step]
        rows = in_memory(rows)
        if is_sparse(rows):
            if rows.dtype.kind not in REAL:
                raise bad_type(name, representation, allowed)
            rows = sound_sparse(rows, name)
            if rows.dtype not in (np.float32, np.float64):
                rows = rows.astype(np.float64)
        else:
            with np.errstate(over="ignore", under="ignore"):
                rows = given_array(rows, name, allowed).astype(np.float64, copy=False)
        yield first, rows


def csr_arrays(matrix: Any) -> Csr:
    """Return read-only views of a SciPy CSR's arrays, the only type kernels are compiled for."""
    return Csr(read_only(matrix.indptr), read_only(matrix.indices), read_only(matrix.data))
