"""AnnData in and out: what must not change stays as it is, to the byte, whatever happens."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from tests.support import strategies as some
from tests.support.fingerprint import elements
from tests.support.refusals import refused_by_name
from umapcore import OptimizerSpec, pp, tl, verify

UMAP = (
    "min_dist", "spread", "n_components", "maxiter", "alpha", "gamma", "negative_sample_rate",
    "init_pos", "random_state", "a", "b", "density_weight", "density_fraction", "density_shift",
    "copy", "method", "neighbors_key", "key_added", "n_threads", "progress", "callback",
    "callback_every", "snapshots", "timings",
)  # fmt: skip
#: Names that an error about an object's content may have.
CONTENT = (".uns", ".obsp", ".obsm", ".obs", "adata", "init_pos", "density_weight", "n_components")


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {key for key in before | after if before.get(key) != after.get(key)}


@given(some.objects(), some.parameters())
def test_a_layout_adds_two_entries(adata: Any, changes: dict[str, Any]) -> None:
    options: dict[str, Any] = changes | {"maxiter": changes["n_epochs"]}
    del options["n_epochs"]
    seed = options.pop("seed", 0)
    before = elements(adata)
    new = tl.umap(adata, random_state=seed, copy=True, n_threads=2, **options)
    assert not changed(before, elements(adata))
    tl.umap(adata, random_state=seed, key_added="Y", n_threads=1, **options)
    assert changed(before, elements(adata)) == {"obsm/Y", "uns/Y"}
    assert new is not None
    np.testing.assert_array_equal(new.obsm["X_umap"], adata.obsm["Y"])
    assert changed(before, elements(new)) == {"obsm/X_umap", "uns/umap"}
    assert adata.obsm["Y"].shape == (adata.n_obs, OptimizerSpec(**changes).n_components)
    assert np.isfinite(adata.obsm["Y"]).all()
    before = elements(adata)
    assert verify(adata, "Y")
    assert not changed(before, elements(adata))


@given(some.objects(most=12), st.dictionaries(st.sampled_from(UMAP), some.anything(), max_size=3))
def test_any_parameters_of_a_layout(adata: Any, options: dict[str, Any]) -> None:
    options = {"maxiter": 2} | options
    if isinstance(options["maxiter"], (int, float)) and options["maxiter"] > 1e4:
        options["maxiter"] = 2
    before = elements(adata)
    with refused_by_name(*options, "density_weight", ".uns") as refusals:
        new = tl.umap(adata, **options)
    if refusals:
        assert not changed(before, elements(adata))
        return
    target = adata if new is None else new
    added = options.get("key_added")
    key = "X_umap" if added is None else added
    assert np.isfinite(target.obsm[key]).all()
    assert changed(before, elements(target)) <= {f"obsm/{key}", f"uns/{added or 'umap'}"}


PLACES = (
    "neighbors", "connectivities_key", "distances_key", "params", "metric", "method", "use_rep",
    "n_pcs", "n_neighbors", "connectivities", "distances", "X_pca", "paga", "group",
)  # fmt: skip


def damage(adata: Any, place: str, value: Any) -> None:
    """Put a value where something else is expected, as far as AnnData lets one."""
    if place in ("neighbors", "paga"):
        adata.uns[place] = value
    elif place in ("connectivities_key", "distances_key", "params"):
        adata.uns["neighbors"][place] = value
    elif place in ("connectivities", "distances"):
        adata.obsp[place] = value
    elif place == "X_pca":
        adata.obsm[place] = value
    elif place == "group":
        adata.uns["paga"] = {"groups": value, "pos": np.ones((3, 2)), "connectivities": np.eye(3)}
    else:
        adata.uns["neighbors"]["params"][place] = value


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    adata = draw(some.objects(most=20))
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from(PLACES))
        n = adata.n_obs
        if place in ("connectivities", "distances"):
            rng = np.random.default_rng(draw(some.SEEDS))
            value: Any = sp.csr_matrix(adata.obsp[place]).astype("f8")
            if value.nnz:
                value.data[rng.integers(value.nnz)] = draw(st.sampled_from(some.NASTY))
            if draw(st.booleans()):
                value = draw(st.sampled_from([value.toarray(), value.tocsc()]))
        elif place == "X_pca":
            value = draw(some.hostile_positions(n, 4))
            if getattr(value, "shape", (0,))[:1] != (n,) or value.ndim < 2:
                value = np.full((n, 3), np.nan)
        else:
            value = draw(st.one_of(st.sampled_from(some.ODD), st.sampled_from(["X_pca", "group"])))
        with suppress(TypeError, AttributeError, KeyError):  # no place is left for it
            damage(adata, place, value)
    return adata


@given(damaged(), st.sampled_from(["spectral", "random", "paga", "X_pca"]), st.sampled_from([0, 2]))
def test_any_content(adata: Any, init: str, weight: float) -> None:
    before = elements(adata)
    with refused_by_name(*CONTENT, "paga") as refusals:
        tl.umap(adata, maxiter=2, init_pos=init, density_weight=weight)
    if refusals:
        assert not changed(before, elements(adata))
    else:
        assert changed(before, elements(adata)) == {"obsm/X_umap", "uns/umap"}
        assert np.isfinite(adata.obsm["X_umap"]).all()


@given(some.objects(most=12), st.data())
def test_any_provenance(adata: Any, data: st.DataObject) -> None:
    """What a file may have stored of the run decides whether it is reproduced, never more."""
    tl.umap(adata, maxiter=2)
    made = adata.uns["umap"]["provenance"]
    place = data.draw(st.sampled_from(sorted(made)))
    inside = made[place]
    value = data.draw(st.sampled_from(some.ODD))
    if isinstance(inside, dict) and data.draw(st.booleans()):
        inside[data.draw(st.sampled_from([*sorted(inside), "new"]))] = value
    elif data.draw(st.booleans()):
        made[place] = value
    else:
        del made[place]
    before = elements(adata)
    with refused_by_name("provenance", ".uns", ".obsm", *OptimizerSpec.__dataclass_fields__):
        str(verify(adata))
    assert not changed(before, elements(adata))


@given(st.data())
def test_any_record_of_a_search(data: st.DataObject) -> None:
    """What a file may have stored of the search decides what is found again, never more."""
    from anndata import AnnData

    adata = AnnData(np.random.default_rng(0).random((20, 3), dtype=np.float32))
    pp.neighbors(adata, 4, use_rep="X", n_pcs=3)
    tl.umap(adata, maxiter=1)
    params = adata.uns["neighbors"]["params"]
    inside = data.draw(st.sampled_from([params, params["search"]]))
    place = data.draw(st.sampled_from([*sorted(inside), "metric_kwds", "recall"]))
    inside[place] = data.draw(st.sampled_from(some.ODD))
    before = elements(adata)
    found = verify(adata, from_coordinates=True, n_threads=1)
    assert found.reproduced
    assert found.neighbors_reproduced == (found.neighbors_problem == "")
    assert not changed(before, elements(adata))


@st.composite
def points(draw: st.DrawFn) -> Any:
    n, p = draw(st.integers(3, 40)), draw(st.integers(1, 8))
    x = draw(some.positions(n, p))
    form = draw(st.sampled_from(["dense", "csr", "csc", "frame", "integers"]))
    if form == "integers":
        return np.random.default_rng(draw(some.SEEDS)).integers(-3, 3, (n, p))
    if form == "frame":
        return pd.DataFrame(x)
    return x if form == "dense" else sp.csr_matrix(x).asformat(form)


@given(points(), st.integers(2, 12), st.sampled_from(["euclidean", "cosine", "manhattan"]))
def test_neighbours_add_three_entries(x: Any, k: int, metric: str) -> None:
    from anndata import AnnData

    adata = AnnData(obs=pd.DataFrame(index=[f"c{i}" for i in range(x.shape[0])]))
    if isinstance(x, pd.DataFrame):
        x.index = adata.obs_names
        x.columns = [f"v{j}" for j in range(x.shape[1])]
    adata.obsm["R"] = x
    if metric == "manhattan" and sp.issparse(x):
        metric = "euclidean"
    before = elements(adata)
    with refused_by_name("use_rep", ".obsm", "metric") as refusals:
        pp.neighbors(adata, k, use_rep="R", metric=metric, n_threads=1)
    if refusals:
        largest = np.abs(np.asarray(x.todense() if sp.issparse(x) else x, float)).max()
        assert largest > 1e15, refusals
        return
    new = {"uns/neighbors", "obsp/distances", "obsp/connectivities"}
    assert changed(before, elements(adata)) == new
    again = adata.copy()
    pp.neighbors(again, k, use_rep="R", metric=metric, n_threads=2)
    assert not changed(elements(adata), elements(again))
    graph = adata.obsp["connectivities"]
    assert np.isfinite(graph.data).all()
    assert (graph != graph.T).nnz == 0
    tl.umap(adata, maxiter=1)
    assert np.isfinite(adata.obsm["X_umap"]).all()


@given(
    st.sampled_from(
        ["n_neighbors", "n_pcs", "use_rep", "method", "metric", "metric_kwds", "random_state",
         "key_added", "copy", "precomputed_knn", "exact", "accuracy", "n_threads"]
    ),
    some.anything(),
)  # fmt: skip
def test_any_parameters_of_neighbours(name: str, value: Any) -> None:
    from anndata import AnnData

    adata = AnnData(np.random.default_rng(0).random((12, 3), dtype=np.float32))
    before = elements(adata)
    if (name, value) == ("exact", False):
        pytest.importorskip("pynndescent")
    with refused_by_name(name, "X_pca") as refusals:
        pp.neighbors(adata, **{name: value})
    if refusals:
        assert not changed(before, elements(adata))


@given(st.data(), some.objects(6, 20))
def test_any_new_cells(data: st.DataObject, reference: Any) -> None:
    from anndata import AnnData

    tl.umap(reference, maxiter=1)
    m = data.draw(st.integers(1, 6))
    rng = np.random.default_rng(data.draw(some.SEEDS))
    new = AnnData(rng.normal(size=(m, 6)).astype("f4"))
    new.obsm["X_pca"] = rng.normal(size=(m, data.draw(st.sampled_from([4, 4, 3])))).astype("f4")
    if data.draw(st.booleans()):
        nasty = data.draw(st.sampled_from(some.NASTY))
        new.obsm["X_pca"].flat[0] = np.nan if abs(nasty) > 3e38 else nasty
    options: dict[str, Any] = {"obs": "group", "maxiter": 2}
    name = data.draw(
        st.sampled_from(
            ["obs", "embedding_method", "labeling_method", "neighbors_key", "inplace", "use_rep",
             "n_neighbors", "knn", "key_added", "alpha", "gamma", "a", "b", "random_state"]
        )
    )  # fmt: skip
    if data.draw(st.booleans()):
        options[name] = data.draw(some.anything())
    before, old = elements(new), elements(reference)
    with refused_by_name(
        *options, *CONTENT, "adata_ref", "use_rep", "embedding_method"
    ) as refusals:
        tl.ingest(new, reference, **options)
    assert not changed(old, elements(reference))
    if refusals:
        assert not changed(before, elements(new))
