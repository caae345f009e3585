"""prepare_graph: every form of graph becomes the same CSR, and none is touched."""

from __future__ import annotations

import logging
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from tests.support.graphs import clusters
from umapcore import OptimizerSpec, simplicial_set_embedding
from umapcore.graph.csr import prepare_graph
from umapcore.layout.density import density_of


@pytest.fixture(scope="module")
def weights() -> sparse.csr_array:
    graph = clusters(60)
    graph.data = np.round(graph.data * 8) + 1  # exact in every dtype
    return with_index_dtype(graph, "int32")


class OnDevice:
    """Stands in for a cupyx matrix, which comes to the host by get()."""

    __module__ = "cupyx.scipy.sparse._csr"

    def __init__(self, matrix: object) -> None:
        self.matrix = matrix

    def get(self) -> object:
        return self.matrix


def with_index_dtype(graph: sparse.csr_array, dtype: str) -> sparse.csr_array:
    graph = graph.copy()
    graph.indices, graph.indptr = graph.indices.astype(dtype), graph.indptr.astype(dtype)
    return graph


def unsorted(graph: sparse.csr_array) -> sparse.csr_array:
    graph = graph.copy()
    for start, stop in zip(graph.indptr[:-1], graph.indptr[1:], strict=True):
        graph.indices[start:stop] = graph.indices[start:stop][::-1].copy()
        graph.data[start:stop] = graph.data[start:stop][::-1].copy()
    graph.has_sorted_indices = False
    return graph


def with_duplicates(graph: sparse.csr_array) -> sparse.csr_array:
    """Every weight in two halves."""
    doubled = sparse.csr_array(
        (np.repeat(graph.data / 2, 2), np.repeat(graph.indices, 2), graph.indptr * 2),
        shape=graph.shape,
    )
    assert doubled.nnz == 2 * graph.nnz
    return doubled


def with_zeros(graph: sparse.csr_array) -> sparse.csr_array:
    entries = graph.tocoo()
    n = graph.shape[0]
    data = np.r_[entries.data, np.zeros(n)]
    rows, columns = np.r_[entries.row, np.arange(n)], np.r_[entries.col, np.arange(n)[::-1]]
    order = np.lexsort((columns, rows))
    indptr = np.r_[0, np.cumsum(np.bincount(rows, minlength=n))]
    return sparse.csr_array((data[order], columns[order], indptr), shape=graph.shape)


def with_coo_duplicates(graph: sparse.csr_array) -> sparse.coo_array:
    entries = graph.tocoo()
    halves = np.r_[entries.data, entries.data] / 2
    at = (np.r_[entries.row, entries.row], np.r_[entries.col, entries.col])
    return sparse.coo_array((halves, at), shape=graph.shape)


FORMS = {
    "csr_matrix": sparse.csr_matrix,
    "csr_array": sparse.csr_array,
    "csc_matrix": sparse.csc_matrix,
    "csc_array": sparse.csc_array,
    "coo_matrix": sparse.coo_matrix,
    "coo_array": sparse.coo_array,
    "lil": sparse.lil_array,
    "dok": sparse.dok_array,
    "bsr": lambda g: g.tobsr((2, 2)),
    "dia": sparse.dia_array,
    "dense": lambda g: g.toarray(),
    "matrix": lambda g: g.toarray().view(np.matrix),
    "list": lambda g: g.toarray().tolist(),
    "fortran": lambda g: np.asfortranarray(g.toarray()),
    "data frame": lambda g: pd.DataFrame(g.toarray()),
    "cupyx": lambda g: OnDevice(sparse.csr_matrix(g)),
    "cupyx dense": lambda g: OnDevice(g.toarray()),
    "int64 indices": lambda g: with_index_dtype(g, "int64"),
    "uint64 indices": lambda g: with_index_dtype(g, "uint64"),
    "big-endian indices": lambda g: with_index_dtype(g, ">i4"),
    "unsorted": unsorted,
    "duplicates": with_duplicates,
    "coo duplicates": with_coo_duplicates,
    "explicit zeros": with_zeros,
    "self-loops": lambda g: g + sparse.eye_array(g.shape[0], dtype=np.float32),
    "triangle": lambda g: sparse.triu(g),
} | {
    dtype: (lambda g, dtype=dtype: sparse.csr_array(g.astype(dtype)))
    for dtype in ("float64", "longdouble", "int8", "uint16", "int64", "uint64")
}


