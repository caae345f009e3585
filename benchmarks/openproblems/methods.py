"""The methods that are compared: umapcore by its component, its rivals, and the task's controls."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Embedding = NDArray[np.floating]

COMPONENT = Path(__file__).parent / "component" / "umapcore" / "script.py"
#: What the task's variants with most variable genes and with principal components take.
N_HVG = 1_000
N_PCS = 50
DENSITY_WEIGHT = 2.0
#: What Viash replaces in a script.
_BLOCK = re.compile(r"^## VIASH START$.*?^## VIASH END$", re.M | re.S)


@dataclass(frozen=True)
class Prepared:
    """A data set, as the task's scripts hand it to their methods.

    Attributes
    ----------
    adata
        The data set in the task's format.
    path
        Where it is stored.
    genes
        Normalised expression of the most variable genes.
    pca
        Their principal components.
    """

    adata: anndata.AnnData
    path: Path
    genes: Any = field(repr=False)
    pca: NDArray[np.float32] = field(repr=False)

    @classmethod
    def of(cls, adata: anndata.AnnData, path: Path) -> Prepared:
        """Store the data set, and select and reduce as the task's methods do."""
        import scanpy as sc

        adata.write_h5ad(path)
        best = adata.var["hvg_score"].to_numpy().argsort()[::-1][:N_HVG]
        genes = adata.layers["normalized"][:, best]
        return cls(adata, path, genes, sc.pp.pca(genes, n_comps=N_PCS, svd_solver="arpack"))


@dataclass(frozen=True)
class Method:
    """A method: its name in tables, what it does with a seed, and whether the seed matters."""

    name: str
    run: Callable[[Prepared, int], Embedding]
    seeded: bool = True


def component(data: Prepared, seed: int, **parameters: Any) -> Embedding:
    """Run the component as Viash does: with other parameters, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "embedding.h5ad"
        par = {
            "input": str(data.path), "output": str(output), "n_hvg": N_HVG, "n_pca_dims": None,
            "n_neighbors": 15, "min_dist": 0.1, "density_weight": 0.0, "seed": seed, **parameters,
        }  # fmt: skip
        script = Path(folder) / "script.py"
        script.write_text(with_parameters(par, {"name": "umapcore"}), encoding="utf-8")
        done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
        if done.returncode:
            msg = f"the component failed:\n{done.stderr}"
            raise RuntimeError(msg)
        made = anndata.read_h5ad(output)
    embedding: Embedding = made[data.adata.obs_names].obsm["X_emb"]
    return embedding


def with_parameters(par: Mapping[str, Any], meta: Mapping[str, Any]) -> str:
    """Return the component's script with these parameters in place of those of its own."""
    block = f"par = {dict(par)!r}\nmeta = {dict(meta)!r}"
    return _BLOCK.sub(lambda _: block, COMPONENT.read_text(encoding="utf-8"), count=1)


def umap_learn(data: Prepared, seed: int, *, genes: bool = False, **parameters: Any) -> Embedding:
    """Do what the task's ``umap`` and ``densmap`` do, with another seed."""
    from umap import UMAP

    # One thread is what a seed leaves it; said here, it does not warn of it.
    model = UMAP(random_state=seed, n_jobs=1, **parameters)
    embedding: Embedding = model.fit_transform(data.genes if genes else data.pca)
    return embedding


def scanpy(data: Prepared, seed: int) -> Embedding:
    """Embed the principal components by scanpy's two functions, with their defaults."""
    import scanpy as sc

    cells = anndata.AnnData(shape=(len(data.pca), 0), obsm={"X_pca": data.pca})
    sc.pp.neighbors(cells, use_rep="X_pca", random_state=seed)
    sc.tl.umap(cells, random_state=seed)
    embedding: Embedding = cells.obsm["X_umap"]
    return embedding


def two_components(data: Prepared, seed: int) -> Embedding:
    """Return the first two components, as the task's ``pca`` does."""
    return data.pca[:, :2]


def random_features(data: Prepared, seed: int) -> Embedding:
    """Return what the task's negative control returns."""
    return np.random.default_rng(seed).normal(size=(data.adata.n_obs, 2))


TRUE = "true features"
RANDOM = "random features"

#: By their names in the tables. The positive control is the data itself.
METHODS = {
    method.name: method
    for method in (
        Method(RANDOM, random_features),
        Method("PCA", two_components, seeded=False),
        Method("umap-learn", umap_learn),
        Method("umapcore", partial(component, n_pca_dims=N_PCS)),
        Method("scanpy", scanpy),
        Method("umapcore 0.5", partial(component, n_pca_dims=N_PCS, min_dist=0.5)),
        Method("umap-learn, genes", partial(umap_learn, genes=True)),
        Method("umapcore, genes", component),
        Method("umap-learn densMAP", partial(umap_learn, densmap=True)),
        Method(
            "umapcore densMAP",
            partial(component, n_pca_dims=N_PCS, density_weight=DENSITY_WEIGHT),
        ),
    )
}

#: A method of umapcore and the one that does the same.
PAIRS = (
    ("umapcore", "umap-learn"),
    ("umapcore 0.5", "scanpy"),
    ("umapcore, genes", "umap-learn, genes"),
    ("umapcore densMAP", "umap-learn densMAP"),
)
