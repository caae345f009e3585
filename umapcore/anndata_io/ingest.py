"""New cells in the embedding of an AnnData object: ``umapcore.tl.ingest``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.arrays import in_memory
from umapcore._kit.blocks import computed, is_lazy
from umapcore._kit.checks import check_integer
from umapcore._kit.seeds import seed_from, stored_seed
from umapcore._kit.stored import plain, stored_column, stored_integer, stored_text
from umapcore.anndata_io.labels import check_labels, named, vote
from umapcore.anndata_io.read import read_metric, read_params
from umapcore.anndata_io.shared_space import shared_representation
from umapcore.anndata_io.write import check_object, check_target, copied, write_transaction
from umapcore.errors import bad_type, did_you_mean
from umapcore.layout.spec import OptimizerSpec
from umapcore.layout.transform import checked_reference, place
from umapcore.layout.transform_plan import transform_epochs
from umapcore.logs import logger
from umapcore.neighbors.query import checked_neighbours, nearest
from umapcore.runs.digest import positions_digest
from umapcore.runs.job import Run
from umapcore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from numpy.random import Generator, RandomState
    from numpy.typing import ArrayLike, NDArray

#: Neighbours to use when the reference does not store the number that its graph was made with.
_N_NEIGHBORS = 15
_EMBEDDINGS = ("umap", "pca")


def ingest(
    adata: AnnData,
    adata_ref: AnnData,
    *,
    obs: str | Iterable[str] | None = None,
    embedding_method: str | Iterable[str] = _EMBEDDINGS,
    labeling_method: str = "knn",
    neighbors_key: str | None = None,
    inplace: bool = True,
    use_rep: str | None = None,
    n_neighbors: int | None = None,
    knn: tuple[ArrayLike, ArrayLike] | None = None,
    key_added: str | None = None,
    maxiter: int | None = None,
    alpha: float = 1.0,
    gamma: float = 1.0,
    negative_sample_rate: int = 5,
    random_state: int | RandomState | Generator | None = 0,
    a: float | None = None,
    b: float | None = None,
    method: str = "umap",
    n_threads: int | None = None,
    progress: bool | None = None,
) -> AnnData | None:
    """Place new cells in the embedding of a reference, and transfer labels to them.

    Reads and writes the same entries as ``scanpy.tl.ingest``. The reference is not changed. The
    position of a cell depends only on the reference and on that cell: not on the other new
    cells, the number of threads, the processor or the method. Any failure, a keyboard interrupt
    included, leaves `adata` unchanged.

    If the new cells' coordinates are a Dask array (X, the entry of `obsm`, or an array of `knn`),
    the results are Dask arrays with the same blocks of cells. They are computed when they are asked
    for, by any of Dask's schedulers, and with the same bits as in memory. Only labels are computed
    at once: see `obs`. The reference is in memory.

    Parameters
    ----------
    adata
        New cells. Changed only at the end.
    adata_ref
        Cells with an embedding from :func:`umapcore.tl.umap` or scanpy's ``tl.umap``, and with
        the entry of ``pp.neighbors``.
    obs
        Columns of ``adata_ref.obs`` to transfer: each new cell gets the most frequent label of
        its neighbours. In a tie it gets the tied label of the nearest neighbour. Columns of `obs`
        are in memory: with a Dask array, one pass over its blocks computes the labels and the
        embedding, which is then in memory too, while the coordinates never are as a whole.
    embedding_method
        ``'umap'``, ``'pca'`` or both. ``'pca'`` writes the new cells' principal components if
        they are computed.
    labeling_method
        ``'knn'`` is the only one.
    neighbors_key
        Entry of ``adata_ref.uns`` with the parameters of the reference's graph; None:
        ``'neighbors'``. The graph itself is not needed. With `use_rep` the entry is not needed
        either.
    inplace
        Write to `adata`; else return a copy with the results.
    use_rep
        Coordinates that both objects have in one common space: a key of `obsm`, or ``'X'``.
        None: the coordinates that the reference's graph was computed from. If those are
        ``'X_pca'``, the new cells are projected on the reference's components (``varm['PCs']``)
        and centred by the reference's means, provided that this reproduces the reference's own
        coordinates. Else ``adata.obsm['X_pca']`` must be in the reference's space.
    n_neighbors
        Neighbours of each new cell; None: as many as the reference's graph was made with, or 15.
    knn
        The neighbours, if they are known: their row numbers in the reference and their
        distances, both n_obs × k. Then there is no search and no projection.
    key_added
        Key of `obsm` and `uns` that the embedding has in `adata_ref` and gets in `adata`; None:
        ``obsm['X_umap']`` and ``uns['umap']``.
    maxiter
        Number of epochs; None: 100. 0 returns the weighted means of the neighbours' positions.
    alpha, gamma, negative_sample_rate
        As for :func:`umapcore.tl.umap`. The first step size is `alpha` / 4, as in umap-learn.
    random_state
        As for :func:`umapcore.tl.umap`.
    a, b
        Parameters of the curve; None uses those of the reference's embedding.
    method, n_threads, progress
        As for :func:`umapcore.tl.umap`. The search for neighbours runs on the CPU. With Dask arrays
        there is no progress bar, and `n_threads` is the number for one block, by default one.

    Returns
    -------
    None, or the new object when `inplace` is false. It holds:

    ``.obsm['X_umap' | key_added]``
        Embedding, float32, n_obs × n_components; a Dask array if the coordinates are one and no
        labels are asked for.
    ``.obsm['X_pca']``
        Principal components, if the new cells were projected; a Dask array if X is one.
    ``.obs[…]``
        Labels, categorical, with the reference's categories. The reference's colours, if it has
        them, are copied to ``.uns``.
    ``.uns['umap' | key_added]``
        ``{'params': {'a': …, 'b': …}, 'placement': …}``: the parameters of the placement, and the
        digests of both embeddings; that of a Dask array is not known and left out.

    Raises
    ------
    ValueError, TypeError
        For bad input; the message names the parameter, its value and what is allowed. The values in
        a Dask array are checked when its blocks are computed.

    Examples
    --------
    >>> import umapcore as uc
    >>> uc.tl.ingest(adata_new, adata_ref, obs="cell_type")  # doctest: +SKIP
    """
    neighbors_key = "neighbors" if neighbors_key is None else neighbors_key
    if not isinstance(neighbors_key, str):
        raise bad_type("neighbors_key", neighbors_key, "None or a key of adata_ref.uns")
    check_target(adata, key_added, neighbors_key, copy=not inplace)
    check_object(adata_ref, "adata_ref")
    if not isinstance(inplace, (bool, np.bool_)):
        raise bad_type("inplace", inplace, "True or False")
    Run(method=method, n_threads=n_threads, progress=progress)  # checks them
    methods = _checked_methods(embedding_method, labeling_method)
    key_obsm, key_uns = ("X_umap", "umap") if key_added is None else (key_added, key_added)
    columns = check_labels(adata_ref, obs)
    reference, curve = _read_reference(adata_ref, key_obsm, key_uns, a, b)
    spec = OptimizerSpec(
        n_components=reference.shape[1], alpha=alpha, gamma=gamma,
        negative_sample_rate=negative_sample_rate, a=curve[0], b=curve[1],
        seed=seed_from(random_state),
    )  # fmt: skip
    if maxiter is not None:
        maxiter = check_integer("maxiter", maxiter, 0, or_none=True)

    params: Mapping[str, Any] = {}
    if (knn is None and use_rep is None) or neighbors_key in adata_ref.uns:
        params = read_params(adata_ref, neighbors_key)
    projected = None
    if knn is None:
        name = f"adata_ref.uns[{neighbors_key!r}]['params']"
        metric, metric_kwds = _metric(params, name)
        count = _count(n_neighbors, params, adata_ref.n_obs, name)
        rep = shared_representation(adata, adata_ref, params, use_rep, name)
        if rep.projected and "pca" in methods:
            projected = rep.new
        indices, distances = nearest(
            rep.reference_to_search, rep.new_to_search, count, metric=metric,
            metric_kwds=metric_kwds, seed=spec.seed, n_threads=n_threads,
        )  # fmt: skip
        source = rep.name
    else:
        metric = read_metric(params) or "euclidean"
        indices, distances = _given(knn, adata.n_obs, adata_ref.n_obs)
        source = "knn"

    placed = None
    if "umap" in methods:
        placed = place(
            reference, indices, distances, spec,
            n_epochs=maxiter, method=method, n_threads=n_threads, progress=progress,
        )  # fmt: skip
    labels = [stored_column(adata_ref.obs, column) for column in columns]
    votes = [vote(of_reference, indices) for of_reference in labels]
    if columns and is_lazy(indices):
        # Columns of obs are in memory. The pass over the new cells that this takes places them.
        placed, *votes = computed(placed, *votes)
    results: list[tuple[str, str, Any]] = []
    if projected is not None:
        results.append(("obsm", "X_pca", projected))
    if placed is not None:
        written = {"a": curve[0], "b": curve[1]} | stored_seed(random_state)
        epochs = transform_epochs(spec, maxiter)
        how = {
            "umapcore": __version__,
            # As text: some file formats cannot store every 64-bit integer.
            "spec": spec.replace(n_epochs=epochs).to_dict() | {"seed": str(spec.seed)},
            "n_neighbors": int(indices.shape[1]),
            "metric": metric,
            "representation": source,
            "reference": {"digest": positions_digest(reference, n_threads=n_threads)},
        }
        if not is_lazy(placed):
            how["embedding"] = {"digest": positions_digest(placed, n_threads=n_threads)}
        results.append(("obsm", key_obsm, placed))
        results.append(("uns", key_uns, {"params": written, "placement": how}))
    for column, of_reference, chosen in zip(columns, labels, votes, strict=True):
        results.append(("obs", column, named(of_reference, chosen, adata.obs.index)))
        colors = in_memory(adata_ref.uns.get(f"{column}_colors"))
        if colors is not None:
            results.append(("uns", f"{column}_colors", np.array(colors)))
    target = adata if inplace else copied(adata)
    write_transaction(target, results)
    logger.info("added %s", ", ".join(f".{home}[{key!r}]" for home, key, _ in results))
    return None if inplace else target


def _checked_methods(embedding_method: Any, labeling_method: Any) -> tuple[str, ...]:
    methods = (embedding_method,) if isinstance(embedding_method, str) else embedding_method
    allowed = "'umap', 'pca', or both"
    try:
        methods = tuple(methods)
    except TypeError:
        raise bad_type("embedding_method", embedding_method, allowed) from None
    for name in methods:
        if name not in _EMBEDDINGS:
            msg = f"embedding_method={name!r} is unknown: embedding_method must be {allowed}."
            raise ValueError(msg + did_you_mean(str(name), _EMBEDDINGS))
    if labeling_method not in ("knn", ["knn"], ("knn",)):
        msg = f"labeling_method={labeling_method!r} is unknown: labeling_method must be 'knn'."
        raise ValueError(msg)
    return methods


def _read_reference(
    adata_ref: AnnData, key_obsm: str, key_uns: str, a: float | None, b: float | None
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Return the reference's embedding and the parameters of its curve."""
    if key_obsm not in adata_ref.obsm:
        msg = f"Did not find adata_ref.obsm[{key_obsm!r}], the embedding. Run `tl.umap` on the "
        msg += "reference first." + did_you_mean(key_obsm, adata_ref.obsm)
        raise ValueError(msg)
    reference = checked_reference(adata_ref.obsm[key_obsm], f"adata_ref.obsm[{key_obsm!r}]")
    if a is not None or b is not None:
        return reference, OptimizerSpec(a=a, b=b).curve()
    try:
        stored = adata_ref.uns[key_uns]["params"]
        return reference, OptimizerSpec(a=plain(stored["a"]), b=plain(stored["b"])).curve()
    except (KeyError, TypeError, ValueError, IndexError):
        msg = (
            f"adata_ref.uns[{key_uns!r}] does not have the a and b of its embedding's curve: "
            "give both (umapcore.find_ab_params computes them)."
        )
        raise ValueError(msg) from None


