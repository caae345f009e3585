"""Read and check a graph: any kind of input becomes one symmetric, canonical CSR.

The caller's arrays are never written to. If nothing has to change, the result shares them
read-only. This is the usual case; it costs one pass over the edges and no copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from umapcore._kit.arrays import (
    REAL,
    given_array,
    is_sparse,
    read_only,
    sound_sparse,
)
from umapcore._kit.jit import kernel
from umapcore._kit.parallel import for_rows
from umapcore._kit.rng import mix64_of
from umapcore._kit.scratch import Scratch, Sink, chunks, converted
from umapcore.graph.rows import larger_of_both, made_of_rows, narrow, rows_of
from umapcore.graph.stored import brought
from umapcore.logs import logger

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore.graph.rows import Rows

_WEIGHTS = "a square sparse matrix or array of weights: real numbers, finite and at least 0"
#: Weights whose largest is beyond 2 to the power of plus or minus this are scaled. Sums and squares
#: of the others stay within the range of float32.
MOST_EXPONENT = 64
#: If w_ij and w_ji differ by less than this share of the largest weight, it counts as rounding.
_ROUNDING = 1e-5

#: Attribute of the graphs that :func:`prepare_graph` returns; preparing them again costs nothing.
#: Results of operations on them do not inherit it, and the arrays are read-only.
_MARK = "_umapcore_prepared"

# Faults that the pass over the edges can find; a graph without faults is ready.
_ZERO = 2
_LOOP = 4
_UNSORTED = 8
_DUPLICATE = 16
_ASYMMETRIC = 32


def prepare_graph(
    graph: object,
    *,
    n_vertices: int | None = None,
    name: str = "graph",
    n_threads: int | None = None,
    scratch: Scratch | None = None,
) -> sparse.csr_array[np.float32, tuple[int, int]]:
    """Check a weighted graph and convert it to the form that the other modules read.

    Parameters
    ----------
    graph
        Weights, n × n, of any real dtype: a scipy or cupyx sparse matrix or array of any format,
        a dense array, or an object that holds one of these: a dask array, a sparse data set of
        anndata, an HDF5 or Zarr array, a data frame.
    n_vertices
        n, if it is known.
    name
        Name of the graph in error messages.
    n_threads
        Number of threads; None takes ``umapcore.settings.n_threads``.
    scratch
        Where columns and weights are written, a part of the rows at a time, if the graph is not to
        be in memory.

    Returns
    -------
    Symmetric CSR with float32 weights above 0, sorted columns in every row, no duplicates and no
    self-loops. Its arrays are read-only and may be the caller's own.

    Duplicate entries are summed; self-loops and explicit zeros are dropped. If w_ij and w_ji
    differ, both are set to the larger one and a warning is logged. Very large or very small
    weights are scaled by a power of two, because only their ratios matter; those that are then
    too small for float32 are dropped.

    Raises
    ------
    ValueError
        When the graph is not square, not n × n, or has no vertices, when its arrays do not fit
        each other, or when a weight is NaN, infinite or negative.
    TypeError
        When it is not a matrix of real numbers.
    """
    if getattr(graph, _MARK, False) and isinstance(graph, sparse.csr_array):
        if scratch is None:
            return graph
        data = converted(graph.data, np.float32, scratch)
        return _marked(data, converted(graph.indices, graph.indices.dtype, scratch), graph.indptr)
    matrix = square_matrix(graph, name, _WEIGHTS, scratch)
    if n_vertices is not None and matrix.shape[0] != n_vertices:
        msg = f"{name} has {matrix.shape[0]} vertices: it must have {n_vertices}."
        raise ValueError(msg)
    data, indices, indptr = csr_parts(matrix, scratch)
    data = _checked_weights(data, name, scratch)
    found = _inspect(data, indices, indptr, n_threads)
    if found & (_ZERO | _LOOP | _UNSORTED | _DUPLICATE):
        data, indices, indptr = _tidied(data, indices, indptr, found, name)
        found = _inspect(data, indices, indptr, n_threads)
    if found & _ASYMMETRIC:
        data, indices, indptr = _symmetrised(data, indices, indptr, name)
    return _marked(data, indices, indptr)


def square_matrix(value: Any, name: str, allowed: str, scratch: Scratch | None = None) -> Any:
    """Return a graph or the distances of one: a SciPy matrix of the given format, or an array.

    Parameters
    ----------
    value
        What :func:`prepare_graph` accepts.
    name, allowed
        For messages: its name, and what it must be.
    scratch
        Where the arrays of a CSR or CSC are written; None: they are kept or read into memory.

    Raises
    ------
    ValueError, TypeError
        When it is not a square matrix of real numbers, or its arrays do not fit each other.
    """
    matrix = brought(value, name, scratch)
    if not is_sparse(matrix):
        matrix = given_array(matrix, name, allowed)
    elif len(matrix.shape) == 2:
        matrix = sound_sparse(matrix, name)
    if matrix.dtype.kind not in REAL:
        msg = f"{name} has values of dtype {matrix.dtype}: it must be {allowed}."
        raise TypeError(msg)
    shape = tuple(matrix.shape)
    if len(shape) != 2 or shape[0] != shape[1]:
        msg = f"{name} has shape {shape}: it must be square, one row and one column a vertex."
        raise ValueError(msg)
    if shape[0] == 0:
        msg = f"{name} has no vertices."
        raise ValueError(msg)
    return matrix


def csr_parts(
    matrix: Any, scratch: Scratch | None = None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return values, columns and offsets of the matrix as CSR; of a CSC, those of its transpose.

    The transpose may be used because the symmetrised matrix is the same. Duplicates are kept. With
    a scratch, values and columns are in it.
    """
    if is_sparse(matrix) and matrix.format != "coo":
        stored = int(matrix.indptr[-1])
        data = converted(matrix.data[:stored], matrix.data.dtype, scratch)
        return data, *narrow(matrix.indices[:stored], matrix.indptr, scratch)
    # SciPy's conversions do not know every dtype, and would sum duplicates, which `_tidied` logs.
    if is_sparse(matrix):
        order = np.argsort(matrix.row, kind="stable")
        rows, columns, data = matrix.row[order], matrix.col[order], matrix.data[order]
    else:
        rows, columns = np.nonzero(matrix)
        data = matrix[rows, columns]
    indptr = np.zeros(matrix.shape[0] + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=matrix.shape[0]), out=indptr[1:])
    return converted(data, data.dtype, scratch), *narrow(columns, indptr, scratch)


