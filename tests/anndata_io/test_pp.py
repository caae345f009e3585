"""``umapcore.pp.neighbors``: what it reads, and that it writes what scanpy writes."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

import umapcore as uc
from tests.support.anndatas import assert_equal_contents, contents
from umapcore import pp
from umapcore.anndata_io.read import read_params
from umapcore.anndata_io.representation import looks_like_raw_counts
from umapcore.neighbors.exact import exact_knn
from umapcore.neighbors.record import NEIGHBORS_VERSION, Found, Search
from umapcore.neighbors.search import find_neighbors

if TYPE_CHECKING:
    from pathlib import Path


def cells(n: int = 150, n_vars: int = 60, n_pcs: int | None = 8) -> AnnData:
    rng = np.random.default_rng(0)
    adata = AnnData(rng.normal(size=(n, n_vars)).astype(np.float32))
    adata.obs_names = [f"cell{i}" for i in range(n)]
    if n_pcs:
        adata.obsm["X_pca"] = rng.normal(size=(n, n_pcs)).astype(np.float32)
    return adata


def counts(n: int, n_vars: int) -> np.ndarray:
    """Counts of molecules: few of most genes, many of some, and cells of different depths."""
    rng = np.random.default_rng(0)
    share = rng.lognormal(0, 2, n_vars)
    depth = rng.lognormal(9, 0.6, (n, 1))
    return rng.poisson(rng.gamma(2, 0.5, (n, n_vars)) * share / share.sum() * depth).astype(float)


def found_in(adata: AnnData, key: str = "connectivities") -> tuple[bytes, ...]:
    graph = adata.obsp[key]
    return graph.data.tobytes(), graph.indices.tobytes(), graph.indptr.tobytes()


def test_what_is_written() -> None:
    adata = cells()
    assert uc.pp.neighbors(adata, 7) is None
    assert adata.uns["neighbors"] == {
        "connectivities_key": "connectivities",
        "distances_key": "distances",
        "params": {
            "n_neighbors": 7,
            "method": "umap",
            "random_state": 0,
            "metric": "euclidean",
            "search": {"kind": "exact", "version": NEIGHBORS_VERSION, "accuracy": 1.0},
        },
    }
    knn = exact_knn(adata.obsm["X_pca"], 7)
    distances = adata.obsp["distances"]
    assert type(distances) is type(adata.obsp["connectivities"]) is sparse.csr_matrix
    np.testing.assert_array_equal(np.diff(distances.indptr), 6)
    np.testing.assert_array_equal(distances.indices.reshape(150, 6), knn.indices[:, 1:])
    np.testing.assert_array_equal(distances.data.reshape(150, 6), knn.distances[:, 1:])
    assert abs(adata.obsp["connectivities"] - uc.fuzzy_simplicial_set(*knn)).nnz == 0
    uc.tl.umap(adata, maxiter=3)
    assert adata.obsm["X_umap"].shape == (150, 2)


def test_scanpy_groups_and_draws() -> None:
    """Groups, their graph and diffusion maps; a layout from that graph, and scanpy's picture."""
    sc = pytest.importorskip("scanpy", reason="scanpy is not installed")
    pytest.importorskip("igraph", reason="igraph, which scanpy's leiden needs, is not installed")
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(4), 40)
    # Near enough to have edges between them: scanpy's paga fails where there are none.
    points = (rng.normal(size=(160, 10)) + 3.5 * np.eye(10)[groups]).astype(np.float32)
    adata = AnnData(points)
    uc.pp.neighbors(adata, 10, use_rep="X")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scanpy's own
        sc.tl.leiden(adata, resolution=0.2, flavor="igraph", n_iterations=2)
        sc.tl.paga(adata, groups="leiden")
        sc.pl.paga(adata, show=False)
        sc.tl.diffmap(adata, n_comps=5)
    found = adata.obs["leiden"].to_numpy()
    assert len(set(found)) == 4
    for group in range(4):
        assert np.unique(found[groups == group], return_counts=True)[1].max() >= 38
    assert adata.obsm["X_diffmap"].shape == (160, 5)
    uc.tl.umap(adata, init_pos="paga", maxiter=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes = sc.pl.umap(adata, color="leiden", show=False)
    drawn = np.concatenate([part.get_offsets() for part in axes.collections])
    assert {tuple(row) for row in adata.obsm["X_umap"].round(3)} <= {
        tuple(row) for row in np.asarray(drawn, np.float32).round(3)
    }


@pytest.mark.parametrize("options", [{}, {"use_rep": "X_pca", "n_pcs": 5}, {"metric": "cosine"}])
@pytest.mark.parametrize("key_added", [None, "mine"])
def test_as_scanpy(options: dict[str, Any], key_added: str | None) -> None:
    """Key by key. scanpy's exact search gives float64 distances."""
    sc = pytest.importorskip("scanpy", reason="scanpy is not installed")
    ours, theirs = cells(), cells()
    sc.pp.neighbors(theirs, key_added=key_added, **options)
    pp.neighbors(ours, key_added=key_added, **options)
    assert sorted(ours.uns) == sorted(theirs.uns)
    found = dict(ours.uns[key_added or "neighbors"])
    del found["params"]["search"]
    assert found == dict(theirs.uns[key_added or "neighbors"])
    assert sorted(ours.obsp) == sorted(theirs.obsp)
    for key, expected in theirs.obsp.items():
        found = ours.obsp[key]
        assert type(found) is type(expected)
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found.indptr, expected.indptr)
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_allclose(found.data, expected.data, rtol=1e-5, atol=1e-5)