def _metric(params: Mapping[str, Any], name: str) -> tuple[str, Mapping[str, Any] | None]:
    """Return the metric of the reference's graph and its parameters."""
    allowed = "the name of a metric. Else find the neighbours yourself and give them as knn"
    metric = stored_text(params.get("metric"), f"{name}['metric']", allowed)
    metric_kwds, stored_as = params.get("metric_kwds"), f"{name}['metric_kwds']"
    if metric_kwds is not None and not isinstance(metric_kwds, Mapping):
        raise bad_type(stored_as, metric_kwds, "a dictionary")
    return metric or "euclidean", metric_kwds


def _count(n_neighbors: Any, params: Mapping[str, Any], n_reference: int, name: str) -> int:
    if n_neighbors is not None:
        return check_integer("n_neighbors", n_neighbors, 1, n_reference, or_none=True)
    found = stored_integer(params.get("n_neighbors"), f"{name}['n_neighbors']", 1)
    return min(_N_NEIGHBORS if found is None else found, n_reference)


def _given(knn: Any, n: int, n_reference: int) -> tuple[Any, Any]:
    allowed = f"None or two arrays of {n} rows: row numbers in the reference, and distances"
    if not isinstance(knn, (tuple, list)) or len(knn) != 2:
        raise bad_type("knn", knn, allowed)
    indices, distances = checked_neighbours(knn[0], knn[1], n_reference)
    if indices.shape[0] != n:
        msg = f"knn has {indices.shape[0]} rows: it must be {allowed}."
        raise ValueError(msg)
    return indices, distances
