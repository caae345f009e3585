"""Hypothesis strategies: graphs, positions, parameters and objects, good ones and hostile ones.

What is large is drawn from a seed by NumPy: element by element would be slow, and would shrink no
better.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData
from hypothesis import strategies as st

SEEDS = st.integers(0, 2**32 - 1)
FORMATS = ("csr", "csc", "coo", "lil", "dok", "dense")
#: Numbers at which something may break.
NASTY = (
    0.0,
    -0.0,
    -1.0,
    np.nan,
    np.inf,
    -np.inf,
    1e-300,
    5e-324,
    1e-45,
    1e-38,
    1e38,
    3.5e38,
    1e300,
)
#: Values that are no numbers, or no plain ones.
ODD: tuple[Any, ...] = (
    None, True, False, "1", "", b"1", 1j, [], {}, (1,), [1.0], {"a": 1}, object, np.nan, np.inf,
    10**400, -(10**400), 2**31, 2**63, 2**64, 0.5, -1, 0, np.float32(0.3), np.float16(1.5),
    np.int8(3), np.array(2), np.array([2]), np.array([1, 2]), np.bool_(True), "spectral",
    np.datetime64("2020-01-01"), slice(3), 1e-320, 1e30, np.longdouble("0.1"),
)  # fmt: skip


def in_format(matrix: Any, form: str) -> Any:
    return matrix.toarray() if form == "dense" else matrix.asformat(form)


@st.composite
def graphs(draw: st.DrawFn, least: int = 1, most: int = 60) -> Any:
    """Symmetric, finite, positive weights, in any format."""
    n = draw(st.integers(least, most))
    rng = np.random.default_rng(draw(SEEDS))
    density = draw(st.sampled_from([0.0, 0.03, 0.1, 0.5, 1.0]))
    upper = np.triu(rng.random((n, n)) < density, 1) * (1.0 - rng.random((n, n)))
    if draw(st.booleans()):
        upper = upper ** draw(st.sampled_from([1, 8]))
    both = (upper + upper.T).astype(draw(st.sampled_from(["f4", "f8"])))
    kind = draw(st.sampled_from([sp.csr_array, sp.csr_matrix]))
    return in_format(kind(both), draw(st.sampled_from(FORMATS)))


@st.composite
def hostile_graphs(draw: st.DrawFn) -> Any:
    """Whatever may be given as a graph."""
    n = draw(st.integers(0, 40))
    m = draw(st.sampled_from([n, n, n, n, n + 1, max(0, n - 1), 0]))
    rng = np.random.default_rng(draw(SEEDS))
    dtype = draw(st.sampled_from(["f4", "f8", "f2", "i4", "i8", "u1", "?", "c16", ">f4", "g"]))
    nnz = draw(st.integers(0, 3 * n)) if n and m else 0
    with np.errstate(all="ignore"):
        data = rng.choice(
            [*rng.random(8), *draw(st.lists(st.sampled_from(NASTY), max_size=3))], nnz
        )
        if np.dtype(dtype).kind in "iu?b":
            data = np.nan_to_num(data, nan=0, posinf=1, neginf=-1).clip(-100, 100)
        data = data.astype(dtype)
    rows, columns = rng.integers(0, max(n, 1), nnz), rng.integers(0, max(m, 1), nnz)
    form = draw(st.sampled_from([*FORMATS, "raw csr", "list", "nothing"]))
    if form == "nothing":
        return draw(st.sampled_from(ODD))
    if form == "raw csr":  # unsorted, with entries that occur twice
        order = np.argsort(rows, kind="stable")
        indptr = np.r_[0, np.cumsum(np.bincount(rows, minlength=n))][: n + 1]
        if data.dtype.kind in "g" or not data.dtype.isnative:
            data = data.astype("f8")
        return sp.csr_array((data[order], columns[order], indptr), shape=(n, m))
    dense = np.zeros((n, m), data.dtype)
    dense[rows, columns] = data
    if draw(st.booleans()) and n == m:
        dense = np.maximum(dense, dense.T) if dense.dtype.kind != "c" else dense
    if form == "list":
        return dense.tolist()
    if form == "dense" or dense.dtype.kind == "g" or not dense.dtype.isnative or dtype == "f2":
        return dense
    return in_format(sp.csr_array(dense), form)


@st.composite
def positions(draw: st.DrawFn, n: int, d: int) -> np.ndarray:
    """Finite positions of any scale, also with equal rows and constant columns."""
    rng = np.random.default_rng(draw(SEEDS))
    x = rng.normal(size=(n, d)) * draw(st.sampled_from([1.0, 0.0, 1e-4, 1e6, 1e30, 1e-38, 1e-300]))
    x = x + draw(st.sampled_from([0.0, 1.0, -1e5]))
    if draw(st.booleans()):
        x[:, draw(st.integers(0, d - 1))] = 3.0
    if n and draw(st.booleans()):
        x[rng.integers(0, n, n)] = x[0]
    return np.asarray(x, draw(st.sampled_from(["f4", "f8"])), draw(st.sampled_from(["C", "F"])))


@st.composite
def hostile_positions(draw: st.DrawFn, n: int, d: int) -> Any:
    """Whatever may be given as positions."""
    form = draw(st.sampled_from(["nasty", "shape", "odd", "object", "list"]))
    if form == "odd":
        return draw(st.sampled_from(ODD))
    rng = np.random.default_rng(draw(SEEDS))
    if form == "shape":
        shape = draw(st.sampled_from([(n,), (n, d + 1), (d, n), (n, d, 1), (0, d), (n, 0), ()]))
        return rng.random(shape)
    x = rng.random((n, d))
    if form == "object":
        return x.astype(draw(st.sampled_from([object, "U8", "c16"])))
    for _ in range(draw(st.integers(1, 3))):
        if x.size:
            x.flat[rng.integers(x.size)] = draw(st.sampled_from(NASTY))
    return x.tolist() if form == "list" else x


@st.composite
def parameters(draw: st.DrawFn, most_epochs: int = 5) -> dict[str, Any]:
    """Allowed parameters of the optimiser, for graphs of any size."""
    spread = draw(st.sampled_from([1.0, 0.5, 3.0, 10]))
    given = {
        "spread": spread,
        "min_dist": spread * draw(st.sampled_from([0.0, 0.1, 0.5, 1.0])),
        "n_components": draw(st.sampled_from([1, 2, 2, 2, 3, 5, 10])),
        "n_epochs": draw(st.integers(0, most_epochs)),
        "alpha": draw(st.sampled_from([1.0, 1e-6, 0.3, 50.0, 1e6])),
        "gamma": draw(st.sampled_from([1.0, 0.0, 1e-9, 30.0, 1e6])),
        "negative_sample_rate": draw(st.sampled_from([5, 0, 1, 4, 6, 11])),
        "seed": draw(st.sampled_from([0, 1, 2**32, 2**63, 2**64 - 1])),
    }
    if draw(st.booleans()):
        given |= {
            "a": draw(st.sampled_from([1e-6, 0.1, 1.5, 1e6])),
            "b": draw(st.sampled_from([1e-3, 0.5, 1.0, 2.5, 100.0])),
        }
    kept = draw(st.sets(st.sampled_from(sorted(given))))
    kept |= {"n_epochs"} | ({"a", "b"} & set(given) if kept & {"a", "b"} else set())
    kept |= {"spread"} if "min_dist" in kept else set()
    if "spread" in kept and spread < 0.5 + 1e-9:
        kept |= {"min_dist"}
    return {name: value for name, value in given.items() if name in kept}


def anything() -> st.SearchStrategy[Any]:
    """A value that may be given for any parameter."""
    return st.one_of(
        st.sampled_from(ODD),
        st.sampled_from(NASTY),
        st.floats(),
        st.integers(),
        st.integers(-3, 20),
        st.text(max_size=4),
    )


@st.composite
def objects(draw: st.DrawFn, least: int = 3, most: int = 40) -> AnnData:
    """Annotated data with a graph and much else, as other programs may have left it."""
    graph = sp.csr_matrix(draw(graphs(least, most)))
    n = graph.shape[0]
    rng = np.random.default_rng(draw(SEEDS))
    points = rng.normal(size=(n, 6)).astype("f4")
    adata = AnnData(points)
    adata.obs_names = [f"cell {i}" for i in range(n)]
    adata.obs["group"] = pd.Categorical([f"g{i}" for i in rng.integers(0, 3, n)])
    adata.obs["number"] = rng.random(n)
    adata.obsm["X_pca"] = points[:, :4]
    if draw(st.booleans()):
        adata.obsm["frame"] = pd.DataFrame(points[:, :3], index=adata.obs_names)
    adata.layers["counts"] = sp.csr_matrix(np.abs(points))
    adata.obsp["connectivities"] = graph
    distances = graph.copy()
    distances.data = rng.random(distances.nnz).astype("f4")
    adata.obsp["distances"] = distances
    adata.uns["neighbors"] = {
        "connectivities_key": "connectivities",
        "distances_key": "distances",
        "params": {"n_neighbors": 5, "method": "umap", "metric": "euclidean"},
    }
    adata.uns["nested"] = {"a": {"b": [1, "two", None]}, "c": rng.random(3)}
    return adata
