"""Sparse matrices that are stored in pieces: their size, and a copy of them in a scratch.

They are data sets of anndata, in HDF5 files or zarr stores, and dask arrays whose blocks are
matrices. What is read at a time are some entries of the first and some rows of the second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from umapcore._kit.arrays import in_memory, is_sparse, package_of
from umapcore._kit.scratch import Sink, chunks, converted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from umapcore._kit.scratch import Scratch

#: Rows of a dask array that are computed at a time.
_ROWS = 2**16


def stored_entries(value: Any) -> tuple[int, int, int]:
    """Return the size of a graph without reading it.

    Returns
    -------
    Numbers of rows and of stored entries, and the bytes an entry will take in memory when it is
    read: 0 for what is in memory already. Numbers are 0 where they are not known.
    """
    rows = int(value.shape[0]) if len(getattr(value, "shape", ())) == 2 else 0
    if is_sparse(value):
        return rows, int(value.nnz), 0
    if _is_data_set(value):
        data, indices = value.group["data"], value.group["indices"]
        return rows, int(data.shape[0]), data.dtype.itemsize + indices.dtype.itemsize
    if package_of(value) == "dask" and rows and is_sparse(value._meta):
        # The first rows stand for all.
        some = min(rows, _ROWS // 16)
        stored = int(in_memory(value[:some]).nnz)
        return rows, stored * rows // some, value.dtype.itemsize + 4
    return rows, 0, 0


def brought(value: Any, name: str, scratch: Scratch | None) -> Any:
    """Bring a matrix from disk, a device or a task graph into memory, or into the scratch.

    Returns
    -------
    With a scratch, a CSR or CSC whose values and indices are there, unless `value` is of another
    kind. Everything else as :func:`umapcore._kit.arrays.in_memory` returns it.

    Raises
    ------
    ValueError
        When indices are beyond the matrix.
    """
    if scratch is None:
        return in_memory(value)
    if _is_data_set(value):
        group = value.group
        arrays = (group["data"], group["indices"], group["indptr"][...])
        return _in_scratch(arrays, value.format, value.shape, name, scratch)
    if package_of(value) == "dask" and is_sparse(value._meta):
        return _computed(value, name, scratch)
    return in_memory(value)


def _is_data_set(value: Any) -> bool:
    return package_of(value) == "anndata" and hasattr(value, "group") and hasattr(value, "format")


def _in_scratch(
    arrays: tuple[Any, Any, Any], kind: str, shape: tuple[int, int], name: str, scratch: Scratch
) -> Any:
    data, indices, indptr = arrays
    width = shape[1] if kind == "csr" else shape[0]
    sink = Sink(scratch, _index_dtype(shape, indices.shape[0]))
    for part in chunks(indices.shape[0], scratch):
        sink.append(_checked_indices(indices[part], width, name))
    make = sparse.csr_array if kind == "csr" else sparse.csc_array
    return make((converted(data, data.dtype, scratch), sink.array(), indptr), shape=shape)


def _computed(value: Any, name: str, scratch: Scratch) -> Any:
    """Compute a dask array, some rows at a time."""
    n, width = value.shape
    values = Sink(scratch, value.dtype)
    columns = Sink(scratch, _index_dtype(value.shape, 0))
    indptr = np.zeros(n + 1, np.int64)
    for first, rows in _row_blocks(value):
        columns.append(_checked_indices(rows.indices, width, name))
        values.append(rows.data)
        last = first + rows.shape[0]
        indptr[first + 1 : last + 1] = indptr[first] + rows.indptr[1:]
    dtype = _index_dtype(value.shape, int(indptr[-1]))
    indices = converted(columns.array(), dtype, scratch)
    return sparse.csr_array((values.array(), indices, indptr.astype(dtype)), shape=value.shape)


def _row_blocks(value: Any) -> Iterator[tuple[int, Any]]:
    for first in range(0, value.shape[0], _ROWS):
        yield first, sparse.csr_array(in_memory(value[first : first + _ROWS]))


def _checked_indices(indices: Any, width: int, name: str) -> Any:
    """Return indices, or refuse those that a narrower dtype could turn into valid ones."""
    if indices.size and not (indices.min() >= 0 and indices.max() < width):
        msg = f"{name} is damaged: its indices go beyond 0 to {width - 1}."
        raise ValueError(msg)
    return indices


def _index_dtype(shape: tuple[int, int], entries: int) -> type:
    return np.int32 if max(*shape, entries) < 2**31 else np.int64