def _checked_weights(data: NDArray[Any], name: str, scratch: Scratch | None) -> NDArray[np.float32]:
    """Check weights and return them as float32, without a copy if possible."""
    if data.size:
        # Both are NaN if any weight is NaN.
        low, high = data.min(), data.max()
        if not (low >= 0 and high < np.inf):
            not_a_number = int(np.isnan(data).sum()) if data.dtype.kind == "f" else 0
            infinite = int(np.isinf(data).sum()) if data.dtype.kind == "f" else 0
            negative = int((data < 0).sum())
            msg = (
                f"{name} has {not_a_number} weights that are NaN, {infinite} infinite and "
                f"{negative} negative: weights must be finite and at least 0."
            )
            raise ValueError(msg)
        # Only ratios of weights matter, so all may be scaled. An even power of two does not change
        # how square roots are rounded.
        exponent = int(np.frexp(high)[1]) // 2 * 2 if data.dtype.kind == "f" else 0
        if abs(exponent) > MOST_EXPONENT:
            wide = np.promote_types(data.dtype, np.float64)
            sink = Sink(scratch, np.float32)
            for part in chunks(data.shape[0], scratch):
                sink.append(np.ldexp(data[part].astype(wide, copy=False), -exponent))
            data = sink.array()
    return converted(data, np.float32, scratch)


def _tidied(
    data: NDArray[np.float32],
    indices: NDArray[Any],
    indptr: NDArray[Any],
    found: int,
    name: str,
) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[Any]]:
    """Sort rows, sum duplicates, drop self-loops and explicit zeros; the input is not changed."""
    n_duplicates = n_loops = 0

    def tidy(first: int, last: int) -> Rows:
        nonlocal n_duplicates, n_loops
        rows = rows_of((data, indices, indptr), first, last)
        if found & (_UNSORTED | _DUPLICATE):
            given, rows = rows.nnz, rows.copy()
            rows.sum_duplicates()
            n_duplicates += given - rows.nnz
        values, tails, offsets = rows.data, rows.indices, rows.indptr
        heads = np.repeat(np.arange(first, last, dtype=tails.dtype), np.diff(offsets))
        loops = tails == heads
        n_loops += int(loops.sum())
        kept = ~loops & (values > 0)
        kept_before = np.zeros(values.shape[0] + 1, np.int64)
        np.cumsum(kept, out=kept_before[1:])
        return values[kept], tails[kept], kept_before[offsets]

    tidied = made_of_rows((data, indices, indptr), tidy, indptr, 32)
    if n_duplicates:
        logger.info("%s: %d duplicate entries summed", name, n_duplicates)
    if n_loops:
        logger.info("%s: %d self-loops dropped", name, n_loops)
    return tidied


