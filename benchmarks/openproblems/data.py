"""Data sets in the format of the openproblems task.

Counts become what the task's own data sets hold: ``layers['normalized']`` is log(1 + counts in
10,000 of the cell), ``var['hvg_score']`` the normalised dispersion by scanpy's ``cell_ranger``
flavour, as in ``openproblems-bio/datasets``. The task's data are fetched from its own storage; the
ones here are at hand or made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
NORMALIZATION = "log_cp10k"

#: What each set is, for the page.
ABOUT = {
    "cbmc8k": "8,617 cord blood cells with mouse cells spiked in (GEO GSE100866), the 2,000 genes "
    "that `docs/data` holds; 15 groups from clusters",
    "pbmc700": "700 blood cells and 765 genes that come with scanpy (`pbmc68k_reduced`), whose "
    "counts follow from its normalised values; 10 groups from sorted cells",
    "generated tree": "3,000 cells and 2,000 genes, generated here: a branching path with "
    "negative binomial counts; the groups are its 7 branches",
}


@dataclass(frozen=True)
class Tree:
    """Size and shape of the generated data.

    Attributes
    ----------
    n_cells, n_genes
        Number of cells and of genes, before genes without counts are dropped.
    share
        Share of the genes that change along a branch.
    change
        Standard deviation of the change of such a gene's log mean along a branch.
    depth
        Mean of the counts in a cell.
    dispersion
        Variance of a count is mean + dispersion × mean².
    """

    n_cells: int = 3_000
    n_genes: int = 2_000
    share: float = 0.15
    change: float = 1.5
    depth: float = 4_000.0
    dispersion: float = 0.3


#: Parent of each branch: one trunk, which splits in two, each of which splits in two.
_PARENTS = (None, 0, 0, 1, 1, 2, 2)


def load(name: str) -> anndata.AnnData:
    """Return one of the sets of `ABOUT`."""
    if name == "cbmc8k":
        stored = anndata.read_h5ad(ROOT / "docs/data/cbmc8k_counts.h5ad")
        return in_format(name, stored.X, stored.obs["cell_type"].to_numpy(), stored.var_names)
    if name == "pbmc700":
        return _pbmc700(name)
    counts, labels = generate_tree(Tree(), seed=0)
    return in_format(name, counts, labels)


def in_format(
    name: str,
    counts: sparse.spmatrix,
    labels: NDArray[np.str_],
    genes: pd.Index | None = None,
    *,
    totals: NDArray[np.floating] | None = None,
) -> anndata.AnnData:
    """Return what the task calls a solution: the data set for a method, and the labels.

    Parameters
    ----------
    name
        Name of the set.
    counts
        Cells × genes.
    labels
        Type of each cell.
    genes
        Names of genes.
    totals
        Counts of each cell in all genes, if some genes are not among `counts`.
    """
    import scanpy as sc

    counts = sparse.csr_matrix(counts, dtype=np.float32)
    if totals is None:
        totals = np.asarray(counts.sum(axis=1)).ravel()
    normalised = sparse.diags(1e4 / totals).dot(counts).tocsr().astype(np.float32)
    normalised.data = np.log1p(normalised.data)
    made = anndata.AnnData(
        obs=pd.DataFrame(
            {"cell_type": pd.Categorical(labels)}, index=[f"cell {i}" for i in range(len(labels))]
        ),
        var=pd.DataFrame(index=genes if genes is not None else _names(counts.shape[1])),
        layers={"counts": counts, "normalized": normalised},
        uns={"dataset_id": name, "normalization_id": NORMALIZATION},
    )
    variable = sc.pp.highly_variable_genes(
        made, layer="normalized", n_top_genes=min(1_000, made.n_vars), flavor="cell_ranger",
        inplace=False,
    )  # fmt: skip
    made.var["hvg_score"] = variable["dispersions_norm"].to_numpy()
    return made


def generate_tree(tree: Tree, *, seed: int) -> tuple[sparse.csr_matrix, NDArray[np.str_]]:
    """Generate counts of cells along a branching path, and the branch of each cell.

    Each branch changes the log means of some genes in proportion to how far along it a cell is; a
    branch begins where its parent ends. Counts are negative binomial.
    """
    rng = np.random.default_rng(seed)
    base = rng.normal(0.0, 1.2, tree.n_genes)
    ends: list[NDArray[np.float64]] = []
    changes = []
    for parent in _PARENTS:
        begin = base if parent is None else ends[parent]
        change = rng.normal(0.0, tree.change, tree.n_genes)
        change[rng.random(tree.n_genes) >= tree.share] = 0.0
        changes.append((begin, change))
        ends.append(begin + change)
    branch = rng.integers(len(_PARENTS), size=tree.n_cells)
    along = rng.random((tree.n_cells, 1))
    begins, steps = (np.array(part)[branch] for part in zip(*changes, strict=True))
    means = np.exp(begins + along * steps)
    means *= tree.depth * rng.lognormal(0.0, 0.3, (tree.n_cells, 1)) / means.sum(1, keepdims=True)
    counts = rng.poisson(means * rng.gamma(1 / tree.dispersion, tree.dispersion, means.shape))
    counts = counts[:, counts.any(axis=0)]
    return sparse.csr_matrix(counts), np.array([f"branch {i}" for i in branch])


def _pbmc700(name: str) -> anndata.AnnData:
    """Undo the normalisation of scanpy's small data set; whole numbers show that it worked.

    Its logarithms are rounded to three decimals.
    """
    import scanpy as sc

    stored = sc.datasets.pbmc68k_reduced()
    totals = stored.obs["n_counts"].to_numpy(np.float64)
    values = np.expm1(stored.raw.X.toarray().astype(np.float64)) * totals[:, None] / 1e4
    counts = np.rint(values)
    if (np.abs(values - counts) > 0.05 + 0.001 * counts).any():
        msg = "scanpy's pbmc68k_reduced no longer holds log(1 + counts in 10,000)"
        raise ValueError(msg)
    labels = stored.obs["bulk_labels"].astype(str).to_numpy()
    return in_format(name, sparse.csr_matrix(counts), labels, stored.var_names, totals=totals)


def _names(n: int) -> list[str]:
    return [f"gene {i}" for i in range(n)]
