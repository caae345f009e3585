"""Bad input of umapcore.tl.umap is refused by name, before any work, and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from anndata import AnnData

from tests.support.anndatas import assert_equal_contents, contents, sheet, with_neighbors
from umapcore.tl import umap

if TYPE_CHECKING:
    from scipy import sparse

NAN, INF = float("nan"), float("inf")

BAD = [
    ("min_dist", -0.1, ValueError, "min_dist=-0.1"),
    ("min_dist", 1.1, ValueError, "min_dist=1.1.*spread"),
    ("min_dist", NAN, ValueError, "min_dist=nan"),
    ("min_dist", "0.5", TypeError, "min_dist='0.5'"),
    ("min_dist", None, TypeError, "min_dist=None"),
    ("spread", 0, ValueError, "spread=0"),
    ("spread", -1, ValueError, "spread=-1"),
    ("spread", INF, ValueError, "spread=inf"),
    ("spread", [1], TypeError, r"spread=\[1\]"),
    ("n_components", 0, ValueError, "n_components=0.*at least 1"),
    ("n_components", -2, ValueError, "n_components=-2"),
    ("n_components", 2.5, ValueError, "n_components=2.5"),
    ("n_components", 30, ValueError, "n_components=30 is more than 30 vertices.*from 1 to 29"),
    ("n_components", 5000, ValueError, "n_components=5000.*from 1 to 29"),
    ("n_components", "2", TypeError, "n_components='2'"),
    ("n_components", True, TypeError, "n_components=True"),
    ("n_components", None, TypeError, "n_components=None"),
    ("maxiter", -1, ValueError, "maxiter=-1.*None or an integer of at least 0"),
    ("maxiter", 10.5, ValueError, "maxiter=10.5"),
    ("maxiter", "100", TypeError, "maxiter='100'"),
    ("maxiter", 2**40, ValueError, "maxiter=1099511627776"),
    ("maxiter", NAN, ValueError, "maxiter=nan"),
    ("alpha", 0, ValueError, "alpha=0"),
    ("alpha", -1.0, ValueError, "alpha=-1.0"),
    ("alpha", NAN, ValueError, "alpha=nan"),
    ("alpha", "1", TypeError, "alpha='1'"),
    ("gamma", -0.5, ValueError, "gamma=-0.5"),
    ("gamma", INF, ValueError, "gamma=inf"),
    ("gamma", None, TypeError, "gamma=None"),
    ("negative_sample_rate", -1, ValueError, "negative_sample_rate=-1"),
    ("negative_sample_rate", 1.5, ValueError, "negative_sample_rate=1.5"),
    ("negative_sample_rate", "5", TypeError, "negative_sample_rate='5'"),
    ("a", 1.0, ValueError, "a=1.0.*b"),
    ("b", 1.0, ValueError, "b=1.0.*a"),
    ("init_pos", "spectrl", ValueError, "init_pos='spectrl'.*Did you mean 'spectral'"),
    ("init_pos", "X_pcaa", ValueError, "init_pos='X_pcaa'.*Did you mean 'X_pca'"),
    ("init_pos", "PAGA", ValueError, "init_pos='PAGA'"),
    ("init_pos", "paga", ValueError, "init_pos='paga'.*paga"),
    ("init_pos", np.zeros((30, 3)), ValueError, r"init_pos has shape \(30, 3\).*\(30, 2\)"),
    ("init_pos", np.zeros((29, 2)), ValueError, r"init_pos has shape \(29, 2\)"),
    ("init_pos", np.zeros(30), ValueError, r"init_pos has shape \(30,\)"),
    ("init_pos", np.full((30, 2), NAN), ValueError, "init_pos.*not finite"),
    ("init_pos", np.full((30, 2), "a"), TypeError, "init_pos has dtype <U1"),
    ("init_pos", 3, TypeError, "init_pos=3"),
    ("random_state", -1, ValueError, "random_state=-1"),
    ("random_state", 2**64, ValueError, f"random_state={2**64}"),
    ("random_state", 0.5, TypeError, "random_state=0.5"),
    ("random_state", "0", TypeError, "random_state='0'"),
    ("random_state", True, TypeError, "random_state=True"),
    ("method", "umapp", ValueError, "method='umapp'.*'rapids'.*Did you mean 'umap'"),
    ("method", "rapid", ValueError, "Did you mean 'rapids'"),
    ("method", None, TypeError, "method=None"),
    ("neighbors_key", "k", ValueError, r"^Did not find \.uns\['k'\]\. Run `pp.neighbors` first\."),
    ("neighbors_key", 3, TypeError, "neighbors_key=3"),
    ("key_added", "", ValueError, "key_added=''"),
    ("key_added", "my/key", ValueError, "key_added='my/key'.*saved"),
    ("key_added", 5, TypeError, "key_added=5"),
    ("key_added", "neighbors", ValueError, "key_added='neighbors'.*overwrite"),
    ("copy", "no", TypeError, "copy='no'"),
    ("n_threads", 0, ValueError, "n_threads=0"),
    ("n_threads", 1.5, ValueError, "n_threads=1.5"),
    ("progress", "yes", TypeError, "progress='yes'"),
    ("callback", "print", TypeError, "callback='print'"),
    ("callback_every", 0, ValueError, "callback_every=0"),
    ("timings", [], TypeError, r"timings=\[\]"),
]


@pytest.mark.parametrize(
    ("name", "value", "error", "message"), BAD, ids=[f"{b[0]}-{i}" for i, b in enumerate(BAD)]
)
def test_parameters(
    name: str,
    value: Any,
    error: type[Exception],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def work(*_: object, **__: object) -> None:
        pytest.fail("work was done before the parameters were checked")

    monkeypatch.setattr("umapcore.tl.embed", work)
    adata = sheet(30)
    before = contents(adata)
    with pytest.raises(error, match=message):
        umap(adata, **{name: value})
    assert_equal_contents(before, contents(adata))


def damaged(value: float) -> sparse.csr_matrix:
    graph = sheet(30).obsp["connectivities"].copy()
    graph.data[3] = value
    return graph


@pytest.mark.parametrize(
    ("graph", "error", "message"),
    [
        (damaged(NAN), ValueError, r"\.obsp\['connectivities'\] has 1 weights that are NaN"),
        (damaged(INF), ValueError, "1 infinite"),
        (damaged(-1), ValueError, "1 negative"),
        (damaged(1).astype(complex), TypeError, "complex"),
        (np.full((30, 30), "a"), TypeError, "real numbers"),
    ],
)
def test_weights(graph: Any, error: type[Exception], message: str) -> None:
    adata = sheet(30)
    adata.obsp["connectivities"] = graph
    before = contents(adata)
    with pytest.raises(error, match=message):
        umap(adata, maxiter=5)
    assert_equal_contents(before, contents(adata))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (np.ones((30, 29)), r"\['connectivities'\] has shape \(30, 29\).*square"),
        (np.ones((29, 29)), "29 vertices: it must have 30"),
    ],
)
def test_shape_of_a_graph_in_uns(graph: np.ndarray, message: str) -> None:
    adata = sheet(30)
    adata.uns["neighbors"] = {"connectivities_key": "gone", "connectivities": graph}
    with pytest.raises(ValueError, match=message):
        umap(adata)


def test_no_observations() -> None:
    with pytest.raises(ValueError, match="no vertices"):
        umap(with_neighbors(sheet(30).obsp["connectivities"])[[]].copy())


@pytest.mark.parametrize("adata", [None, np.ones((3, 3)), {"obsp": 1}])
def test_what_is_no_anndata(adata: Any) -> None:
    with pytest.raises(TypeError, match=r"adata=.*AnnData"):
        umap(adata)


def test_positional_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="positional"):
        umap(sheet(30), 0.5)  # type: ignore[misc]


def test_without_neighbors() -> None:
    with pytest.raises(ValueError, match=r"^Did not find \.uns\['neighbors'\]\. Run `pp\.neighb"):
        umap(AnnData(np.ones((5, 5), np.float32)))