def _symmetrised(
    data: NDArray[np.float32], indices: NDArray[Any], indptr: NDArray[Any], name: str
) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[Any]]:
    """Set both weights of every edge to the larger one, and log how many differed."""
    tolerance = _ROUNDING * data.max()
    differ = 0

    def compare(rows: Any, mirrored: Any) -> None:
        nonlocal differ
        differ += int((np.abs((rows - mirrored).data) > tolerance).sum())

    larger = larger_of_both((data, indices, indptr), compare)
    if differ:
        logger.warning(
            "%s is not symmetric: the two weights of %d pairs of vertices differ; "
            "both directions of an edge take the larger one.",
            name,
            differ // 2,
        )
    return larger


def _marked(
    data: NDArray[np.float32], indices: NDArray[Any], indptr: NDArray[Any]
) -> sparse.csr_array[np.float32, tuple[int, int]]:
    ready = _csr(data, indices, indptr)
    setattr(ready, _MARK, True)
    return ready


def _csr(
    data: NDArray[np.float32], indices: NDArray[Any], indptr: NDArray[Any]
) -> sparse.csr_array[np.float32, tuple[int, int]]:
    """Return a CSR of read-only views of arrays that are known to be canonical."""
    n = indptr.shape[0] - 1
    graph = sparse.csr_array(
        (read_only(data), read_only(indices), read_only(indptr)), shape=(n, n), copy=False
    )
    graph.has_sorted_indices = True
    graph.has_canonical_format = True
    return graph


@kernel()
def _scan(first: Any, last: Any, indptr: Any, indices: Any, bits: Any) -> Any:
    """Check the rows `first` … `last` - 1 in one pass.

    Returns
    -------
    found
        Faults that make the rows not canonical.
    unbalanced
        Sum of the hashes of edges above the diagonal, minus that of their mirrors below it,
        modulo 2**64. Over all rows of a symmetric graph it is 0. It is never 0 if exactly one
        edge has no mirror of its weight; for any other asymmetry it is 0 with a probability of
        one in 2**64. Looking up the mirror of every edge takes ten times as long, because it is
        far away in memory.
    """
    found = 0
    unbalanced = np.uint64(0)
    for i in range(first, last):
        previous = np.int64(-1)
        for e in range(np.uint64(indptr[i]), np.uint64(indptr[i + 1])):
            j = np.int64(indices[e])
            if bits[e] & np.uint32(0x7FFFFFFF) == 0:  # 0 or -0
                found |= _ZERO
            if j == i:
                found |= _LOOP
            if j < previous:
                found |= _UNSORTED
            elif j == previous:
                found |= _DUPLICATE
            previous = j
            low, high = np.uint64(i), np.uint64(j)
            if j < i:
                low, high = high, low
            pair = low << np.uint64(32) | high
            hashed = mix64_of(pair + np.uint64(bits[e]) * np.uint64(0xD1342543DE82EF95))
            unbalanced += hashed if i < j else ~hashed + np.uint64(1)
    return found, unbalanced


def _inspect(
    data: NDArray[np.float32], indices: NDArray[Any], indptr: NDArray[Any], n_threads: int | None
) -> int:
    """Return the faults that keep a graph from being canonical and symmetric."""
    views = (read_only(indptr), read_only(indices), read_only(data).view(np.uint32))
    parts = for_rows(indptr.shape[0] - 1, n_threads, lambda a, b: _scan(a, b, *views))
    found = 0
    unbalanced = 0
    for part, difference in parts:
        found |= part
        unbalanced += int(difference)
    return found if found or unbalanced % 2**64 == 0 else _ASYMMETRIC
