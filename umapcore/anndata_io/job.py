"""The job that an AnnData describes, for :func:`umapcore.tl.umap` and :func:`umapcore.verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from umapcore.anndata_io.read import read_distances, read_metric, read_representation
from umapcore.runs.job import Job

if TYPE_CHECKING:
    from anndata import AnnData

    from umapcore.layout.spec import OptimizerSpec


def read_job(
    adata: AnnData,
    neighbors_key: str,
    neighbors: tuple[Any, str, dict[str, Any]],
    spec: OptimizerSpec,
    init: Any,
) -> Job:
    """Return the job of laying out a graph of an AnnData.

    Parameters
    ----------
    adata
        Holds the graph, and the distances if `spec` preserves densities.
    neighbors_key
        Name of the neighbours entry of `uns`.
    neighbors
        Graph, name and parameters, from :func:`umapcore.anndata_io.read.read_neighbors`.
    spec
        The specification of the layout.
    init
        The start, from :func:`umapcore.anndata_io.read.read_start`, or a kind of start.

    Raises
    ------
    ValueError
        When densities are preserved and there are no distances.
    """
    graph, name, params = neighbors
    distances, distances_name = None, "distances"
    if spec.density_weight > 0:
        distances, distances_name = read_distances(adata, neighbors_key)
    return Job(
        graph=graph,
        spec=spec,
        init=init,
        distances=distances,
        # A function: the coordinates are read only for a graph of several components.
        representation=lambda: read_representation(adata, params),
        metric=read_metric(params) or "euclidean",
        graph_name=name,
        distances_name=distances_name,
        n_vertices=adata.n_obs,
    )
