"""Objects that are not AnnData but have observations: MuData, or anything with the same parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
import pytest

import umapcore as uc
from tests.support.anndatas import Observations, as_mudata, assert_equal_contents, contents, islands

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:From 0.4 .update:FutureWarning")  # mudata's


@pytest.fixture(params=[Observations, as_mudata], ids=["stand-in", "MuData"])
def other(request: pytest.FixtureRequest) -> Any:
    """An object with the graph of two modalities, as muon describes it."""
    adata = islands()
    adata.uns["wnn"] = adata.uns.pop("neighbors")
    adata.uns["wnn"]["params"] |= {
        "use_rep": {"one": "X_pca", "two": "X_pca"},
        "n_pcs": {"one": -1, "two": -1},
    }
    return request.param(adata)


class TestObjects:
    def test_umap_and_verify(self, other: Any) -> None:
        before = contents(other)
        uc.tl.umap(other, neighbors_key="wnn", maxiter=15)
        assert uc.verify(other)
        adata = islands()
        del adata.obsm["X_pca"]
        adata.X = None
        uc.tl.umap(adata, maxiter=15)
        np.testing.assert_array_equal(other.obsm["X_umap"], adata.obsm["X_umap"])
        assert uc.compare(other, adata).equal
        del other.obsm["X_umap"], other.uns["umap"]
        assert_equal_contents(before, contents(other))

    def test_neighbors(self, other: Any) -> None:
        uc.pp.neighbors(other, 10, use_rep="X_pca")
        adata = islands()
        uc.pp.neighbors(adata, 10, use_rep="X_pca")
        for key in ("connectivities", "distances"):
            assert (other.obsp[key] != adata.obsp[key]).nnz == 0
        uc.tl.umap(other, maxiter=5, density_weight=1)
        assert uc.verify(other)

    def test_neighbors_without_a_representation(self, other: Any) -> None:
        del other.obsm["X_pca"]
        for use_rep in (None, "X"):
            with pytest.raises(ValueError, match=r"There is n.* \.X .*: use_rep must be a key"):
                uc.pp.neighbors(other, use_rep=use_rep)

    @pytest.mark.parametrize("init_pos", ["paga", "X_pca", "frame"])
    def test_starts(self, other: Any, init_pos: Any) -> None:
        other.uns["paga"] = {
            "groups": "group",
            "connectivities": np.ones((3, 3)),
            "pos": np.array([[0.0, 0], [5, 5], [10, 0]]),
        }
        if init_pos == "frame":
            init_pos = pd.DataFrame(other.obsm["X_pca"][:, :2], index=other.obs.index)[::-1]
        uc.tl.umap(other, neighbors_key="wnn", init_pos=init_pos, maxiter=5)
        assert uc.verify(other)

    def test_ingest(self, other: Any) -> None:
        uc.tl.umap(other, neighbors_key="wnn", maxiter=5)
        new = Observations(islands()[:30].copy())
        del new.obs["group"]
        with pytest.raises(TypeError, match=r"adata_ref\.uns\['wnn'\]\['params'\]\['use_rep'\]="):
            uc.tl.ingest(new, other, neighbors_key="wnn")  # type: ignore[arg-type]
        uc.tl.ingest(new, other, use_rep="X_pca", obs="group")  # type: ignore[arg-type]
        assert new.obsm["X_umap"].shape == (30, 2)
        assert (new.obs["group"] == other.obs["group"][:30]).mean() > 0.2
        with pytest.raises(ValueError, match=r"no X: use_rep must be a key of \.obsm of both"):
            uc.tl.ingest(new, other, use_rep="X")  # type: ignore[arg-type]

    def test_pictures(self, other: Any) -> None:
        pytest.importorskip("matplotlib").use("agg")
        uc.tl.umap(other, neighbors_key="wnn", maxiter=5)
        other.obs["depth"] = np.arange(other.n_obs)
        axes: Any = uc.pl.umap(other, color=["group", "depth"])
        assert len(axes) == 2
        with pytest.raises(ValueError, match=r"None or a column of obs\. Did you mean 'group'"):
            uc.pl.umap(other, color="groupe")


def test_copies() -> None:
    adata = islands()
    with pytest.raises(ValueError, match=r"Observations, cannot be copied, as it has no copy\(\)"):
        uc.tl.umap(Observations(adata), copy=True)  # type: ignore[arg-type]
    made = as_mudata(adata)
    found: Any = uc.tl.umap(made, copy=True, maxiter=5)
    assert "X_umap" in found.obsm
    assert "X_umap" not in made.obsm


def test_accelerated_scanpy() -> None:
    sc = pytest.importorskip("scanpy", reason="scanpy is not installed")
    import umapcore.accel

    made = as_mudata(islands())
    with umapcore.accel.enabled():
        sc.tl.umap(made, maxiter=5)
    assert uc.verify(made)


def test_mudata_in_a_file(tmp_path: Path) -> None:
    made = as_mudata(islands())
    made.write(tmp_path / "a.h5mu")
    mudata = pytest.importorskip("mudata")
    backed = mudata.read_h5mu(tmp_path / "a.h5mu", backed="r")
    uc.tl.umap(backed, maxiter=5)
    assert uc.verify(backed)
    with pytest.raises(ValueError, match="MuData, cannot be copied, as it is backed by a file"):
        uc.tl.umap(backed, copy=True)
    with pytest.raises(ValueError, match="backed by a file, which cannot be written to: read it"):
        uc.tl.umap(backed[:50])
    backed.file.close()


@pytest.mark.parametrize("call", [uc.tl.umap, uc.pp.neighbors, uc.verify])
@pytest.mark.parametrize("given", [None, "a.h5ad", np.ones((3, 3)), anndata.AnnData, {"obsm": {}}])
def test_what_has_no_observations(call: Callable[[Any], Any], given: Any) -> None:
    with pytest.raises(TypeError, match=r"adata=.* has type .*: adata must be an AnnData object"):
        call(given)
