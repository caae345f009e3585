"""Work on the rows of a CSR, as many at a time as fit into a window if it is in scratch files.

A CSR is a tuple of its values, columns and offsets here. What is made of it is where it is: in
memory, where one window has all rows, or in scratch files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from umapcore._kit.arrays import read_only
from umapcore._kit.scratch import Sink, chunks, converted, scratch_of, windows

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from umapcore._kit.scratch import Scratch

    #: Values, columns and offsets.
    Rows = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


def made_of_rows(
    csr: Rows, task: Callable[[int, int], Rows], offsets: NDArray[Any], bytes_each: int
) -> Rows:
    """Make a CSR of what a task returns for consecutive rows of another.

    Parameters
    ----------
    csr
        The other one, whose dtypes the result has.
    task
        Called as ``task(first, last)`` for the rows `first` … `last` - 1.
    offsets, bytes_each
        The entries of each row that count for a window, and the bytes that one takes meanwhile.
    """
    data, indices, indptr = csr
    scratch = scratch_of(indices)
    values, columns = Sink(scratch, data.dtype), Sink(scratch, indices.dtype)
    lengths = np.empty(indptr.shape[0] - 1, np.int64)
    for first, last in windows(offsets, scratch, bytes_each):
        found = task(first, last)
        values.append(found[0])
        columns.append(found[1])
        lengths[first:last] = np.diff(found[2])
        del found
    return values.array(), *narrow(columns.array(), _offsets_of(lengths), scratch)


def canonical(csr: Rows) -> Rows:
    """Sort the rows of a CSR and sum duplicates; the input is not changed."""

    def sort(first: int, last: int) -> Rows:
        rows = rows_of(csr, first, last).copy()
        rows.sum_duplicates()
        return rows.data, rows.indices, rows.indptr

    return made_of_rows(csr, sort, csr[2], 32)


def larger_of_both(
    csr: Rows, compare: Callable[[Any, Any], None] = lambda rows, mirrored: None
) -> Rows:
    """Return the larger of each entry of a canonical CSR and its mirror.

    `compare` is called with consecutive rows, and with the same rows of the transpose.
    """
    _, indices, indptr = csr
    # Rows of the transpose may be much longer or shorter.
    per_column = np.zeros(indptr.shape[0] - 1, np.int64)
    scratch = scratch_of(indices)
    if scratch is not None:
        for part in chunks(indices.shape[0], scratch):
            per_column += np.bincount(indices[part], minlength=per_column.shape[0])

    def join(first: int, last: int) -> Rows:
        rows, mirrored = rows_of(csr, first, last), _transposed(csr, first, last)
        compare(rows, mirrored)
        larger = sparse.csr_array(rows.maximum(mirrored))
        larger.sum_duplicates()
        return larger.data, larger.indices, larger.indptr

    return made_of_rows(csr, join, indptr + _offsets_of(per_column), 64)


def rows_of(csr: Rows, first: int, last: int) -> Any:
    """Return rows `first` … `last` - 1 of a CSR without copying their entries."""
    data, indices, indptr = csr
    begin, end = int(indptr[first]), int(indptr[last])
    offsets = indptr[first : last + 1] - indptr.dtype.type(begin)
    shape = (last - first, indptr.shape[0] - 1)
    return sparse.csr_array((data[begin:end], indices[begin:end], offsets), shape=shape)


def _transposed(csr: Rows, first: int, last: int) -> Any:
    """Return rows `first` … `last` - 1 of the transpose of a CSR."""
    data, indices, indptr = csr
    n = indptr.shape[0] - 1
    scratch = scratch_of(indices)
    if scratch is None:
        return sparse.csr_array((data, indices, indptr), shape=(n, n)).T.tocsr()
    places = []
    for part in chunks(indices.shape[0], scratch):
        tails = indices[part]
        places.append(np.flatnonzero((tails >= first) & (tails < last)) + part.start)
    at = np.concatenate(places)
    at = at[np.argsort(indices[at], kind="stable")]
    heads = (np.searchsorted(indptr, at, "right") - 1).astype(indices.dtype)
    offsets = _offsets_of(np.bincount(indices[at] - first, minlength=last - first))
    return sparse.csr_array((data[at], heads, offsets), shape=(last - first, n))


def narrow(
    indices: NDArray[Any], indptr: NDArray[Any], scratch: Scratch | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Convert columns and offsets to one dtype, int32 if possible: kernels compile once."""
    n = indptr.shape[0] - 1
    dtype = np.int32 if max(n, int(indptr[-1])) < 2**31 else np.int64
    return (
        read_only(converted(indices, dtype, scratch)),
        read_only(np.ascontiguousarray(indptr, dtype=dtype)),
    )


def _offsets_of(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where rows of these lengths begin, and where the last one ends."""
    offsets = np.zeros(lengths.shape[0] + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
