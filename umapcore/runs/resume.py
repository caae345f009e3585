"""Start of a run: at its start positions, or at the state in a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from umapcore._kit.arrays import on_gpu
from umapcore.errors import GPUUnavailableError, bad_value
from umapcore.init.positions import check_positions, start_positions
from umapcore.logs import logger
from umapcore.runs.checkpoint_file import Identity
from umapcore.runs.digest import (
    graph_digest,
    positions_digest,
    radii_digest,
    representation_digest,
)
from umapcore.version import __version__

if TYPE_CHECKING:
    from umapcore.device.protocol import Backend
    from umapcore.layout.density import Density
    from umapcore.runs.job import Job, Run


def start_or_resume(
    backend: Backend, graph: Any, job: Job, run: Run, density: Density | None = None
) -> tuple[Any, int]:
    """Return the positions and the epoch to go on from: the start, or those of a checkpoint.

    Parameters
    ----------
    backend, graph
        Where the job runs, and its graph as the backend or :func:`prepare_graph` made it.
    job, run
        What is laid out, and how. The run's checkpoint, snapshots and origin are updated.
    density
        Density of the data, if it is preserved: part of the identity of the run.

    Returns
    -------
    positions
        On the host or, if they were there already, on the device.
    epoch
        Number of epochs done.
    """
    n, spec = int(graph.shape[0]), job.spec
    start_epoch, stop_epoch = run.epochs(spec.epochs_for(n))
    if run.snapshots is not None:
        run.snapshots.clear()
    if run.keeper is None and run.origin is None:
        return _start(backend, graph, job, run, job.representation), start_epoch
    digest = graph_digest(backend.graph_to_host(graph), n_threads=run.n_threads)
    density_digest = ""
    if density is not None:
        density_digest = radii_digest(density.radii, n_threads=run.n_threads)
    if run.origin is not None:
        run.origin.has_density(density_digest)
    spectral = start_epoch == 0 and isinstance(job.init, str) and job.init == "spectral"
    representation = _Digested(job.representation, job.metric)
    found = None
    if run.keeper is not None:
        said = spec.replace(n_epochs=spec.epochs_for(n)).to_dict()
        kind = "spectral" if spectral else "given"
        identity = Identity(__version__, digest, said, kind, start_epoch, density_digest)
        found = run.keeper.resume(identity)
    if found is not None and spectral:
        # The expensive start is not computed again: it depends only on the graph, the seed and,
        # for several components, the representation.
        start = found.start
        if found.representation:
            representation()
    else:
        positions = _start(backend, graph, job, run, representation)
        on_host = backend.start_to_host(positions, (n, spec.n_components))
        start = positions_digest(on_host, n_threads=run.n_threads)
    if run.keeper is not None:
        run.keeper.begin(start, representation.digest)
    if run.origin is not None:
        run.origin.graph = digest
        run.origin.began_at(start)
    if found is None:
        return positions, start_epoch
    if found.epoch > stop_epoch:
        raise bad_value("stop_epoch", stop_epoch, f"at least {found.epoch}, as in the checkpoint")
    if run.snapshots is not None:
        run.snapshots.restore(found.snapshots, start_epoch, found.epoch)
    return found.positions, found.epoch


class _Digested:
    """The representation that places a graph's components; a call computes its digest."""

    def __init__(self, representation: Any, metric: str) -> None:
        self._representation, self._metric = representation, metric
        self.digest = ""

    def __call__(self) -> Any:
        found = self._representation() if callable(self._representation) else self._representation
        self.digest = representation_digest(found, self._metric)
        return found


def _start(backend: Backend, graph: Any, job: Job, run: Run, representation: Any) -> Any:
    """Return start positions, on the host or, if they were there already, on the device."""
    n, d, init = int(graph.shape[0]), job.spec.n_components, job.init
    if run.start_epoch > 0:
        if isinstance(init, str):
            raise bad_value("init", init, "the positions at start_epoch when it is above 0")
        return check_positions(init, n, d, name="init")
    if on_gpu(init):
        adopted = backend.adopt_start(init, (n, d))
        if adopted is not None:
            return adopted
    options: dict[str, Any] = {
        "n_components": d,
        "seed": job.spec.seed,
        "representation": representation,
        "metric": job.metric,
        "n_threads": run.n_threads,
    }
    if not (isinstance(init, str) and init == "spectral"):
        return start_positions(init, graph, **options)
    try:
        with backend.spectral_ops(n_threads=run.n_threads) as ops:
            return start_positions(init, graph, ops=ops, **options)
    except GPUUnavailableError as error:
        logger.info("the start is computed on the CPU, which gives the same bits: %s", error)
    return start_positions(init, backend.graph_to_host(graph), **options)
