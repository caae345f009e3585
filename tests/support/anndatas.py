"""Small AnnData objects with a graph, as pp.neighbors leaves them."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from tests.support.graphs import clusters, surface


def with_neighbors(graph: Any, key: str = "neighbors", **params: Any) -> AnnData:
    """Make an object around a graph, with a few other things that must stay as they are."""
    n = graph.shape[0]
    rng = np.random.default_rng(0)
    adata = AnnData(rng.random((n, 60), dtype=np.float32))
    adata.obs_names = [f"cell{i}" for i in range(n)]
    adata.obs["group"] = np.array(["a", "b", "c"])[np.arange(n) % 3]
    adata.obs["group"] = adata.obs["group"].astype("category")
    adata.obsm["X_pca"] = rng.normal(size=(n, 8)).astype(np.float32)
    put_neighbors(adata, graph, key, **params)
    return adata


def put_neighbors(adata: AnnData, graph: Any, key: str = "neighbors", **params: Any) -> None:
    """Store a graph under a key, as pp.neighbors does."""
    prefix = "" if key == "neighbors" else f"{key}_"
    adata.obsp[f"{prefix}connectivities"] = graph
    adata.uns[key] = {
        "connectivities_key": f"{prefix}connectivities",
        "distances_key": f"{prefix}distances",
        "params": {"method": "umap", "metric": "euclidean", "n_neighbors": 10} | params,
    }


def sheet(n: int = 120) -> AnnData:
    """One component."""
    return with_neighbors(sparse.csr_matrix(surface(n)))


def islands(n: int = 120) -> AnnData:
    """Several components."""
    return with_neighbors(sparse.csr_matrix(clusters(n)))


class Observations:
    """What MuData and AnnData have in common: no X, no variables, no views and no copies."""

    def __init__(self, adata: AnnData) -> None:
        self.n_obs, self.obs = adata.n_obs, adata.obs.copy()
        self.obsm, self.obsp = dict(adata.obsm), dict(adata.obsp)
        self.uns = deepcopy(dict(adata.uns))


def as_mudata(adata: AnnData) -> Any:
    """Put the observations of an object into a MuData with two modalities."""
    mudata = pytest.importorskip("mudata", reason="mudata is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mudata's own
        made = mudata.MuData({"one": adata[:, :20].copy(), "two": adata[:, 20:].copy()})
    for name, matrix in adata.obsm.items():
        made.obsm[name] = matrix
    for name, matrix in adata.obsp.items():
        made.obsp[name] = matrix
    made.obs["group"] = adata.obs["group"]
    made.uns.update(deepcopy(dict(adata.uns)))
    return made


def contents(adata: Any) -> dict[str, Any]:
    """Everything in an object, as values that can be compared."""
    found: dict[str, Any] = {"X": _value(getattr(adata, "X", None)), "obs": adata.obs.copy()}
    found["var"] = getattr(adata, "var", adata.obs[[]]).copy()
    for name in ("obsm", "obsp", "varm", "layers"):
        for key, value in (getattr(adata, name, None) or {}).items():
            found[f"{name}/{key}"] = _value(value)
    _flatten("uns", dict(adata.uns), found)
    return found


def _flatten(path: str, value: Any, into: dict[str, Any]) -> None:
    if isinstance(value, dict):
        into[path] = sorted(value)
        for key, inner in value.items():
            _flatten(f"{path}/{key}", inner, into)
    else:
        into[path] = _value(value)


def _value(value: Any) -> Any:
    if sparse.issparse(value):
        return (value.format, value.dtype, value.toarray())
    if isinstance(value, np.ndarray):
        return (value.dtype, value.copy())
    return value


def assert_equal_contents(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert sorted(before) == sorted(after)
    for key, value in before.items():
        other = after[key]
        if hasattr(value, "equals"):
            assert value.equals(other), key
        elif isinstance(value, tuple):
            assert value[:-1] == other[:-1], key
            np.testing.assert_array_equal(value[-1], other[-1], err_msg=key)
        else:
            assert value == other, key
