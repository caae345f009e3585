"""Graph, specification and start positions in, embedding out."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from umapcore.checks import check_integer
from umapcore.dispatch import fall_back, resolve_backend
from umapcore.errors import GPUUnavailableError, bad_type, bad_value
from umapcore.graph import on_gpu, prepare_graph
from umapcore.initialize import check_positions, start_positions
from umapcore.logs import logger
from umapcore.progress import ProgressBar
from umapcore.spec import OptimizerSpec
from umapcore.threads import thread_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from umapcore.backend import Backend

    #: Called with the number of finished epochs and a copy of the positions; True stops the run.
    Callback = Callable[[int, NDArray[np.float32]], bool | None]

#: Seconds between looks at the clock, the progress bar and Ctrl-C.
_SPAN_SECONDS = 0.1


def simplicial_set_embedding(
    graph: Any,
    spec: OptimizerSpec | None = None,
    *,
    init: str | ArrayLike = "spectral",
    representation: ArrayLike | Callable[[], Any] | None = None,
    metric: str = "euclidean",
    method: str = "umap",
    n_threads: int | None = None,
    progress: bool | None = None,
    callback: Callback | None = None,
    callback_every: int = 1,
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
    start_epoch
        Continue a run that was stopped after this many epochs: `init` must be the positions it
        was stopped at and is taken as it is. The result has the bits of an uninterrupted run.
    stop_epoch
        Stop after this many epochs of ``spec.n_epochs``; None runs to the end.
    timings
        A dictionary that receives the seconds of each stage: graph, plan, start, optimise.

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
    return embed(
        graph,
        spec,
        init=init,
        representation=representation,
        metric=metric,
        method=method,
        run=Run(n_threads, progress, callback, callback_every, start_epoch, stop_epoch, timings),
    )


@dataclass
class Run:
    """How a layout is run, beside what is laid out: see :func:`simplicial_set_embedding`."""

    n_threads: int | None = None
    progress: bool | None = None
    callback: Callback | None = None
    callback_every: int = 1
    start_epoch: int = 0
    stop_epoch: int | None = None
    timings: dict[str, float] | None = None

    def check(self) -> None:
        """Refuse what is wrong whatever the graph.

        Raises
        ------
        ValueError, TypeError
            Naming the parameter.
        """
        if self.callback is not None and not callable(self.callback):
            raise bad_type("callback", self.callback, "callable or None")
        self.callback_every = check_integer("callback_every", self.callback_every, 1)
        if self.progress is not None and not isinstance(self.progress, bool):
            raise bad_type("progress", self.progress, "True, False or None")
        thread_count(self.n_threads)

    def epochs(self, n_epochs: int) -> tuple[int, int]:
        """Give the first epoch and the one to stop at.

        Raises
        ------
        ValueError, TypeError
            When they are not in order, or beyond the number of epochs.
        """
        start = check_integer("start_epoch", self.start_epoch, 0, n_epochs)
        stop = n_epochs if self.stop_epoch is None else self.stop_epoch
        return start, check_integer("stop_epoch", stop, start, n_epochs)


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
) -> NDArray[np.float32]:
    """Do what :func:`simplicial_set_embedding` does, for a graph that messages call `name`."""
    if spec is None:
        spec = OptimizerSpec()
    elif not isinstance(spec, OptimizerSpec):
        raise bad_type("spec", spec, "an OptimizerSpec or None")
    if not isinstance(metric, str):
        raise bad_type("metric", metric, "the name of a metric")
    run.check()
    backend = resolve_backend(method)
    try:
        with _timed("graph", run.timings):
            checked = backend.adopt_graph(graph) if on_gpu(graph) else None
            if checked is None:
                checked = prepare_graph(
                    graph, n_vertices=n_vertices, name=name, n_threads=run.n_threads
                )
        start_epoch, stop_epoch = run.epochs(spec.epochs_for(checked.shape[0]))
        with _timed("start", run.timings):
            positions = _start(
                backend, checked, spec, init, representation, metric, start_epoch, run
            )
        shape = (int(checked.shape[0]), spec.n_components)
        if start_epoch == stop_epoch:
            return backend.start_to_host(positions, shape)
        try:
            return _optimise(backend, checked, positions, spec, run, start_epoch, stop_epoch)
        except GPUUnavailableError as error:
            checked = backend.graph_to_host(checked)
            positions = backend.start_to_host(positions, shape)
            cpu = fall_back(method, str(error))
        return _optimise(cpu, checked, positions, spec, run, start_epoch, stop_epoch)
    finally:
        backend.close()


def _start(
    backend: Backend,
    graph: Any,
    spec: OptimizerSpec,
    init: Any,
    representation: Any,
    metric: str,
    start_epoch: int,
    run: Run,
) -> Any:
    """Positions to start from, on the host or, if they were there already, on the device."""
    n, d = int(graph.shape[0]), spec.n_components
    if start_epoch > 0:
        if isinstance(init, str):
            raise bad_value("init", init, "the positions at start_epoch when it is above 0")
        return check_positions(init, n, d, name="init")
    if on_gpu(init):
        adopted = backend.adopt_start(init, (n, d))
        if adopted is not None:
            return adopted
    options: dict[str, Any] = {
        "n_components": d,
        "seed": spec.seed,
        "representation": representation,
        "metric": metric,
        "n_threads": run.n_threads,
    }
    if not (isinstance(init, str) and init == "spectral"):
        return start_positions(init, graph, **options)
    try:
        with backend.linalg(n_threads=run.n_threads) as linalg:
            return start_positions(init, graph, linalg=linalg, **options)
    except GPUUnavailableError as error:
        logger.info("the start is worked out on the CPU, which gives the same bits: %s", error)
    return start_positions(init, backend.graph_to_host(graph), **options)


def _optimise(
    backend: Backend,
    graph: Any,
    positions: Any,
    spec: OptimizerSpec,
    run: Run,
    start_epoch: int,
    stop_epoch: int,
) -> NDArray[np.float32]:
    """Carry a layout forward in short spans, between which Ctrl-C can get through."""
    with _timed("plan", run.timings):
        plan = backend.plan(graph, spec, n_threads=run.n_threads)
    with _timed("optimise", run.timings):
        layout = backend.begin(plan, positions, spec, n_threads=run.n_threads)
        epoch, span = start_epoch, 1
        with ProgressBar(stop_epoch - start_epoch, run.progress) as bar:
            while epoch < stop_epoch:
                end = min(stop_epoch, epoch + span)
                if run.callback is not None:
                    end = min(end, epoch - epoch % run.callback_every + run.callback_every)
                began = time.perf_counter()
                # Epoch 0 has no fires: the schedule starts at 1, as umap-learn's does.
                layout.advance(max(1, epoch), end)
                seconds = time.perf_counter() - began
                fitting = int(_SPAN_SECONDS * (end - epoch) / max(seconds, 1e-6))
                span = max(1, min(fitting, 2 * span))
                bar.update(end - epoch)
                epoch = end
                if run.callback is None:
                    continue
                due = epoch % run.callback_every == 0 or epoch == stop_epoch
                if due and run.callback(epoch, layout.positions()) is True:
                    break
        return layout.positions()


@contextmanager
def _timed(stage: str, timings: dict[str, float] | None) -> Iterator[None]:
    began = time.perf_counter()
    yield
    if timings is not None:
        timings[stage] = time.perf_counter() - began
