"""From counts to principal components: the same depth for all cells, logarithm, PCA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from umapcore._kit.arrays import in_memory, is_sparse, row_pieces
from umapcore.anndata_io.representation import FEW_VARIABLES
from umapcore.errors import bad_value
from umapcore.neighbors.pca import principal_components

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray


def components_of_counts(adata: AnnData, n_pcs: int | None = None) -> list[tuple[str, str, Any]]:
    """Compute principal components of counts, which stay as they are.

    The counts of each cell are scaled to the median of the cells' sums, as by
    ``scanpy.pp.normalize_total``, and log(1 + x) is taken of them, as by ``scanpy.pp.log1p``. All
    variables are used.

    Parameters
    ----------
    adata
        Its X holds counts, sparse or dense, in memory or on disk.
    n_pcs
        Number of components; None: 50, or as many as there can be.

    Returns
    -------
    Entries of `obsm`, `varm` and `uns` as ``scanpy.pp.pca`` writes them: attribute, key, value.

    Raises
    ------
    ValueError
        When X is missing or does not hold counts.
    """
    stored = adata.X
    if stored is None:
        msg = "There is no .X, and so there are no counts to preprocess."
        raise ValueError(msg)
    counts = _sparse_counts(stored)
    most = min(counts.shape) - 1
    if most < 1 or (n_pcs is not None and not 1 <= n_pcs <= most):
        raise bad_value("n_pcs", n_pcs, f"from 1 to {most} for an .X of shape {counts.shape}")
    sums = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()
    if not sums.any():
        msg = ".X holds zeros only."
        raise ValueError(msg)
    depth = float(np.median(sums[sums > 0]))
    with np.errstate(divide="ignore"):
        scale = np.where(sums > 0, depth / sums, 0.0)
    values = counts.data.astype(np.float32)
    values *= np.repeat(scale.astype(np.float32), np.diff(counts.indptr))
    np.log1p(values, out=values)
    logs = sparse.csr_array((values, counts.indices, counts.indptr), shape=counts.shape)
    pca = principal_components(logs, min(n_pcs or FEW_VARIABLES, most))
    described = {
        "params": {"zero_center": True, "use_highly_variable": False},
        "preprocess": {"counts_per_cell": depth, "log1p": True},
        "variance": pca.variance,
        "variance_ratio": pca.variance_ratio,
    }
    return [("obsm", "X_pca", pca.scores), ("varm", "PCs", pca.axes), ("uns", "pca", described)]


def _sparse_counts(stored: Any) -> sparse.csr_array[Any]:
    if is_sparse(stored) or hasattr(stored, "to_memory"):
        matrix = sparse.csr_array(in_memory(stored))
        if not matrix.has_canonical_format:
            matrix = matrix.copy()
            matrix.sum_duplicates()
        _check_counts(matrix.data)
        return matrix
    pieces = []
    for _, rows in row_pieces(stored):
        _check_counts(rows)
        pieces.append(sparse.csr_array(rows))
    return sparse.csr_array(sparse.vstack(pieces, format="csr"))


def _check_counts(values: NDArray[Any]) -> None:
    if values.dtype.kind in "bu":
        return
    if values.dtype.kind not in "if":
        msg = f".X has dtype {values.dtype}: counts are whole numbers from 0."
        raise ValueError(msg)
    bad = ~((values >= 0) & (values == np.floor(values)) & np.isfinite(values))
    if bad.any():
        msg = (
            f".X holds {values[bad][0]:g}: preprocess takes counts, which are whole numbers from "
            "0. Leave it out for data that are normalised already."
        )
        raise ValueError(msg)
