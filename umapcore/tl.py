"""Tools on AnnData objects: ``umapcore.tl.umap`` and ``umapcore.tl.ingest``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.checks import check_integer
from umapcore._kit.seeds import seed_from, stored_seed
from umapcore.anndata_io.ingest import ingest
from umapcore.anndata_io.job import read_job
from umapcore.anndata_io.read import (
    read_neighbors,
    read_start,
    start_kind,
)
from umapcore.anndata_io.write import check_target, copied, write_transaction
from umapcore.errors import bad_type
from umapcore.layout.embed import embed
from umapcore.layout.spec import OptimizerSpec
from umapcore.logs import logger
from umapcore.runs.digest import positions_digest
from umapcore.runs.job import Run
from umapcore.runs.provenance import Origin, Provenance
from umapcore.runs.snapshots import recorder_for
from umapcore.version import __version__

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from anndata import AnnData
    from distributed import Client
    from numpy.random import Generator, RandomState
    from numpy.typing import ArrayLike, NDArray

    from umapcore.runs.checkpoint import Checkpoint
    from umapcore.runs.snapshots import Snapshots

__all__ = ["ingest", "seed_from", "umap"]


def umap(
    adata: AnnData,
    *,
    min_dist: float = 0.5,
    spread: float = 1.0,
    n_components: int = 2,
    maxiter: int | None = None,
    alpha: float = 1.0,
    gamma: float = 1.0,
    negative_sample_rate: int = 5,
    init_pos: str | ArrayLike | None = "spectral",
    random_state: int | RandomState | Generator | None = 0,
    a: float | None = None,
    b: float | None = None,
    density_weight: float = 0.0,
    density_fraction: float = 0.3,
    density_shift: float = 0.1,
    copy: bool = False,
    method: str = "umap",
    neighbors_key: str | None = None,
    key_added: str | None = None,
    n_threads: int | None = None,
    memory_limit: int | str | None = None,
    progress: bool | None = None,
    callback: Callable[[int, NDArray[np.float32]], bool | None] | None = None,
    callback_every: int = 1,
    snapshots: int | Snapshots | None = None,
    checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
    timings: dict[str, float] | None = None,
    devices: Sequence[int] | None = None,
    client: Client | None = None,
) -> AnnData | None:
    """Embed the neighbourhood graph by UMAP (McInnes, Healy and Melville 2018).

    Reads and writes the same entries as ``scanpy.tl.umap``. The same graph, parameters and seed
    return the same bits for any number of threads, on any processor and with any method. Any
    failure, a keyboard interrupt included, leaves `adata` unchanged.

    Parameters
    ----------
    adata
        Annotated data with a graph from ``umapcore.pp.neighbors`` or ``scanpy.pp.neighbors``.
        It may be backed by a file. MuData works too, as does any object with `n_obs`, `obs`,
        `obsm`, `obsp` and `uns`; for muon's graphs of several modalities name `neighbors_key`.
    min_dist, spread
        `min_dist` is the distance up to which embedded points count as touching; `spread` is the
        scale of the embedding: ``0 <= min_dist <= spread``. Not used when `a` and `b` are given.
    n_components
        Dimensions of the embedding: fewer than observations, or at most 10.
    maxiter
        Number of epochs. None: 500 up to 10 000 observations, 200 above, and 200 more with a
        `density_weight`. 0 returns the start positions, with each axis scaled to [0, 10].
    alpha
        Step size of the first epoch, above 0.
    gamma
        Weight of the repulsion, at least 0.
    negative_sample_rate
        Negative samples for each attraction, at least 0.
    init_pos
        Start positions: a key of ``adata.obsm`` (its first `n_components` columns are used);
        ``'spectral'`` (also None); ``'random'``; ``'paga'``, from ``adata.uns['paga']``; or an
        array, n_obs × n_components.
    random_state
        Seed. An integer from 0 to 2**64 - 1 is the seed itself. With a RandomState or Generator
        the seed is drawn from it; with None, from the operating system. The seed is logged.
    a, b
        Parameters of the curve 1 / (1 + a d^(2b)): give both or neither. None computes them from
        `min_dist` and `spread`.
    density_weight
        Above 0, local densities of the data are preserved (densMAP: Narayan, Berger and Cho
        2021); a larger weight preserves them more strongly. It is umap-learn's ``dens_lambda``,
        which is 2 there. It needs the distances between neighbours, which ``pp.neighbors`` also
        stores. 0: plain UMAP.
    density_fraction
        Share of the epochs, counted from the end, that preserve densities; from 0 to 1.
    density_shift
        Added to the variance of the log radii in the embedding, at least 0.
    copy
        Return a new object and leave `adata` unchanged.
    method
        ``'umap'``: the CPU. ``'rapids'``: an NVIDIA GPU; if no GPU can be used, the CPU, with a
        warning. ``'auto'``: the GPU if there is one, else the CPU.
    neighbors_key
        Entry of ``adata.uns`` that names the graph; None: ``'neighbors'``.
    key_added
        Key of `obsm` and `uns` to write to; None: ``obsm['X_umap']`` and ``uns['umap']``.
    n_threads
        Threads on the CPU. None uses ``umapcore.settings.n_threads``, or numba's number of
        threads when that is None too.
    memory_limit
        Most memory of the process on the CPU, what it holds already included: bytes, or a text
        such as ``'6GB'``. A graph for which that is too little is kept in files in
        ``umapcore.settings.scratch_dir``, with the same bits. None uses
        ``umapcore.settings.memory_limit``, or what the system can give when that is None too.
    progress
        Show a progress bar. None shows it for a long run, on a terminal or in a notebook.
    callback
        Called as ``callback(epoch, positions)`` with the number of finished epochs and a copy of
        the positions. The run ends there when it returns True.
    callback_every
        Epochs between calls.
    snapshots
        An integer k keeps the positions at the epochs 0, k, 2k, … and at the last one, in
        ``.uns``; :func:`umapcore.pl.movie` shows them. A :class:`umapcore.Snapshots` receives
        them instead of `adata`.
    checkpoint
        File to which the run is saved every ten seconds. If it already exists, the run continues
        from it and returns the same bits as an uninterrupted run. A file of another graph,
        start, seed or parameter is refused. The file is removed when the run is complete. A
        :class:`umapcore.Checkpoint` sets how often it is saved and whether it is kept.
    timings
        A dictionary that receives the seconds of each stage: read, graph, start, plan,
        optimise, write, and density if densities are preserved.
    devices
        Numbers of the GPUs that share the epochs, for `method` ``'rapids'`` or ``'auto'``; None:
        CuPy's current one.
    client
        A ``distributed.Client``: all workers of its Dask cluster share the epochs, on their CPUs.
        `n_threads` are then also the threads on each worker; None takes as many as it has.

    Returns
    -------
    None, or the new object when `copy` is true. It holds:

    ``.obsm['X_umap' | key_added]``
        Embedding, float32, n_obs × n_components.
    ``.uns['umap' | key_added]``
        'params': ``{'a': …, 'b': …}``, with 'random_state' if it is an integer other than 0.
        'provenance': everything that determined the bits, for :func:`umapcore.verify`: version,
        parameters, seed, epochs, and digests of the graph, the start and the embedding (and of
        the preserved densities). 'snapshots', if `snapshots` is an integer: 'epochs', shape
        (s,), and 'positions', float32, (s, n_obs, n_components).

    Raises
    ------
    ValueError, TypeError
        For bad input, before any work starts. The message names the parameter, its value and
        what is allowed.
    NotEnoughMemoryError
        When there is too little memory even with files, or too little room for these; before any
        work starts.
    OSError
        When `checkpoint` cannot be written.
    WorkerLostError
        When a worker of the client ends during the run. With a `checkpoint`, the same call then
        continues on any number of workers.

    Examples
    --------
    >>> import umapcore as uc
    >>> uc.tl.umap(adata)  # doctest: +SKIP
    >>> adata.obsm["X_umap"]  # doctest: +SKIP
    """
    recorder, origin = recorder_for(snapshots), Origin()
    run = Run(
        method=method,
        n_threads=n_threads,
        memory_limit=memory_limit,
        progress=progress,
        callback=callback,
        callback_every=callback_every,
        timings=timings,
        snapshots=recorder,
        checkpoint=checkpoint,
        devices=devices,
        client=client,
        origin=origin,
    )
    if not isinstance(copy, (bool, np.bool_)):
        raise bad_type("copy", copy, "True or False")
    neighbors_key = "neighbors" if neighbors_key is None else neighbors_key
    if not isinstance(neighbors_key, str):
        raise bad_type("neighbors_key", neighbors_key, "None or a key of .uns")
    check_target(adata, key_added, neighbors_key, copy=copy)
    if maxiter is not None:
        maxiter = check_integer("maxiter", maxiter, 0, or_none=True)
    spec = OptimizerSpec(
        min_dist=min_dist,
        spread=spread,
        n_components=n_components,
        n_epochs=maxiter,
        alpha=alpha,
        gamma=gamma,
        negative_sample_rate=negative_sample_rate,
        a=a,
        b=b,
        density_weight=density_weight,
        density_fraction=density_fraction,
        density_shift=density_shift,
        seed=seed_from(random_state),
    )
    spec.check_dimensions(adata.n_obs)

    began = time.perf_counter()
    neighbors = read_neighbors(adata, neighbors_key)
    on_cpu = method == "umap"
    init = read_start(
        adata, init_pos, n_components=spec.n_components, seed=spec.seed, leave_on_gpu=not on_cpu
    )
    job = read_job(adata, neighbors_key, neighbors, spec, init)
    read = time.perf_counter()

    embedding = embed(job, run)
    embedded = time.perf_counter()
    target = copied(adata) if copy else adata
    key_obsm, key_uns = ("X_umap", "umap") if key_added is None else (key_added, key_added)
    curve_a, curve_b = spec.curve()
    written = {"a": float(curve_a), "b": float(curve_b)} | stored_seed(random_state)
    kind, start_key = start_kind(adata, init_pos)
    provenance = Provenance(
        version=__version__,
        spec=spec.replace(n_epochs=spec.epochs_for(adata.n_obs)),
        epochs=origin.epochs,
        neighbors_key=neighbors_key,
        graph=origin.graph,
        start_kind=kind,
        start_key=start_key,
        start=origin.start,
        embedding=positions_digest(embedding, n_threads=n_threads),
        density=origin.density,
    )
    entry: dict[str, Any] = {"params": written, "provenance": provenance.to_dict()}
    if recorder is not None and recorder is not snapshots:
        entry["snapshots"] = recorder.to_dict()
    write_transaction(target, [("obsm", key_obsm, embedding), ("uns", key_uns, entry)])
    run.close()
    if timings is not None:
        timings["read"] = read - began
        timings["write"] = time.perf_counter() - embedded
    logger.info("added .obsm[%r], the embedding, and .uns[%r], its parameters", key_obsm, key_uns)
    return target if copy else None
