"""Every array that a function takes, in every form: a finite result, or an error that names it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import umapcore as uc
from umapcore.graph.csr import prepare_graph

if TYPE_CHECKING:
    from collections.abc import Callable

N, K = 24, 5
FLOAT32 = np.finfo(np.float32)
POINTS = np.random.default_rng(0).normal(size=(N, 3))
KNN = np.argsort(np.linalg.norm(POINTS[:, None] - POINTS, axis=2), axis=1)[:, :K]
LENGTHS = np.sort(np.linalg.norm(POINTS[:, None] - POINTS, axis=2), axis=1)[:, :K]
WEIGHTS = uc.fuzzy_simplicial_set(KNN, LENGTHS).toarray()
DISTANCES = np.where(WEIGHTS > 0, np.linalg.norm(POINTS[:, None] - POINTS, axis=2), 0)
# Two components, which the representation places.
PARTS = sparse.block_diag(
    [sparse.csr_array(WEIGHTS[:12, :12]), sparse.csr_array(WEIGHTS[12:, 12:])], format="csr"
)
SPEC = uc.OptimizerSpec(n_epochs=3)
DENSE = SPEC.replace(density_weight=1.0)


def by_start(positions: Any) -> Any:
    found = ad.AnnData(np.zeros((N, 1), np.float32))
    found.obsp["connectivities"] = sparse.csr_matrix(WEIGHTS)
    found.uns["neighbors"] = {"connectivities_key": "connectivities", "params": {}}
    uc.tl.umap(found, init_pos=positions, maxiter=3)
    return found.obsm["X_umap"]


def by_points(points: Any) -> Any:
    found = ad.AnnData(np.zeros((N, 1), np.float32))
    found.obsm["X_rep"] = points
    uc.pp.neighbors(found, n_neighbors=3, use_rep="X_rep")
    return found.obsp["connectivities"].toarray()


def by_reference(points: Any) -> Any:
    reference, new = (ad.AnnData(np.zeros((N, 1), np.float32)) for _ in range(2))
    reference.obsm["X_rep"], reference.obsm["X_umap"] = POINTS, POINTS[:, :2]
    new.obsm["X_rep"] = points
    uc.tl.ingest(new, reference, use_rep="X_rep", embedding_method="umap", a=1, b=1, maxiter=3)
    return new.obsm["X_umap"]


def by_knn(indices: Any, distances: Any) -> Any:
    found = ad.AnnData(np.zeros((N, 1), np.float32))
    uc.pp.neighbors(found, n_neighbors=3, precomputed_knn=(indices, distances))
    return found.obsp["connectivities"].toarray()


#: Each input: how its messages name it, a good array, a call, and the shape of the result.
INPUTS: dict[str, tuple[str, Any, Callable[[Any], Any], tuple[int, ...]]] = {
    "graph": ("graph", WEIGHTS, lambda x: uc.simplicial_set_embedding(x, SPEC), (N, 2)),
    "prepare_graph": (
        "graph", WEIGHTS, lambda x: prepare_graph(x, n_vertices=N).toarray(), (N, N),
    ),
    "distances": (
        "distances", DISTANCES,
        lambda x: uc.simplicial_set_embedding(WEIGHTS, DENSE, distances=x), (N, 2),
    ),
    "init": (
        "init", POINTS[:, :2],
        lambda x: uc.simplicial_set_embedding(WEIGHTS, SPEC, init=x), (N, 2),
    ),
    "init to go on from": (
        "init", POINTS[:, :2],
        lambda x: uc.simplicial_set_embedding(WEIGHTS, DENSE, init=x, start_epoch=2,
                                              distances=DISTANCES), (N, 2),
    ),
    "representation": (
        "representation", POINTS,
        lambda x: uc.simplicial_set_embedding(PARTS, SPEC, representation=x), (N, 2),
    ),
    "init_pos": ("init_pos", POINTS[:, :2], by_start, (N, 2)),
    "reference_embedding": (
        "reference_embedding", POINTS, lambda x: uc.place(x, KNN, LENGTHS, n_epochs=3), (N, 3),
    ),
    "knn_indices of place": (
        "knn_indices", KNN, lambda x: uc.place(POINTS, x, LENGTHS, n_epochs=3), (N, 3),
    ),
    "knn_distances of place": (
        "knn_distances", LENGTHS, lambda x: uc.place(POINTS, KNN, x, n_epochs=3), (N, 3),
    ),
    "knn_indices": (
        "knn_indices", KNN, lambda x: uc.fuzzy_simplicial_set(x, LENGTHS).toarray(), (N, N),
    ),
    "knn_distances": (
        "knn_distances", LENGTHS, lambda x: uc.fuzzy_simplicial_set(KNN, x).toarray(), (N, N),
    ),
    "precomputed_knn[0]": (
        "precomputed_knn_indices", KNN, lambda x: by_knn(x, LENGTHS), (N, N),
    ),
    "precomputed_knn[1]": (
        "precomputed_knn_distances", LENGTHS, lambda x: by_knn(KNN, x), (N, N),
    ),
}  # fmt: skip

#: Likewise; but AnnData does not take all forms.
STORED: dict[str, tuple[str, Any, Callable[[Any], Any], tuple[int, ...]]] = {
    "obsm of pp.neighbors": ("X_rep|representation", POINTS, by_points, (N, N)),
    "obsm of tl.ingest": ("X_rep|representation", POINTS, by_reference, (N, 2)),
}


def one(value: float) -> Callable[[np.ndarray], Any]:
    """Put a value into one entry of an array that can hold it."""

    def changed(x: np.ndarray) -> np.ndarray:
        wide = x.astype(np.result_type(x.dtype, np.min_scalar_type(value)))
        at = np.argwhere(x > 0)[1]
        wide[tuple(at)] = value
        return wide

    return changed


def all_times(factor: float) -> Callable[[np.ndarray], Any]:
    return lambda x: x * factor


def frozen(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


def every_other(x: np.ndarray) -> np.ndarray:
    return np.repeat(np.repeat(x, 2, axis=0), 2, axis=1)[::2, ::2]


#: Forms that all inputs must accept, whose result is that of the plain array.
HARMLESS: dict[str, Callable[[np.ndarray], Any]] = {
    "list": np.ndarray.tolist,
    "data frame": pd.DataFrame,
    "matrix": lambda x: x.view(np.matrix),
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "Fortran order": np.asfortranarray,
    "backwards": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "every other": every_other,
    "read-only": frozen,
    "without a mask": np.ma.asarray,
}
#: Forms that some inputs accept.
FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    "flat": np.ravel,
    "three-dimensional": lambda x: x[None],
    "a row less": lambda x: x[:-1],
    "a column less": lambda x: x[:, :-1],
    "without rows": lambda x: x[:0],
    "without columns": lambda x: x[:, :0],
    "an empty list": lambda _: [],
    "a number": lambda _: 3.0,
    "text": lambda _: "umap",
    "a dictionary": lambda x: {"x": x},
    "None inside": lambda x: np.where(x > 1, None, x),
    "numbers as text": lambda x: x.astype(str),
    "bytes": lambda x: x.astype("S"),
    "dates": lambda x: x.astype(int).astype("M8[s]"),
    "ragged": lambda x: [*x[:-1].tolist(), [1]],
    "objects": lambda x: x.astype(object),
    "complex": lambda x: x.astype(complex),
    "bool": lambda x: x > 0,
    "records": lambda x: np.zeros(x.shape, [("a", "f4")]),
    "int8": lambda x: x.astype(np.int8),
    "uint64": lambda x: np.abs(x).astype(np.uint64),
    "float16": lambda x: x.astype(np.float16),
    "float32": lambda x: x.astype(np.float32),
    "longdouble": lambda x: x.astype(np.longdouble),
    "longdouble beyond float64": lambda x: x.astype(np.longdouble) * np.longdouble("1e310"),
    "masked": lambda x: np.ma.masked_greater(x, 0.5),
    "a nullable data frame": lambda x: pd.DataFrame(x).convert_dtypes(),
    "zeros": np.zeros_like,
    "negative": lambda x: -x,
    "NaN": lambda x: x * np.nan,
    "infinite": lambda x: np.full(x.shape, np.inf),
    "CSR": sparse.csr_array,
    "COO matrix": sparse.coo_matrix,
    "CSC of float16": lambda x: _with_data(sparse.csc_array(x), np.float16),
    "CSR of longdouble": lambda x: _with_data(sparse.csr_array(x), np.longdouble),
    "CSR of objects": lambda x: _with_data(sparse.csr_array(x), object),
} | {
    f"one is {value:g}": one(value)
    for value in (np.nan, np.inf, -np.inf, -1.0, 1e-320, 1e-45, 1e15, 1e38, 3.5e38, 1e300, 2.0**63)
} | {f"one is {value}": one(value) for value in (2**31, 2**32 + 1, 2**63 + 5, -(2**63))} | {
    f"all times {factor:g}": all_times(factor)
    for factor in (5e-324, 1e-308, 1e-200, 1e-45, 1e-38, 1e-20, 1e19, 1e37, 1e39, 1e154, 1e300)
}  # fmt: skip


def _with_data(matrix: Any, dtype: Any) -> Any:
    matrix.data = matrix.data.astype(dtype)
    return matrix


def bytes_of(value: Any) -> list[bytes]:
    """Return what must not change."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return [np.asarray(value).tobytes()]
    if isinstance(value, pd.DataFrame):
        return [value.to_csv().encode()]
    if sparse.issparse(value):
        parts = (getattr(value, name, ()) for name in ("data", "indices", "indptr", "row", "col"))
        return [np.asarray(part).tobytes() for part in parts]
    return [repr(value).encode()]


