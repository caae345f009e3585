"""Layouts on the workers of a Dask cluster."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from umapcore._kit.threads import thread_count
from umapcore.cluster import worker as tasks
from umapcore.cluster.workers import Workers
from umapcore.layout.shards import cut
from umapcore.logs import logger
from umapcore.version import __version__
from umapcore_numba.backend import NumbaBackend

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from umapcore.layout.density import Density
    from umapcore.layout.plan import EdgePlan
    from umapcore.layout.spec import OptimizerSpec


class ClusterBackend(NumbaBackend):
    """The CPU backend, but with the epochs of layouts on the workers of a cluster.

    Parameters
    ----------
    client
        A ``distributed.Client``.

    Raises
    ------
    ValueError, RuntimeError
        If the cluster has no workers, or they do not have this version of umapcore.
    """

    name = "cluster"

    def __init__(self, client: Any) -> None:
        self._client = client
        self._layouts: list[ClusterLayout] = []
        _places(Workers(client))

    def begin(
        self,
        plan: EdgePlan,
        start: NDArray[np.float32],
        spec: OptimizerSpec,
        *,
        density: Density | None = None,
        n_threads: int | None = None,
    ) -> ClusterLayout:
        """Begin a layout; see :class:`umapcore.device.protocol.Backend`.

        `n_threads` are those on each worker; None takes as many as the worker has.
        """
        workers = Workers(self._client)
        threads = workers.n_threads
        if n_threads is not None:
            threads = [thread_count(n_threads)] * len(workers)
        layout = ClusterLayout(workers, threads, plan, tasks.Start(start, spec, density))
        self._layouts.append(layout)
        return layout

    def close(self) -> None:
        """Let the workers forget the layouts."""
        for layout in self._layouts:
            layout.close()
        self._layouts.clear()


class ClusterLayout:
    """A running layout on the workers of a cluster: see :class:`umapcore.device.protocol.Layout`.

    Parameters
    ----------
    workers
        The workers, each of which gets a shard.
    threads
        The number of threads on each.
    plan, start
        The whole plan; and start positions, specification and density.
    """

    #: Giving tasks to the workers takes a hundredth of a second. Ctrl-C is handled meanwhile.
    span_seconds = 1.0

    def __init__(
        self, workers: Workers, threads: list[int], plan: EdgePlan, start: tasks.Start
    ) -> None:
        self._workers = workers
        self._running: list[Any] = []
        shared = _shared_memory(workers, plan, start)
        logger.info(
            "layout on %d workers with %s threads, which %s", len(workers),
            ", ".join(map(str, threads)), "share memory" if shared else "send messages",
        )  # fmt: skip
        shards = workers.give(cut(plan, threads))
        starts = workers.give_all(start)
        if shared:
            memory, name, processes = shared
            same: list[list[Any]] = [[name] * len(workers), [processes] * len(workers)]
            self._running = workers.each(tasks.open_with_memory, shards, starts, threads, *same)
            del memory
        else:
            links = workers.each(tasks.listen)
            addresses = workers.results(tasks.address_of, links)
            self._running = workers.each(
                tasks.open_with_links, shards, starts, threads, links, [addresses] * len(workers)
            )

    def advance(self, first_epoch: int, stop_epoch: int) -> None:
        """Run the epochs `first_epoch` … `stop_epoch` - 1.

        Raises
        ------
        umapcore.errors.WorkerLostError
            When a worker has ended or cannot be reached; the layout is then of no further use.
        """
        n = len(self._workers)
        self._workers.results(tasks.advance, self._running, [first_epoch] * n, [stop_epoch] * n)

    def positions(self) -> NDArray[np.float32]:
        """Copy the positions, n × d, in the order of the graph's vertices."""
        found: list[NDArray[np.float32]] = self._workers.results(tasks.positions, self._running[:1])
        return found[0]

    def close(self) -> None:
        """Let the workers forget the layout, also if it still runs."""
        with suppress(Exception):  # some of them may be gone, and then there is nothing to do
            self._workers.tell(tasks.leave, self._running)
        self._running = []


def _places(workers: Workers) -> list[tasks.Place]:
    """Return where the workers run.

    Raises
    ------
    RuntimeError
        If a worker does not have this version of umapcore.
    """
    try:
        places: list[tasks.Place] = workers.results(tasks.place_of_worker)
    except ImportError as error:
        msg = f"a worker cannot import umapcore {__version__}: {error}"
        raise RuntimeError(msg) from error
    others = {place.version for place in places} - {__version__}
    if others:
        msg = (
            f"the workers have umapcore {', '.join(sorted(others))}, and this process has "
            f"{__version__}: all must have the same version."
        )
        raise RuntimeError(msg)
    return places


def _shared_memory(
    workers: Workers, plan: EdgePlan, start: tasks.Start
) -> tuple[Any, str, list[int]] | None:
    """Make memory for all workers, if they are processes of one machine.

    If it is this machine, they are also sent their shards directly.

    Returns
    -------
    The memory, which must be kept until all have opened it; its name; the workers' processes.
    """
    places = _places(workers)
    machines = {place.machine for place in places}
    if len(machines) > 1 or "" in machines:
        return None
    if machines == {tasks.machine()}:
        workers.direct = True
    n_coordinates = start.positions.size
    n_walkers = plan.heads.shape[0] if start.density is not None else 0
    memory = workers.each(tasks.make_memory, [len(workers)], [n_coordinates], [n_walkers])
    (name,) = workers.results(tasks.name_of, memory)
    processes = [place.process for place in places]
    n = len(workers)
    if name is None or not all(workers.results(tasks.can_open, [name] * n, processes[:1] * n)):
        return None
    return memory, name, processes
