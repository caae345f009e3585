"""Graph, specification and start positions in, embedding out."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from umapcore.checks import check_integer
from umapcore.dispatch import resolve_backend
from umapcore.errors import bad_type, bad_value
from umapcore.graph import prepare_graph
from umapcore.initialize import check_positions, start_positions
from umapcore.plan import build_plan
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
        dense array; any real dtype. Never changed.
    spec
        Parameters of the optimiser; None takes the defaults.
    init
        ``'spectral'``, ``'random'``, or an array, n × n_components.
    representation
        n × features: where there are several components, they are placed by the centroids of
        their rows. A function that gives it (or None) is called only then. None packs them.
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

    Examples
    --------
    >>> import scipy.sparse as sp, umapcore
    >>> ring = sp.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(30, 30))
    >>> umapcore.simplicial_set_embedding(ring, init="random").shape
    (30, 2)
    """
    if spec is None:
        spec = OptimizerSpec()
    elif not isinstance(spec, OptimizerSpec):
        raise bad_type("spec", spec, "an OptimizerSpec or None")
    if callback is not None and not callable(callback):
        raise bad_type("callback", callback, "callable or None")
    callback_every = check_integer("callback_every", callback_every, 1)
    if progress is not None and not isinstance(progress, bool):
        raise bad_type("progress", progress, "True, False or None")
    thread_count(n_threads)
    backend = resolve_backend(method)

    with _timed("graph", timings):
        checked = prepare_graph(graph)
    n = checked.shape[0]
    n_epochs = spec.epochs_for(n)
    start_epoch = check_integer("start_epoch", start_epoch, 0, n_epochs)
    if stop_epoch is None:
        stop_epoch = n_epochs
    stop_epoch = check_integer("stop_epoch", stop_epoch, start_epoch, n_epochs)

    with _timed("start", timings):
        if start_epoch > 0:
            if isinstance(init, str):
                raise bad_value("init", init, "the positions at start_epoch when it is above 0")
            positions = check_positions(init, n, spec.n_components, name="init")
        else:
            positions = start_positions(
                init,
                checked,
                n_components=spec.n_components,
                seed=spec.seed,
                representation=representation,
                n_threads=n_threads,
            )
    if start_epoch == stop_epoch:
        return positions
    with _timed("plan", timings):
        plan = build_plan(checked, spec, n_threads=n_threads)
    with _timed("optimise", timings):
        return _optimise(
            backend,
            plan,
            positions,
            spec,
            n_threads=n_threads,
            progress=progress,
            callback=callback,
            callback_every=callback_every,
            start_epoch=start_epoch,
            stop_epoch=stop_epoch,
        )


def _optimise(
    backend: Backend,
    plan: Any,
    positions: NDArray[np.float32],
    spec: OptimizerSpec,
    *,
    n_threads: int | None,
    progress: bool | None,
    callback: Callback | None,
    callback_every: int,
    start_epoch: int,
    stop_epoch: int,
) -> NDArray[np.float32]:
    """Carry a layout forward in short spans, between which Ctrl-C can get through."""
    layout = backend.begin(plan, positions, spec, n_threads=n_threads)
    epoch, span = start_epoch, 1
    with ProgressBar(stop_epoch - start_epoch, progress) as bar:
        while epoch < stop_epoch:
            end = min(stop_epoch, epoch + span)
            if callback is not None:
                end = min(end, epoch - epoch % callback_every + callback_every)
            began = time.perf_counter()
            # Epoch 0 has no fires: the schedule starts at 1, as umap-learn's does.
            layout.advance(max(1, epoch), end)
            seconds = time.perf_counter() - began
            fitting = int(_SPAN_SECONDS * (end - epoch) / max(seconds, 1e-6))
            span = max(1, min(fitting, 2 * span))
            bar.update(end - epoch)
            epoch = end
            due = epoch % callback_every == 0 or epoch == stop_epoch
            if callback is not None and due and callback(epoch, layout.positions()) is True:
                break
    return layout.positions()


@contextmanager
def _timed(stage: str, timings: dict[str, float] | None) -> Iterator[None]:
    began = time.perf_counter()
    yield
    if timings is not None:
        timings[stage] = time.perf_counter() - began
