"""Graph, specification and start positions in, embedding out."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from umapcore._kit.arrays import on_gpu
from umapcore.device.select import fall_back, resolve_backend
from umapcore.errors import GPUUnavailableError, bad_type
from umapcore.graph.csr import prepare_graph
from umapcore.layout.density import density_of
from umapcore.layout.spec import OptimizerSpec
from umapcore.runs.callbacks import Callbacks
from umapcore.runs.progress import ProgressBar
from umapcore.runs.resume import start_or_resume
from umapcore.runs.run import Run

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from umapcore.device.protocol import Backend
    from umapcore.layout.density import Density
    from umapcore.runs.callbacks import Callback
    from umapcore.runs.checkpoint import Checkpoint
    from umapcore.runs.snapshots import Snapshots

#: Seconds between looks at the clock, the progress bar and Ctrl-C.
_SPAN_SECONDS = 0.1


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
    progress: bool | None = None,
    callback: Callback | None = None,
    callback_every: int = 1,
    snapshots: Snapshots | None = None,
    checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
    start_epoch: int = 0,
    stop_epoch: int | None = None,
    timings: dict[str, float] | None = None,
) -> NDArray[np.float32]:
    """Lay out a weighted graph.

    The same graph, specification and start give the same bits for any number of threads, on any
    processor and by any method.

    Parameters
    ----------
    graph
        Symmetric weighted adjacency, n × n: any SciPy or cupyx sparse matrix or array, or a
        dense array; any real dtype. Never changed. A canonical float32 CSR on the GPU stays
        there when the GPU lays it out.
    spec
        Parameters of the optimiser; None takes the defaults.
    init
        ``'spectral'``, ``'random'``, or an array, n × n_components.
    distances
        n × n, sparse: distances between neighbours in the data, where `spec` has a
        ``density_weight``, else not looked at. As umap-learn does it, the larger of the two of a
        pair counts, whether one is missing or not; where both are missing, 0.
    representation
        n × features: where there are several components, they are placed by the centroids of
        their rows. A function that gives it (or None) is called only then. None packs them.
    metric
        How distances of the representation are measured: for ``'cosine'`` and ``'correlation'``
        components are placed by the directions of their centroids.
    method
        ``'umap'`` (CPU), ``'rapids'`` (GPU) or ``'auto'``.
    n_threads
        Threads on the CPU; None takes ``umapcore.settings.n_threads``, then numba's number.
    progress
        True or False shows or hides a progress bar; None shows it on a terminal or in a
        notebook when the run lasts.
    callback
        Called as ``callback(epoch, positions)`` after epochs, with the number of epochs that are
        done and a copy of the positions (float32, n × n_components). When it returns True the
        run ends there.
    callback_every
        Epochs between calls; the last epoch is always reported.
    snapshots
        A :class:`umapcore.Snapshots`, which is emptied and receives the positions at its epochs,
        the start positions and the result among them.
    checkpoint
        File that the run is saved to every ten seconds and, where it is there already, continued
        from, with the bits of a run that never stopped; it is removed when the run is complete.
        A :class:`umapcore.Checkpoint` says how often, and whether it stays.
    start_epoch
        Continue a run that was stopped after this many epochs: `init` must be the positions it
        was stopped at and is taken as it is. The result has the bits of an uninterrupted run.
    stop_epoch
        Stop after this many epochs of ``spec.n_epochs``; None runs to the end.
    timings
        A dictionary that receives the seconds of each stage: graph, plan, start, optimise, and
        density where it is preserved.

    Returns
    -------
    Positions, float32, C order, n × n_components. With 0 epochs the scaled start positions.

    Raises
    ------
    ValueError, TypeError
        For bad input, naming the parameter, its value and what is allowed.
    GPUUnavailableError
        When a GPU is asked for, cannot be used, and ``umapcore.settings.gpu_fallback`` is False.

    Examples
    --------
    >>> import scipy.sparse as sp, umapcore
    >>> ring = sp.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(30, 30))
    >>> umapcore.simplicial_set_embedding(ring, init="random").shape
    (30, 2)
    """
    run = Run(n_threads, progress, callback, callback_every, start_epoch, stop_epoch, timings)
    run.snapshots, run.checkpoint = snapshots, checkpoint
    embedding = embed(
        graph,
        spec,
        init=init,
        distances=distances,
        representation=representation,
        metric=metric,
        method=method,
        run=run,
    )
    run.close()
    return embedding


def embed(
    graph: Any,
    spec: OptimizerSpec | None,
    *,
    init: Any,
    representation: Any,
    metric: str = "euclidean",
    method: str,
    run: Run,
    name: str = "graph",
    n_vertices: int | None = None,
    distances: Any = None,
    distances_name: str = "distances",
) -> NDArray[np.float32]:
    """Do what :func:`simplicial_set_embedding` does, for a graph that messages call `name`."""
    if spec is None:
        spec = OptimizerSpec()
    elif not isinstance(spec, OptimizerSpec):
        raise bad_type("spec", spec, "an OptimizerSpec or None")
    if not isinstance(metric, str):
        raise bad_type("metric", metric, "the name of a metric")
    run.check()
    if spec.density_weight > 0 and distances is None:
        msg = (
            f"density_weight={spec.density_weight:g} needs distances: those between neighbours "
            "in the data, a sparse matrix of the graph's shape."
        )
        raise ValueError(msg)
    backend = resolve_backend(method)
    try:
        with _timed("graph", run.timings):
            checked = backend.adopt_graph(graph) if on_gpu(graph) else None
            if checked is None:
                checked = prepare_graph(
                    graph, n_vertices=n_vertices, name=name, n_threads=run.n_threads
                )
        spec.check_dimensions(int(checked.shape[0]))
        n_epochs = spec.epochs_for(int(checked.shape[0]))
        start_epoch, stop_epoch = run.epochs(n_epochs)
        density = None
        if spec.density_weight > 0:
            with _timed("density", run.timings):
                density = density_of(
                    backend.graph_to_host(checked),
                    distances,
                    spec,
                    name=distances_name,
                    n_threads=run.n_threads,
                )
        with _timed("start", run.timings):
            positions, start_epoch = start_or_resume(
                backend, checked, spec, init, representation, metric, start_epoch, stop_epoch, run,
                density,
            )  # fmt: skip
        shape = (int(checked.shape[0]), spec.n_components)
        watchers = Callbacks(
            run.callback, run.callback_every, run.snapshots, run.keeper, stop_epoch, n_epochs
        )
        if start_epoch == stop_epoch:
            embedding = backend.start_to_host(positions, shape)
            _end(start_epoch, embedding, watchers, run)
            return embedding
        ways = (density, watchers, run, start_epoch, stop_epoch)
        try:
            return _optimise(backend, checked, positions, spec, *ways)
        except GPUUnavailableError as error:
            checked = backend.graph_to_host(checked)
            positions = backend.start_to_host(positions, shape)
            cpu = fall_back(method, str(error))
        return _optimise(cpu, checked, positions, spec, *ways)
    finally:
        backend.close()


def _optimise(
    backend: Backend,
    graph: Any,
    positions: Any,
    spec: OptimizerSpec,
    density: Density | None,
    watchers: Callbacks,
    run: Run,
    start_epoch: int,
    stop_epoch: int,
) -> NDArray[np.float32]:
    """Carry a layout forward in short spans, between which Ctrl-C can get through."""
    with _timed("plan", run.timings):
        plan = backend.plan(graph, spec, n_threads=run.n_threads)
    with _timed("optimise", run.timings):
        layout = backend.begin(plan, positions, spec, density=density, n_threads=run.n_threads)
        epoch, span = start_epoch, 1
        watchers.begin(epoch, layout.positions)
        with ProgressBar(stop_epoch - start_epoch, run.progress) as bar:
            while epoch < stop_epoch:
                end = min(epoch + span, watchers.next_epoch(epoch))
                began = time.perf_counter()
                # Epoch 0 has no fires: the schedule starts at 1, as umap-learn's does.
                layout.advance(max(1, epoch), end)
                seconds = time.perf_counter() - began
                fitting = int(_SPAN_SECONDS * (end - epoch) / max(seconds, 1e-6))
                span = max(1, min(fitting, 2 * span))
                bar.update(end - epoch)
                epoch = end
                if watchers.look(epoch, layout.positions):
                    break
        embedding = layout.positions()
        _end(epoch, embedding, watchers, run)
        return embedding


def _end(epoch: int, embedding: NDArray[np.float32], watchers: Callbacks, run: Run) -> None:
    watchers.end(epoch, embedding)
    if run.origin is not None:
        run.origin.epochs = epoch


@contextmanager
def _timed(stage: str, timings: dict[str, float] | None) -> Iterator[None]:
    began = time.perf_counter()
    yield
    if timings is not None:
        timings[stage] = time.perf_counter() - began
