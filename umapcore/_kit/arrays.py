"""Recognise arrays and matrices of many kinds, and bring them into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse

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
    rows = [[in_memory(block.compute()) for block in row] for row in value.to_delayed()]
    if any(is_sparse(block) for row in rows for block in row):
        return sparse.block_array(rows, format="csr")
    return np.block(rows)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view of an array, the only type that kernels are compiled for."""
    view = array.view(np.ndarray)
    view.flags.writeable = False
    return view


def row_pieces(representation: Any) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a representation in pieces that fit in memory, with their first row."""
    n, n_features = representation.shape
    if is_sparse(representation):
        yield 0, representation
        return
    step = max(1, _CHUNK_ENTRIES // max(1, n_features))
    by_position = getattr(representation, "iloc", representation)
    for first in range(0, n, step):
        rows = in_memory(by_position[first : first + step])
        if not is_sparse(rows):
            rows = np.asarray(rows, np.float64)
        yield first, rows


def csr_arrays(matrix: Any) -> Csr:
    """Return read-only views of a SciPy CSR's arrays, the only type kernels are compiled for."""
    return Csr(read_only(matrix.indptr), read_only(matrix.indices), read_only(matrix.data))