def arrays(matrix: object) -> list[np.ndarray]:
    if isinstance(matrix, np.ndarray):
        return [matrix]
    names = ("data", "indices", "indptr", "row", "col")
    return [value for name in names if isinstance(value := getattr(matrix, name, None), np.ndarray)]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_graph_and_is_not_touched(
    form: str, weights: sparse.csr_array
) -> None:
    given = FORMS[form](weights)
    before = [(array.copy(), array.dtype) for array in arrays(given)]
    ready = prepare_graph(given, n_vertices=60)
    for array, (copy, dtype) in zip(arrays(given), before, strict=True):
        assert array.dtype == dtype
        np.testing.assert_array_equal(array, copy)
    assert isinstance(ready, sparse.csr_array)
    assert ready.dtype == np.float32
    assert ready.indices.dtype == ready.indptr.dtype == np.int32
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(ready, name), getattr(weights, name))
    assert ready.has_canonical_format


@pytest.mark.parametrize("dtype", ["bool", "float16", ">f4", ">f8", ">i8"])
def test_dtypes_that_scipy_does_not_make(dtype: str, weights: sparse.csr_array) -> None:
    given = weights.copy()
    given.data = given.data.astype(dtype)
    np.testing.assert_array_equal(
        prepare_graph(given).data, weights.data.astype(dtype).astype(np.float32)
    )


@pytest.mark.parametrize("chunks", [(60, 60), (20, 60), (25, 25)])
@pytest.mark.parametrize(
    "form", [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, lambda g: g.toarray()]
)
def test_dask(form: object, chunks: tuple[int, int], weights: sparse.csr_array) -> None:
    da = pytest.importorskip("dask.array")
    ready = prepare_graph(da.from_array(form(weights), chunks=chunks, asarray=False))
    np.testing.assert_array_equal(ready.toarray(), weights.toarray())


def test_on_disk(tmp_path: object, weights: sparse.csr_array) -> None:
    with h5py.File(tmp_path / "graph.h5", "w") as file:
        anndata.io.write_elem(file, "csr", sparse.csr_matrix(weights))
        anndata.io.write_elem(file, "csc", sparse.csc_matrix(weights))
        anndata.io.write_elem(file, "dense", weights.toarray())
        for stored in (
            anndata.io.sparse_dataset(file["csr"]),
            anndata.io.sparse_dataset(file["csc"]),
            file["dense"],
        ):
            np.testing.assert_array_equal(prepare_graph(stored).toarray(), weights.toarray())


def test_a_tidy_graph_is_shared_and_cannot_be_written_through(weights: sparse.csr_array) -> None:
    ready = prepare_graph(weights)
    for name in ("data", "indices", "indptr"):
        assert np.shares_memory(getattr(ready, name), getattr(weights, name))
        assert not getattr(ready, name).flags.writeable
        assert getattr(weights, name).flags.writeable
    assert prepare_graph(ready) is ready


@pytest.mark.parametrize("form", ["csr_array", "csc_matrix", "coo_array", "unsorted", "triangle"])
def test_read_only_arrays(form: str, weights: sparse.csr_array) -> None:
    given = FORMS[form](weights)
    for array in arrays(given):
        array.flags.writeable = False
    np.testing.assert_array_equal(prepare_graph(given).toarray(), weights.toarray())


def test_asymmetric_weights_take_the_maximum_with_a_warning(
    caplog: pytest.LogCaptureFixture, rng: np.random.Generator
) -> None:
    dense = rng.random((30, 30)) * (rng.random((30, 30)) < 0.2)
    np.fill_diagonal(dense, 0)
    for given in (sparse.csr_array(dense), sparse.csc_array(dense), dense):
        caplog.clear()
        ready = prepare_graph(given, name="the graph")
        np.testing.assert_array_equal(
            ready.toarray(), np.maximum(dense, dense.T).astype(np.float32)
        )
        assert "the graph is not symmetric" in caplog.text


def test_asymmetry_of_rounding_is_no_reason_to_warn(
    caplog: pytest.LogCaptureFixture, weights: sparse.csr_array
) -> None:
    given = weights / 7
    given.data[3] = np.nextafter(given.data[3], np.float32(10))
    with caplog.at_level(logging.WARNING):
        ready = prepare_graph(given)
    assert not caplog.records
    assert abs(ready - ready.T).max() == 0


