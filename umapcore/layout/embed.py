"""Lay out a graph: from graph, specification and start positions to the embedding."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from umapcore._kit.arrays import on_gpu
from umapcore._kit.progress import ProgressBar
from umapcore.device.select import fall_back, resolve_backend
from umapcore.errors import GPUUnavailableError
from umapcore.graph.csr import prepare_graph
from umapcore.layout.density import density_of
from umapcore.layout.spec import OptimizerSpec
from umapcore.runs.callbacks import Callbacks
from umapcore.runs.job import Job, Run
from umapcore.runs.resume import start_or_resume
from umapcore.runs.storage import storage_for

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from distributed import Client
    from numpy.typing import ArrayLike, NDArray

    from umapcore.device.protocol import Backend, Layout
    from umapcore.runs.checkpoint import Checkpoint
    from umapcore.runs.job import Callback
    from umapcore.runs.snapshots import Snapshots


#: Backends that plan in the memory of this process.
_PLAN_ON_HOST = {"numba", "cluster"}


def simplicial_set_embedding(
    graph: Any,
    spec: OptimizerSpec | None = None,
    *,
    init: str | ArrayLike = "spectral",
    distances: Any = None,
    representation: ArrayLike | Callable[[], Any] | None = None,
    metric: str = "euclidean",
    method: str = "umap",
    n_threads: int | None = None,
    memory_limit: int | str | None = None,
    progress: bool | None = None,
    callback: Callback | None = None,
    callback_every: int = 1,
    snapshots: Snapshots | None = None,
    checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
    start_epoch: int = 0,
    stop_epoch: int | None = None,
    timings: dict[str, float] | None = None,
    devices: Sequence[int] | None = None,
    client: Client | None = None,
) -> NDArray[np.float32]:
    """Lay out a weighted graph.

    The same graph, specification and start give the same bits for any number of threads, on any
    processor and with any method.

    Parameters
    ----------
    graph
        Symmetric weighted adjacency, n × n: any SciPy or cupyx sparse matrix or array, or a
        dense array; any real dtype. It is never changed. A canonical float32 CSR on the GPU
        stays there when the GPU runs the layout.
    spec
        Parameters of the optimiser; None takes the defaults.
    init
        ``'spectral'``, ``'random'``, or an array, n × n_components.
    distances
        n × n, sparse: distances between neighbours in the data. Used only if `spec` has a
        ``density_weight``. As in umap-learn, the larger distance of a pair counts, also if the
        other one is missing. If both are missing, the distance is 0.
    representation
        n × features: if the graph has several components, they are placed by the centroids of
        their rows. It may be a function that returns the array or None; it is called only in
        that case. None packs the components.
    metric
        Metric of the representation. For ``'cosine'`` and ``'correlation'``, components are
        placed by the directions of their centroids.
    method
        ``'umap'`` (CPU), ``'rapids'`` (GPU) or ``'auto'``.
    n_threads
        Threads on the CPU; None takes ``umapcore.settings.n_threads``, then numba's number.
    memory_limit
        Most memory of the process, what it holds already included: bytes, or a text such as
        ``'6GB'``. If the layout would need more, the graph, the plan and what the start makes of
        them are kept in files in ``umapcore.settings.scratch_dir``. None takes
        ``umapcore.settings.memory_limit``, then what the system can give. Layouts on a GPU have
        no limit.
    progress
        True or False shows or hides a progress bar. None shows it on a terminal or in a notebook,
        for long runs.
    callback
        Called as ``callback(epoch, positions)`` after epochs, with the number of completed epochs
        and a copy of the positions (float32, n × n_components). If it returns True, the run ends
        there.
    callback_every
        Epochs between calls; the last epoch is always reported.
    snapshots
        A :class:`umapcore.Snapshots`. It is emptied, then receives the positions at its epochs,
        including the start positions and the result.
    checkpoint
        File to which the run is saved every ten seconds. If the file exists, the run continues
        from it, with the bits of an uninterrupted run. The file is removed when the run is
        complete. A :class:`umapcore.Checkpoint` sets the interval and whether the file is kept.
    start_epoch
        Continue a run that stopped after this many epochs: `init` must hold the positions at
        which it stopped and is used unchanged. The result has the bits of an uninterrupted run.
    stop_epoch
        Stop after this many epochs of ``spec.n_epochs``; None runs to the end.
    timings
        A dictionary that receives the seconds of each stage: graph, plan, start, optimise, and
        density if it is preserved.
    devices
        Numbers of the GPUs that share the epochs, for `method` ``'rapids'`` or ``'auto'``; None:
        CuPy's current one.
    client
        A ``distributed.Client``: all workers of its Dask cluster share the epochs, on their CPUs.
        `n_threads` are then also the threads on each worker; None takes as many as it has.

    Returns
    -------
    Positions, float32, C order, n × n_components; with 0 epochs, the scaled start positions.

    Raises
    ------
    ValueError, TypeError
        For bad input; the message names the parameter, its value and what is allowed.
    GPUUnavailableError
        When a GPU is requested but not usable, and ``umapcore.settings.gpu_fallback`` is False.
    WorkerLostError
        When a worker of the client ends during the run.
    NotEnoughMemoryError
        When the layout needs more than `memory_limit` or the system's memory, even with files, or
        these need more than there is on the disk; before any work.

    Examples
    --------
    >>> import scipy.sparse as sp, umapcore
    >>> ring = sp.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(30, 30))
    >>> umapcore.simplicial_set_embedding(ring, init="random").shape
    (30, 2)
    """
    job = Job(
        graph=graph,
        spec=OptimizerSpec() if spec is None else spec,
        init=init,
        distances=distances,
        representation=representation,
        metric=metric,
    )
    run = Run(
        method=method,
        n_threads=n_threads,
        memory_limit=memory_limit,
        progress=progress,
        callback=callback,
        callback_every=callback_every,
        start_epoch=start_epoch,
        stop_epoch=stop_epoch,
        timings=timings,
        snapshots=snapshots,
        checkpoint=checkpoint,
        devices=devices,
        client=client,
    )
    embedding = embed(job, run)
    run.close()
    return embedding


def embed(job: Job, run: Run) -> NDArray[np.float32]:
    """Lay out the graph of a checked job and run; see :func:`simplicial_set_embedding`."""
    spec = job.spec
    backend = resolve_backend(run.method, client=run.client, devices=run.devices)
    try:
        with _timed("graph", run.timings):
            graph = backend.adopt_graph(job.graph) if on_gpu(job.graph) else None
            if graph is None:
                scratch = storage_for(job, run) if backend.name in _PLAN_ON_HOST else None
                graph = prepare_graph(
                    job.graph,
                    n_vertices=job.n_vertices,
                    name=job.graph_name,
                    n_threads=run.n_threads,
                    scratch=scratch,
                )
        n = int(graph.shape[0])
        spec.check_dimensions(n)
        _, stop_epoch = run.epochs(spec.epochs_for(n))
        density = None
        if spec.density_weight > 0:
            with _timed("density", run.timings):
                density = density_of(
                    backend.graph_to_host(graph),
                    job.distances,
                    spec,
                    name=job.distances_name,
                    n_threads=run.n_threads,
                )
        with _timed("start", run.timings):
            positions, epoch = start_or_resume(backend, graph, job, run, density)
        callbacks = Callbacks(run, stop_epoch, spec.epochs_for(n))
        if epoch == stop_epoch:
            embedding = backend.start_to_host(positions, (n, spec.n_components))
            _end(epoch, embedding, callbacks, run)
            return embedding

        def optimise(backend: Backend, graph: Any, positions: Any) -> NDArray[np.float32]:
            with _timed("plan", run.timings):
                plan = backend.plan(graph, spec, n_threads=run.n_threads)
            with _timed("optimise", run.timings):
                layout = backend.begin(
                    plan, positions, spec, density=density, n_threads=run.n_threads
                )
                return _carry_out(layout, epoch, stop_epoch, callbacks, run)

        try:
            return optimise(backend, graph, positions)
        except GPUUnavailableError as error:
            graph = backend.graph_to_host(graph)
            positions = backend.start_to_host(positions, (n, spec.n_components))
            cpu = fall_back(run.method, str(error))
        return optimise(cpu, graph, positions)
    finally:
        backend.close()


def _carry_out(
    layout: Layout, epoch: int, stop_epoch: int, callbacks: Callbacks, run: Run
) -> NDArray[np.float32]:
    """Run a layout in short spans, so that Ctrl-C is handled between them."""
    span = 1
    callbacks.begin(epoch, layout.positions)
    with ProgressBar(stop_epoch - epoch, run.progress) as bar:
        while epoch < stop_epoch:
            end = min(epoch + span, callbacks.next_epoch(epoch))
            began = time.perf_counter()
            # No edge fires in epoch 0: the schedule starts at 1, as in umap-learn.
            layout.advance(max(1, epoch), end)
            seconds = time.perf_counter() - began
            fitting = int(layout.span_seconds * (end - epoch) / max(seconds, 1e-6))
            span = max(1, min(fitting, 2 * span))
            bar.update(end - epoch)
            epoch = end
            if callbacks.look(epoch, layout.positions):
                break
    embedding = layout.positions()
    _end(epoch, embedding, callbacks, run)
    return embedding


def _end(epoch: int, embedding: NDArray[np.float32], callbacks: Callbacks, run: Run) -> None:
    callbacks.end(epoch, embedding)
    if run.origin is not None:
        run.origin.epochs = epoch


@contextmanager
def _timed(stage: str, timings: dict[str, float] | None) -> Iterator[None]:
    began = time.perf_counter()
    yield
    if timings is not None:
        timings[stage] = time.perf_counter() - began