def test_scanpy_goes_on_from_there() -> None:
    sc = pytest.importorskip("scanpy", reason="scanpy is not installed")
    adata = cells()
    pp.neighbors(adata)
    sc.tl.diffmap(adata, n_comps=4)
    assert np.isfinite(adata.obsm["X_diffmap"]).all()
    pytest.importorskip("igraph", reason="igraph, which paga needs, is not installed")
    adata.obs["group"] = np.array(["a", "b", "c"])[np.arange(150) % 3]
    adata.obs["group"] = adata.obs["group"].astype("category")
    sc.tl.paga(adata, groups="group")
    assert adata.uns["paga"]["connectivities"].shape == (3, 3)


class TestRepresentation:
    def test_few_variables(self) -> None:
        adata = cells(n_vars=20)
        pp.neighbors(adata, key_added="default")
        pp.neighbors(adata, use_rep="X", key_added="x")
        assert found_in(adata, "default_connectivities") == found_in(adata, "x_connectivities")
        assert "use_rep" not in adata.uns["default"]["params"]

    def test_placeholder_for_x(self) -> None:
        """Components cannot come from fewer variables."""
        adata = cells(n_vars=2)
        pp.neighbors(adata)
        assert adata.uns["neighbors"]["params"]["use_rep"] == "X_pca"
        np.testing.assert_array_equal(
            adata.obsp["distances"].indices.reshape(150, 14),
            exact_knn(adata.obsm["X_pca"], 15).indices[:, 1:],
        )

    def test_n_pcs(self) -> None:
        adata = cells()
        pp.neighbors(adata, 15, 3)
        assert adata.uns["neighbors"]["params"]["n_pcs"] == 3
        indices = exact_knn(np.ascontiguousarray(adata.obsm["X_pca"][:, :3]), 15).indices
        np.testing.assert_array_equal(
            adata.obsp["distances"].indices.reshape(150, 14), indices[:, 1:]
        )

    @pytest.mark.parametrize("is_sparse", [False, True])
    def test_pca(self, is_sparse: bool) -> None:
        adata = cells(n_pcs=None)
        dense = adata.X.astype(float)
        if is_sparse:
            adata.X = sparse.csr_matrix(adata.X)
        with pytest.warns(UserWarning, match="50 principal components"):
            pp.neighbors(adata)
        stored = adata.obsm["X_pca"]
        assert stored.dtype == np.float32
        centred = dense - dense.mean(axis=0)
        left, lengths, _ = np.linalg.svd(centred, full_matrices=False)
        np.testing.assert_allclose(abs(stored), abs(left * lengths)[:, :50], atol=1e-3)
        again = adata.copy()
        pp.neighbors(again)
        assert found_in(again) == found_in(adata)
        axes, described = adata.varm["PCs"], adata.uns["pca"]
        np.testing.assert_allclose(centred @ axes, stored, atol=1e-3)
        np.testing.assert_allclose(axes.T @ axes, np.eye(50), atol=1e-5)
        variance = stored.astype(float).var(axis=0, ddof=1)
        np.testing.assert_allclose(described["variance"], variance, rtol=1e-4)
        total = dense.var(axis=0, ddof=1).sum()
        np.testing.assert_allclose(described["variance_ratio"], variance / total, rtol=1e-4)
        assert described["params"] == {"zero_center": True, "use_highly_variable": False}

    @pytest.mark.parametrize("is_sparse", [False, True])
    def test_raw_counts(self, is_sparse: bool) -> None:
        adata = AnnData(counts(200, 300).astype(np.float32))
        if is_sparse:
            adata.X = sparse.csr_matrix(adata.X)
        said = "50 principal components.* raw counts.* sc.pp.normalize_total, sc.pp.log1p and sc.pp"
        with pytest.warns(UserWarning, match=said) as caught:
            pp.neighbors(adata)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        pp.neighbors(adata)  # by X_pca now, which the user may have chosen to keep
        pp.neighbors(adata, use_rep="X")
        pp.neighbors(AnnData(adata.X[:, :50]))

    @pytest.mark.parametrize(
        ("matrix", "expected"),
        [
            (lambda c, _: c, True),
            (lambda c, _: c.astype(np.uint16), True),
            (lambda c, _: c[:, :60], True),
            (lambda c, _: np.log1p(c), False),
            (lambda c, _: c / c.sum(axis=1, keepdims=True) * 1e4, False),
            (lambda c, _: np.rint(c / c.sum(axis=1, keepdims=True) * 1e4), False),
            (lambda c, _: -c, False),
            (lambda c, _: c - 1, False),
            (lambda c, _: np.minimum(c, 1), False),
            (lambda c, _: c * 0, False),
            (lambda c, _: np.minimum(c, 255), False),  # dark images
            (lambda c, rng: rng.integers(0, 16, c.shape), False),  # letters
            (lambda c, rng: rng.integers(0, 256, c.shape) * (c > 0), False),  # strokes
            (lambda c, rng: rng.integers(1, 6, c.shape) * (c > 0), False),  # ratings
        ],
    )
    @pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
    def test_looks_like_raw_counts(
        self, matrix: Any, expected: bool, form: Any, rng: np.random.Generator
    ) -> None:
        found = matrix(counts(300, 200), rng)
        assert looks_like_raw_counts(form(found.astype(np.float32))) == expected

    def test_pca_is_what_scanpy_stores(self) -> None:
        scanpy = pytest.importorskip("scanpy", reason="scanpy is not installed")
        adata = cells(n_pcs=None)
        theirs = adata.copy()
        scanpy.pp.pca(theirs, n_comps=50, svd_solver="arpack")
        with pytest.warns(UserWarning, match="50 principal components"):
            pp.neighbors(adata)
        np.testing.assert_allclose(abs(adata.varm["PCs"]), abs(theirs.varm["PCs"]), atol=1e-3)
        for key in ("variance", "variance_ratio"):
            np.testing.assert_allclose(adata.uns["pca"][key], theirs.uns["pca"][key], rtol=1e-3)
        assert adata.uns["pca"]["params"].items() <= theirs.uns["pca"]["params"].items()

    def test_pca_is_not_half_written(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The last entry fails; axes that were there before come back."""
        adata = cells(n_pcs=None)
        adata.varm["PCs"] = np.ones((adata.n_vars, 2))

        class Unwilling(dict):  # type: ignore[type-arg]
            def __setitem__(self, key: str, value: object) -> None:
                if key == "neighbors":
                    raise KeyboardInterrupt
                super().__setitem__(key, value)

        monkeypatch.setattr(type(adata), "uns", Unwilling())
        with pytest.warns(UserWarning, match="components"), pytest.raises(KeyboardInterrupt):
            pp.neighbors(adata)
        assert not adata.uns
        assert "X_pca" not in adata.obsm
        assert not adata.obsp
        assert (adata.varm["PCs"] == 1).all()

    def test_sparse_x(self) -> None:
        adata = cells(n_vars=30)
        adata.X[adata.X < 0.5] = 0
        dense = adata.copy()
        adata.X = sparse.csr_matrix(adata.X)
        pp.neighbors(adata)
        pp.neighbors(dense)
        assert abs(adata.obsp["connectivities"] - dense.obsp["connectivities"]).max() < 1e-4

    def test_backed(self, tmp_path: Path) -> None:
        adata = cells(n_vars=30, n_pcs=None)
        adata.write_h5ad(tmp_path / "a.h5ad")
        backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
        pp.neighbors(backed)
        pp.neighbors(adata)
        assert found_in(backed) == found_in(adata)
        backed.file.close()


def test_backed_without_x(tmp_path: Path) -> None:
    adata = cells(n_vars=1)
    adata.X = None
    adata.write_h5ad(tmp_path / "a.h5ad")
    backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
    pp.neighbors(backed)
    assert backed.uns["neighbors"]["params"]["use_rep"] == "X_pca"
    with pytest.raises(ValueError, match=r"There is no \.X"):
        pp.neighbors(backed, use_rep="X")
    backed.file.close()


def test_precomputed() -> None:
    adata = cells()
    knn = exact_knn(adata.obsm["X_pca"], 15)
    pp.neighbors(adata)
    pp.neighbors(adata, key_added="given", precomputed_knn=knn)
    pp.neighbors(
        adata, key_added="rapids", precomputed_knn=(knn.indices[:, 1:], knn.distances[:, 1:])
    )
    pp.neighbors(adata, 15, key_added="more", precomputed_knn=exact_knn(adata.obsm["X_pca"], 20))
    for key in ("given", "rapids", "more"):
        for what in ("connectivities", "distances"):
            assert found_in(adata, f"{key}_{what}") == found_in(adata, what)
    with pytest.raises(ValueError, match="has 15 neighbours a row"):
        pp.neighbors(adata, 16, precomputed_knn=knn)
    with pytest.raises(ValueError, match="150"):
        pp.neighbors(adata[:100].copy(), precomputed_knn=knn)
    with pytest.raises(TypeError, match="pair of matrices"):
        pp.neighbors(adata, precomputed_knn=knn.indices)


class TestSearch:
    """What is asked of the search, and what is kept of it."""

    @pytest.mark.parametrize(
        ("given", "asked"),
        [
            ({}, (None, None)),
            ({"accuracy": np.float32(0.5)}, (None, 0.5)),
            ({"accuracy": 1}, (True, 1.0)),
            ({"accuracy": 1, "exact": True}, (True, 1.0)),
            ({"exact": np.False_, "accuracy": 0.9}, (False, 0.9)),
        ],
    )
    def test_accuracy(
        self, given: dict[str, Any], asked: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[Any] = []

        def record(points: Any, k: int, *, exact: Any, accuracy: Any, **options: Any) -> Found:
            seen.append((exact, accuracy))
            return find_neighbors(points, k, **options)

        monkeypatch.setattr(pp, "find_neighbors", record)
        pp.neighbors(cells(), **given)
        assert seen == [asked]

    def test_what_is_kept_and_logged(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        how = Search(kind="partitions", accuracy=0.95, recall=0.9625)
        monkeypatch.setattr(pp, "find_neighbors", lambda p, k, **_: Found(exact_knn(p, k), how))
        adata = cells()
        with caplog.at_level(logging.INFO, "umapcore"):
            pp.neighbors(adata, accuracy=0.95)
        assert adata.uns["neighbors"]["params"]["search"] == {
            "kind": "partitions", "version": NEIGHBORS_VERSION, "accuracy": 0.95, "recall": 0.9625,
        }  # fmt: skip
        assert "no effect" not in caplog.text
        how = Search(kind="pynndescent")
        pp.neighbors(adata, accuracy=0.95)
        assert "accuracy=0.95 has no effect on a search by pynndescent" in caplog.text

    def test_nothing_is_kept_where_a_search_cannot_be_repeated(self) -> None:
        adata = cells()
        pp.neighbors(adata, precomputed_knn=exact_knn(adata.obsm["X_pca"], 15))
        assert "search" not in adata.uns["neighbors"]["params"]
        pp.neighbors(adata, metric=lambda a, b: float(abs(a - b).max()))
        assert "search" not in adata.uns["neighbors"]["params"]

    @pytest.mark.filterwarnings("ignore:Writing zarr v2:UserWarning")
    @pytest.mark.parametrize("kind", ["h5ad", "zarr"])
    def test_survives_a_file(
        self, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if kind == "zarr":
            pytest.importorskip("zarr")
        how = Search(kind="partitions", accuracy=0.95, recall=0.9625)
        monkeypatch.setattr(pp, "find_neighbors", lambda p, k, **_: Found(exact_knn(p, k), how))
        adata = cells()
        pp.neighbors(adata, random_state=2**64 - 1)
        getattr(adata, f"write_{kind}")(tmp_path / f"a.{kind}")
        read = getattr(anndata, f"read_{kind}")(tmp_path / f"a.{kind}")
        assert read_params(read, "neighbors") == adata.uns["neighbors"]["params"]
        assert read_params(read, "neighbors")["search"] == how.params()


def test_doubles_stay_in_the_distances() -> None:
    adata = cells()
    adata.obsm["X_pca"][:40] = 1.0
    pp.neighbors(adata)
    distances = adata.obsp["distances"]
    assert np.diff(distances.indptr).tolist() == [14] * 150
    assert (distances.indices.reshape(150, 14) != np.arange(150)[:, None]).all()
    assert (distances.data[:14] == 0).all()


@pytest.mark.parametrize("n", [1, 2, 3, 14])
def test_few_observations(n: int, caplog: pytest.LogCaptureFixture) -> None:
    adata = cells(n, n_vars=5)
    with caplog.at_level(logging.WARNING, "umapcore"):
        pp.neighbors(adata)
    assert adata.uns["neighbors"]["params"]["n_neighbors"] == 1 + n // 2
    assert "n_neighbors is" in caplog.text
    uc.tl.umap(adata, maxiter=2)


def test_copy_and_views() -> None:
    adata = cells()
    before = contents(adata)
    other = pp.neighbors(adata, copy=True)
    assert_equal_contents(before, contents(adata))
    pp.neighbors(adata)
    assert found_in(other) == found_in(adata)
    view = cells()[:100]
    with pytest.warns(anndata.ImplicitModificationWarning):
        pp.neighbors(view)
    assert view.obsp["connectivities"].shape == (100, 100)


def test_random_states_can_be_written(tmp_path: Path) -> None:
    adata = cells()
    pp.neighbors(
        adata, random_state=np.random.RandomState(3), metric="minkowski", metric_kwds={"p": 3}
    )
    adata.write_h5ad(tmp_path / "a.h5ad")
    params = anndata.read_h5ad(tmp_path / "a.h5ad").uns["neighbors"]["params"]
    assert params["random_state"] == np.random.RandomState(3).randint(0, 2**64, dtype=np.uint64)
    assert params["metric_kwds"]["p"] == 3


@pytest.mark.parametrize("at", ["distances", "connectivities"])
def test_all_or_nothing(at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    adata = cells(n_pcs=None)
    adata.obsp["distances"] = sparse.eye(150, format="csr")
    before = contents(adata)
    mapping = type(adata.obsp)
    original = mapping.__setitem__

    def failing(self: Any, key: str, value: Any) -> None:
        original(self, key, value)
        if key == at and failures:
            failures.pop()
            raise KeyboardInterrupt

    failures = [1]
    monkeypatch.setattr(mapping, "__setitem__", failing)
    with pytest.warns(UserWarning, match="principal"), pytest.raises(KeyboardInterrupt):
        pp.neighbors(adata)
    assert_equal_contents(before, contents(adata))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n_neighbors": 1}, ValueError, "n_neighbors=1"),
        ({"n_neighbors": 2.5}, ValueError, "n_neighbors=2.5"),
        ({"n_neighbors": "x"}, TypeError, "n_neighbors='x'"),
        ({"n_pcs": -1}, ValueError, "n_pcs=-1"),
        ({"n_pcs": 9}, ValueError, r"n_pcs=9: \.obsm\['X_pca'\] has 8 columns"),
        ({"use_rep": "X_pcs"}, ValueError, r"use_rep='X_pcs'.*Did you mean 'X_pca'\?"),
        ({"use_rep": 3}, TypeError, "use_rep=3"),
        ({"use_rep": "words"}, TypeError, "words"),
        ({"use_rep": "nan"}, ValueError, r"\.obsm\['nan'\] has 2 values that are NaN"),
        ({"method": "gauss"}, ValueError, "scanpy has 'gauss'"),
        ({"method": "gpu"}, ValueError, "method='gpu' is unknown"),
        ({"metric": "cosin"}, ValueError, r"metric='cosin' is unknown.*'cosine'"),
        ({"metric": 3}, TypeError, "metric=3"),
        ({"metric_kwds": 3}, TypeError, "metric_kwds=3"),
        ({"random_state": -1}, ValueError, "random_state=-1"),
        ({"key_added": "a/b"}, ValueError, "key_added='a/b'"),
        ({"copy": 1}, TypeError, "copy=1"),
        ({"exact": 1}, TypeError, "exact=1"),
        ({"accuracy": "high"}, TypeError, "accuracy='high'"),
        ({"accuracy": True}, TypeError, "accuracy=True"),
        ({"accuracy": 0}, ValueError, "accuracy=0 .* above 0 and at most 1"),
        ({"accuracy": 1.01}, ValueError, "accuracy=1.01"),
        ({"accuracy": float("nan")}, ValueError, "accuracy=nan"),
        ({"accuracy": 0.9, "exact": True}, ValueError, "accuracy=0.9 contradicts exact=True"),
        ({"accuracy": 1, "exact": False}, ValueError, "accuracy=1 contradicts exact=False"),
        ({"n_threads": 0}, ValueError, "n_threads=0"),
    ],
)
def test_bad_values(change: dict[str, Any], error: type[Exception], message: str) -> None:
    adata = cells()
    adata.obsm["words"] = np.full((150, 2), "a")
    adata.obsm["nan"] = np.ones((150, 2))
    adata.obsm["nan"][3] = np.nan, np.inf
    before = contents(adata)
    with pytest.raises(error, match=message):
        pp.neighbors(adata, **change)
    assert_equal_contents(before, contents(adata))


def test_not_an_anndata() -> None:
    with pytest.raises(TypeError, match="AnnData"):
        pp.neighbors(np.ones((3, 3)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no observations"):
        pp.neighbors(cells()[:0].copy())