def test_what_was_changed_is_logged(
    caplog: pytest.LogCaptureFixture, weights: sparse.csr_array
) -> None:
    with caplog.at_level(logging.INFO):
        prepare_graph(FORMS["self-loops"](FORMS["duplicates"](weights)))
        prepare_graph(FORMS["duplicates"](weights))
    assert "60 self-loops dropped" in caplog.text
    assert f"{weights.nnz} duplicate entries summed" in caplog.text


@pytest.mark.parametrize("scale", [1e-300, 1e-42, 1e-37, 1e30, 3e37, 1e300])
def test_weights_beyond_float32_keep_their_ratios(scale: float, weights: sparse.csr_array) -> None:
    ready = prepare_graph(weights.astype(np.float64) * scale)
    np.testing.assert_allclose(
        ready.data / ready.data.max(), weights.data / weights.data.max(), rtol=2e-7
    )


@pytest.mark.parametrize("form", ["coo duplicates", "self-loops", "triangle", "dense"])
@pytest.mark.parametrize("exponent", [-1000, -140, -70, 70, 120, 1000])
def test_scales_of_two_change_nothing(form: str, exponent: int, weights: sparse.csr_array) -> None:
    wide = weights.astype(np.float64)
    expected = prepare_graph(FORMS[form](wide))
    ready = prepare_graph(FORMS[form](wide) * 2.0**exponent)
    ratio = float(expected.data[0] / ready.data[0])
    assert 2.0 ** np.log2(ratio).round() == ratio
    np.testing.assert_array_equal(ready.data * np.float32(ratio), expected.data)
    np.testing.assert_array_equal(ready.indices, expected.indices)


def test_sums_of_large_weights_are_finite(weights: sparse.csr_array) -> None:
    large = weights * (np.finfo(np.float32).max / weights.max())
    both = sparse.coo_array(
        (
            np.r_[large.data, large.data],
            tuple(np.r_[i, i] for i in (large.tocoo().row, large.tocoo().col)),
        ),
        shape=large.shape,
    )
    layout = simplicial_set_embedding(both, OptimizerSpec(n_epochs=3))
    assert np.isfinite(layout).all()
    np.testing.assert_array_equal(
        layout, simplicial_set_embedding(weights, OptimizerSpec(n_epochs=3))
    )


@pytest.mark.parametrize(("n", "entries"), [(1, 0), (1, 1), (2, 0), (3, 0), (2, 2)])
def test_tiny_graphs(n: int, entries: int) -> None:
    given = sparse.csr_array((np.ones(entries), (range(entries), range(entries))), shape=(n, n))
    ready = prepare_graph(given)
    assert ready.shape == (n, n)
    assert ready.nnz == 0


def damaged(graph: sparse.csr_array, name: str, at: int, value: int) -> sparse.csr_array:
    graph = graph.copy()
    getattr(graph, name)[at] = value
    return graph


BAD = {
    "not square": (lambda g: g[:, :50], ValueError, r"\(60, 50\).*square"),
    "wrong n": (lambda g: g[:50][:, :50], ValueError, "50 vertices.*60"),
    "empty": (lambda g: sparse.csr_array((0, 0)), ValueError, "0 vertices|no vertices"),
    "one-dimensional": (lambda g: np.ones(60), ValueError, "square"),
    "NaN": (lambda g: damaged(g, "data", 5, np.nan), ValueError, "1 weights that are NaN"),
    "NaN in coo": (lambda g: damaged(g.tocoo(), "data", 5, np.nan), ValueError, "NaN"),
    "NaN in dense": (lambda g: np.full((60, 60), np.nan), ValueError, "3600 weights .* NaN"),
    "infinite": (lambda g: damaged(g, "data", 5, np.inf), ValueError, "1 infinite"),
    "negative": (lambda g: damaged(g, "data", 5, -1), ValueError, "1 negative"),
    "negative integers": (lambda g: -g.astype(int), ValueError, "negative"),
    "negative diagonal": (lambda g: g - sparse.eye_array(60), ValueError, "60 negative"),
    "complex": (lambda g: g.astype(complex), TypeError, "complex128"),
    "objects": (lambda g: np.full((60, 60), "x", object), TypeError, "weights"),
    "text": (lambda g: "connectivities", TypeError, "graph='connectivities'"),
    "text array": (lambda g: np.full((60, 60), "x"), TypeError, "<U1"),
    "None": (lambda g: None, TypeError, "graph=None"),
    "a dictionary": (lambda g: {"a": 1}, TypeError, "dict"),
    "ragged": (lambda g: [[1, 2], [3]], TypeError, "list"),
    "column too large": (lambda g: damaged(g, "indices", 5, 60), ValueError, "damaged"),
    "column negative": (lambda g: damaged(g, "indices", 5, -1), ValueError, "damaged"),
    "column that wraps": (
        lambda g: damaged(with_index_dtype(g, "int64"), "indices", 5, 2**32 + 5),
        ValueError,
        "damaged",
    ),
    "negative offsets": (lambda g: damaged(g, "indptr", 0, -1), ValueError, "indptr"),
    "falling offsets": (lambda g: damaged(g, "indptr", 5, 10**6), ValueError, "indptr"),
    "offsets beyond the end": (lambda g: damaged(g, "indptr", 60, 10**6), ValueError, "indptr"),
}


