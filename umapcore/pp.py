"""Preprocessing of AnnData objects: ``umapcore.pp.neighbors``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.checks import check_integer
from umapcore._kit.seeds import seed_from, storable_seed
from umapcore._kit.threads import thread_count
from umapcore.anndata_io.neighborhood import neighborhood
from umapcore.anndata_io.representation import choose_representation
from umapcore.anndata_io.write import check_target, copied, write_transaction
from umapcore.device.select import check_method
from umapcore.errors import bad_type, bad_value
from umapcore.logs import logger
from umapcore.neighbors.knn import KNN, checked_knn, with_self_first
from umapcore.neighbors.metrics import metric_name
from umapcore.neighbors.record import check_search
from umapcore.neighbors.search import find_neighbors

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData
    from numpy.random import Generator, RandomState
    from numpy.typing import ArrayLike, NDArray

    from umapcore.neighbors.pca import PrincipalComponents


def neighbors(
    adata: AnnData,
    n_neighbors: int = 15,
    n_pcs: int | None = None,
    *,
    use_rep: str | None = None,
    method: str = "umap",
    metric: str | Callable[[NDArray[Any], NDArray[Any]], float] = "euclidean",
    metric_kwds: Mapping[str, Any] | None = None,
    random_state: int | RandomState | Generator | None = 0,
    key_added: str | None = None,
    copy: bool = False,
    precomputed_knn: tuple[ArrayLike, ArrayLike] | None = None,
    exact: bool | None = None,
    accuracy: float | None = None,
    n_threads: int | None = None,
    progress: bool | None = None,
) -> AnnData | None:
    """Find nearest neighbours and compute UMAP's weights of the edges between them.

    Reads and writes the same entries as ``scanpy.pp.neighbors`` with its defaults, so that
    ``tl.umap``, and scanpy's leiden, louvain, paga, diffmap and plots, can use the result. Any
    failure, a keyboard interrupt included, leaves `adata` unchanged.

    Parameters
    ----------
    adata
        Annotated data, or MuData, for which `use_rep` names a key of its `obsm`.
    n_neighbors
        Size of a neighbourhood, including the observation itself, at least 2. If there are fewer
        observations, about half of them is used, as in scanpy, with a warning in the log.
    n_pcs
        Number of leading columns of the representation to use; None: all. 0 means
        ``use_rep='X'``.
    use_rep
        A key of ``adata.obsm``, or ``'X'``. None: ``.X`` when it has at most 50 variables, else
        ``obsm['X_pca']``; if that is missing, 50 principal components of ``.X`` are computed,
        with a warning, and stored as ``scanpy.pp.pca`` does. The warning also says so if ``.X``
        looks like raw counts, which should be normalised and logarithmised first. ``X_pca`` is
        also used when ``.X`` is absent or has fewer variables than ``X_pca`` has columns.
        A dask array may be larger than memory: a few chunks are read at a time, and the search
        works on scratch files in ``umapcore.settings.scratch_dir``. The results are in memory,
        and have the same bits. It is computed into memory if it has sparse chunks or at most
        64 MB, and for principal components.
    method
        Where neighbours are searched for, as in :func:`umapcore.tl.umap`. ``'umap'``: the CPU.
        ``'rapids'``: an NVIDIA GPU, by umapcore's own searches, designed to give the bits of the
        CPU (not run on a GPU yet); what they do not offer (other metrics, exact searches of sparse
        data) runs on the CPU. If no GPU can be used, or it has too little memory, the CPU is used,
        with a warning. ``'auto'``: the GPU if there is one, else the CPU. The weights are always
        UMAP's, computed on the CPU.
    metric
        Name of a metric of SciPy or pynndescent, or a function of two points (above a few
        thousand observations it must be compiled by numba).
    metric_kwds
        Parameters of the metric.
    random_state
        Seed of the approximate search. With a RandomState or Generator the seed is drawn from
        it; with None, from the operating system. The seed is logged, and stored as an integer.
    key_added
        None: ``uns['neighbors']``, ``obsp['distances']`` and ``obsp['connectivities']``. Else
        ``uns[key_added]``, ``obsp[key_added + '_distances']`` and ``… + '_connectivities'``.
    copy
        Return a new object and leave `adata` unchanged.
    precomputed_knn
        Indices and distances, both (n_obs, k), with k at least `n_neighbors`; no search is then
        run. Each row is sorted by increasing distance, and missing neighbours have index -1 or
        an infinite distance. A row may or may not begin with the observation itself. `use_rep`
        and `n_pcs` are then only stored; no coordinates are read.
    exact
        Whether all observations are compared with each other. None: yes while that takes about a
        second, up to 44,700 observations in 50 dimensions (below 4096 for sparse data and for
        metrics other than Euclidean, cosine and correlation); above that the search is
        approximate. True: always. False: never, unless an approximate search would take longer.
        umapcore has both searches for Euclidean, cosine and correlation distances; for the
        approximate one, sparse data of up to 2 GB are made dense. For other metrics the exact
        search is SciPy's and the approximate one pynndescent's, as for larger sparse data;
        without pynndescent, an exact search takes its place up to 100,000 observations.
    accuracy
        Recall that an approximate search aims at: the share of the true nearest neighbours that
        it finds, above 0 and at most 1; None: 0.99. A lower one is faster. 1 is the same as
        ``exact=True``, which allows no other value; with ``exact=False`` it must be below 1. An
        exact search, where that is faster, serves every value. pynndescent has no such aim. The
        recall is measured on a sample and logged.
    progress
        Show a progress bar of a search by umapcore. None shows it for a long one, on a terminal or
        in a notebook.
    n_threads
        Threads on the CPU. None uses ``umapcore.settings.n_threads``, or numba's number of
        threads when that is None too. The result does not depend on it: pynndescent, whose
        result would, always runs on one thread.

    Returns
    -------
    None, or the new object when `copy` is true. It holds:

    ``.obsp['distances' | key_added + '_distances']``
        float32 CSR: each row holds the ``n_neighbors - 1`` nearest others, by increasing
        distance, with explicit zeros where points coincide.
    ``.obsp['connectivities' | key_added + '_connectivities']``
        float32 CSR: symmetric weights, as :func:`umapcore.fuzzy_simplicial_set` returns them.
    ``.uns['neighbors' | key_added]``
        ``connectivities_key``, ``distances_key`` and ``params``: n_neighbors, method (always
        'umap'), random_state, metric, and metric_kwds, use_rep, n_pcs if they were given; and
        ``search``, which says how the neighbours were found, for :func:`umapcore.verify`: kind
        ('exact'; 'partitions', the approximate search; 'pynndescent'), version, accuracy, and
        the recall if it was measured. There is no ``search`` for `precomputed_knn`, nor for a
        metric that is a function.

    ``.obsm['X_pca']``, ``.varm['PCs']``, ``.uns['pca']``
        If principal components were computed: scores, axes, and ``variance``,
        ``variance_ratio`` and ``params``.

    Raises
    ------
    ValueError, TypeError
        For bad input; the message names the parameter, its value and what is allowed.
    ImportError
        When pynndescent is needed and not installed.
    OSError
        When scratch files do not fit on the disk.

    Notes
    -----
    The same neighbours always get weights with the same bits. The same coordinates do too if one of
    umapcore's own searches finds them (Euclidean, cosine or correlation distances, dense data), on
    the CPU or, by design, on a GPU; ``umapcore.verify(adata, from_coordinates=True)`` checks this.
    Results of pynndescent or SciPy may differ in their last bits from machine to machine.

    Examples
    --------
    >>> import umapcore as uc
    >>> uc.pp.neighbors(adata, n_neighbors=30)  # doctest: +SKIP
    >>> uc.tl.umap(adata)  # doctest: +SKIP
    """
    check_target(adata, key_added, "", copy=copy)
    if not isinstance(copy, (bool, np.bool_)):
        raise bad_type("copy", copy, "True or False")
    exact, accuracy = check_search(exact, accuracy)
    if progress is not None and not isinstance(progress, (bool, np.bool_)):
        raise bad_type("progress", progress, "True, False or None")
    if isinstance(method, str) and method == "gauss":
        raise bad_value("method", method, "'umap', 'rapids' or 'auto'; scanpy has 'gauss'")
    check_method(method)
    thread_count(n_threads)
    n_neighbors = check_integer("n_neighbors", n_neighbors, 2)
    if metric_kwds is not None and not isinstance(metric_kwds, Mapping):
        raise bad_type("metric_kwds", metric_kwds, "a dictionary or None")
    if not (isinstance(metric, str) or callable(metric)):
        raise bad_type("metric", metric, "a name or a function of two points")
    seed = seed_from(random_state)
    n = adata.n_obs
    if n == 0:
        msg = "adata has no observations."
        raise ValueError(msg)

    if n_neighbors > n:
        n_neighbors = 1 + n // 2
        logger.warning("there are only %d observations: n_neighbors is %d", n, n_neighbors)
    computed_pca, search = None, None
    if precomputed_knn is not None:
        knn = _given(precomputed_knn, n, n_neighbors)
    else:
        chosen = choose_representation(adata, use_rep, n_pcs)
        use_rep, n_pcs, computed_pca = chosen.use_rep, chosen.n_pcs, chosen.computed_pca
        knn, search = find_neighbors(
            chosen.points,
            n_neighbors,
            metric=metric,
            metric_kwds=metric_kwds,
            seed=seed,
            method=method,
            exact=exact,
            accuracy=accuracy,
            n_threads=n_threads,
            progress=progress,
        )
        search.report(accuracy)
    made = neighborhood(knn, n_neighbors, n_threads)

    prefix = "" if key_added is None else f"{key_added}_"
    key = "neighbors" if key_added is None else key_added
    params: dict[str, Any] = {
        "n_neighbors": n_neighbors,
        "method": "umap",
        "random_state": storable_seed(seed),
        "metric": metric_name(metric),
    }
    if metric_kwds:
        params["metric_kwds"] = dict(metric_kwds)
    if use_rep is not None:
        params["use_rep"] = use_rep
    if n_pcs is not None:
        params["n_pcs"] = n_pcs
    if search is not None and isinstance(metric, str):  # a function cannot be stored
        params["search"] = search.params()
    described = {
        "connectivities_key": f"{prefix}connectivities",
        "distances_key": f"{prefix}distances",
        "params": params,
    }
    entries: list[tuple[str, str, Any]] = [
        ("obsp", f"{prefix}distances", made.distances),
        ("obsp", f"{prefix}connectivities", made.connectivities),
        ("uns", key, described),
    ]
    if computed_pca is not None:
        entries[:0] = _pca_entries(computed_pca)
    target = copied(adata) if copy else adata
    write_transaction(target, entries)
    logger.info(
        "added .uns[%r], .obsp[%r] and .obsp[%r], a graph of %d weights",
        key,
        entries[-3][1],
        entries[-2][1],
        made.connectivities.nnz,
    )
    return target if copy else None


def _pca_entries(pca: PrincipalComponents) -> list[tuple[str, str, Any]]:
    """Return the entries that ``scanpy.pp.pca`` writes when it uses all variables."""
    described = {
        "params": {"zero_center": True, "use_highly_variable": False},
        "variance": pca.variance,
        "variance_ratio": pca.variance_ratio,
    }
    return [("obsm", "X_pca", pca.scores), ("varm", "PCs", pca.axes), ("uns", "pca", described)]


def _given(precomputed: Any, n: int, n_neighbors: int) -> KNN:
    """Check the neighbours that the caller gave, and return the nearest of them."""
    if not isinstance(precomputed, (tuple, list)) or len(precomputed) < 2:
        raise bad_type("precomputed_knn", precomputed, "a pair of matrices, indices and distances")
    # umap-learn's tuple has a third part: its search index.
    knn = checked_knn(precomputed[0], precomputed[1], n=n, name="precomputed_knn")
    k = knn.indices.shape[1]
    if k < n_neighbors:
        msg = (
            f"precomputed_knn has {k} neighbours a row, the observation itself included: "
            f"n_neighbors={n_neighbors} must be at most that."
        )
        raise ValueError(msg)
    if k > n_neighbors:
        logger.info("precomputed_knn: the nearest %d of %d neighbours are used", n_neighbors, k)
    nearest = KNN(
        np.ascontiguousarray(knn.indices[:, :n_neighbors]),
        np.ascontiguousarray(knn.distances[:, :n_neighbors]),
    )
    return with_self_first(nearest, insert=True)