@pytest.mark.parametrize("name", INPUTS)
def test_forms_that_change_nothing(name: str) -> None:
    _, good, call, _ = INPUTS[name]
    expected = call(good)
    for form, change in HARMLESS.items():
        given = change(good)
        before = bytes_of(given)
        np.testing.assert_array_equal(call(given), expected, form)
        assert bytes_of(given) == before, form


#: Forms that AnnData itself refuses.
REFUSED = {
    "an empty list", "a number", "text", "a dictionary", "ragged", "a nullable data frame",
    "COO matrix",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "form"),
    [(name, form) for name in INPUTS for form in FORMS]
    + [(name, form) for name in STORED for form in FORMS if form not in REFUSED],
)
def test_finite_or_named(name: str, form: str) -> None:
    said, good, call, shape = (INPUTS | STORED)[name]
    with np.errstate(all="ignore"):
        try:
            given = FORMS[form](good)
        except (OverflowError, ValueError, TypeError):
            pytest.skip("NumPy cannot make it")
    before = bytes_of(given)
    try:
        found = call(given)
    except (ValueError, TypeError) as error:
        names = {"a row less": rf"{said}|knn_indices"}.get(form, said)
        assert re.search(rf"\b({names})\b", str(error)), error  # noqa: PT017
    else:
        assert found.shape == shape or (said, form) == ("reference_embedding", "a column less")
        # A point without neighbours has no position.
        alone = name.endswith("of place") and form == "infinite"
        assert np.isnan(found).all() if alone else np.isfinite(found).all()
    assert bytes_of(given) == before