def with_array(matrix: Any, name: str, change: Any) -> Any:
    matrix = matrix.copy()
    setattr(matrix, name, change(getattr(matrix, name)))
    return matrix


#: Changes of one array of a matrix, after which it does not fit the others.
DAMAGES = {
    "shorter": lambda x: x[:-1],
    "shorter by many": lambda x: x[: x.shape[0] // 2],
    "of one": lambda x: x[:1],
    "empty": lambda x: x[:0],
    "two-dimensional": lambda x: x[None],
    "of floats": lambda x: x.astype(np.float64),
    "reversed": lambda x: x[::-1].copy(),
    "negative": lambda x: x - 1,
    "too large": lambda x: x + 60,
    "beyond int32": lambda x: x.astype(np.int64) + 2**32,
    "unsigned": lambda x: x.astype(np.uint64) + np.uint64(2**63),
    "longer": lambda x: np.r_[x, x[-1:]],
    "longer by two": lambda x: np.r_[x, x[-1:], x[-1:]],
    "a list": np.ndarray.tolist,
    "none": lambda _: None,
}
_SHAPES = ["shorter", "of one", "empty", "two-dimensional", "a list", "none"]
#: Damages to each array that must be found. CSR and CSC may have more entries than offsets.
ARRAYS = {
    "indptr": [name for name in DAMAGES if name != "reversed"] + ["reversed"],
    "indices": [name for name in DAMAGES if name not in {"reversed", "longer", "longer by two"}],
    "data": _SHAPES,
}


@pytest.mark.parametrize("form", ["csr_array", "csr_matrix", "csc_array", "csc_matrix", "bsr"])
@pytest.mark.parametrize("array", ARRAYS)
def test_damaged_arrays_are_refused(form: str, array: str, weights: sparse.csr_array) -> None:
    for damage in ARRAYS[array]:
        given = with_array(FORMS[form](weights), array, DAMAGES[damage])
        with pytest.raises(ValueError, match=r"^\.obsp\['x'\] is damaged: "):
            prepare_graph(given, name=".obsp['x']")
        with pytest.raises(ValueError, match=r"^distances is damaged: "):
            density_of(prepare_graph(weights), given, OptimizerSpec(density_weight=1))


@pytest.mark.parametrize("array", ["row", "col", "data"])
def test_damaged_coordinates_are_refused(array: str, weights: sparse.csr_array) -> None:
    # SciPy converts what is set as coordinates, but does not look at it.
    shapes = ["shorter", "of one", "empty", "two-dimensional"]
    for damage in _SHAPES if array == "data" else [*shapes, "negative", "too large"]:
        given = with_array(sparse.coo_matrix(weights), array, DAMAGES[damage])
        with pytest.raises(ValueError, match=r"^graph is damaged: "):
            prepare_graph(given)


def test_other_damaged_formats_are_refused(weights: sparse.csr_array) -> None:
    rows = sparse.lil_array(weights)
    rows.data[3] = rows.data[3][:-1]
    diagonals = with_array(sparse.dia_array(weights), "offsets", DAMAGES["shorter"])
    for given in (rows, diagonals):
        with pytest.raises(ValueError, match=r"^graph is damaged: "):
            prepare_graph(given)


@pytest.mark.parametrize("case", BAD)
def test_bad_graphs_are_refused(case: str, weights: sparse.csr_array) -> None:
    make, error, message = BAD[case]
    with pytest.raises(error, match=message):
        prepare_graph(make(weights), n_vertices=60)


def test_errors_name_the_graph(weights: sparse.csr_array) -> None:
    with pytest.raises(ValueError, match=r"^\.obsp\['x'\] has 60 vertices: it must have 7"):
        prepare_graph(weights, n_vertices=7, name=".obsp['x']")
