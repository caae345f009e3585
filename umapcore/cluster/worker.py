"""What the workers of a Dask cluster do: meet, and run the shards of a layout.

All functions here run as tasks on workers.
"""

from __future__ import annotations

import mmap
import os
import select
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.cluster.dask_links import DaskLinks
from umapcore.cluster.messages import Messages
from umapcore.cluster.shared_memory import SharedMemory, bytes_for
from umapcore.cluster.sockets import SocketLinks
from umapcore.errors import WorkerLostError
from umapcore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from umapcore.device.communicator import Communicator
    from umapcore.layout.density import Density
    from umapcore.layout.plan import EdgePlan
    from umapcore.layout.shards import Shard
    from umapcore.layout.spec import OptimizerSpec


@dataclass(frozen=True)
class Place:
    """Where a worker runs: `machine` is the same for processes that can share memory."""

    version: str
    machine: str
    process: int


def place_of_worker() -> Place:
    """Return where this worker runs."""
    return Place(__version__, machine(), os.getpid())


def machine() -> str:
    """Return a name that processes have in common which can share memory, or ``''``."""
    # It takes memory without a name, and a way to see that a process has ended.
    if not (hasattr(os, "memfd_create") and hasattr(os, "pidfd_open")):
        return ""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


class Memory:
    """Memory without a name in the file system, which ends with the last process that has it.

    Others open it by the number of the process that made it. It stays on its worker.
    """

    def __init__(self, size: int) -> None:
        self._file = os.memfd_create("umapcore")
        # Without it, memory that is not there would end the process when it is first used.
        os.posix_fallocate(self._file, 0, size)
        self.name = f"/proc/{os.getpid()}/fd/{self._file}"

    def __del__(self) -> None:
        os.close(self._file)


def make_memory(n_shards: int, n_coordinates: int, n_walkers: int) -> Memory | None:
    """Make the memory that the shards of a layout share; None if that is not possible.

    `n_walkers` is 0 for layouts that do not preserve densities.
    """
    replicas = [4 * n_coordinates] * 2 + [8 * n_walkers]
    try:
        return Memory(bytes_for(n_shards, replicas, [4 * n_coordinates]))
    except OSError:
        return None


def name_of(memory: Memory | None) -> str | None:
    """Return the name by which this machine's processes open a memory, if there is one."""
    return None if memory is None else memory.name


def can_open(name: str, process: int) -> bool:
    """Return whether this worker can open a memory and watch a process."""
    try:
        os.close(os.pidfd_open(process))
    except OSError:  # some containers forbid it
        return False
    return os.access(name, os.R_OK | os.W_OK)


def listen() -> DaskLinks | SocketLinks:
    """Wait for connections from other shards; the object stays on its worker."""
    from distributed import get_worker

    # The worker's address is one that others can reach.
    protocol, _, rest = get_worker().address.partition("://")
    if protocol != "tcp":
        return DaskLinks()
    return SocketLinks(rest.rpartition(":")[0].strip("[]"))


def address_of(links: DaskLinks | SocketLinks) -> Any:
    """Return the address at which a worker waits for connections."""
    return links.address


class _Watch:
    """Whether processes of this machine are still there."""

    def __init__(self, processes: Sequence[int]) -> None:
        self._processes: list[int] = []
        for process in processes:
            self._processes.append(os.pidfd_open(process))

    def __call__(self, number: int) -> None:
        ended = select.poll()
        ended.register(self._processes[number], select.POLLIN)
        if ended.poll(0):
            msg = f"the process of shard {number} has ended"
            raise WorkerLostError(msg)

    def __del__(self) -> None:
        for process in self._processes:
            os.close(process)


@dataclass(frozen=True)
class Start:
    """What the shards of a layout begin with."""

    positions: NDArray[np.float32]
    spec: OptimizerSpec
    density: Density | None


class RunningShard:
    """A shard that runs; it stays on its worker."""

    def __init__(
        self, shard: Shard, start: Start, communicator: Communicator, n_threads: int
    ) -> None:
        from umapcore_numba.layout.shard import NumbaShard

        self.communicator = communicator
        # Arrays that were received begin at any address, which numba would compile kernels for.
        shard = replace(shard, plan=_copied(shard.plan))
        self.layout = NumbaShard(
            shard, start.positions, start.spec, communicator, n_threads, start.density
        )

    def __reduce__(self) -> Any:
        msg = "a shard of a layout stays on its worker"
        raise TypeError(msg)


def _copied(plan: EdgePlan) -> EdgePlan:
    """Return a plan whose arrays are copies."""
    copies: dict[str, Any] = {
        name: value.copy() for name, value in vars(plan).items() if isinstance(value, np.ndarray)
    }
    return replace(plan, **copies)


def open_with_memory(
    shard: Shard, start: Start, n_threads: int, name: str, processes: Sequence[int]
) -> RunningShard:
    """Prepare a shard that shares memory with the others."""
    file = os.open(name, os.O_RDWR)
    try:
        memory = np.frombuffer(mmap.mmap(file, 0), np.uint8)
    finally:
        os.close(file)
    watch = _Watch(processes)
    communicator = SharedMemory(memory, shard.number, shard.n_shards, watch)
    return RunningShard(shard, start, communicator, n_threads)


def open_with_links(
    shard: Shard, start: Start, n_threads: int, links: Any, addresses: Sequence[Any]
) -> RunningShard:
    """Prepare a shard that sends messages to the others."""
    from distributed import secede

    secede()  # as in `advance`
    links.connect(shard.number, addresses)
    communicator = Messages(links, shard.number, shard.n_shards, n_threads)
    return RunningShard(shard, start, communicator, n_threads)


def advance(shard: RunningShard, first_epoch: int, stop_epoch: int) -> None:
    """Run the epochs `first_epoch` … `stop_epoch` - 1 of a shard."""
    from distributed import secede

    # Shards wait for one another. If two layouts ran on the same workers and each kept some of
    # their threads, both would wait for ever.
    secede()
    try:
        shard.layout.advance(first_epoch, stop_epoch)
    except BaseException:
        leave(shard)
        raise


def leave(shard: RunningShard) -> None:
    """Let all shards fail that wait for this one, now or later."""
    shard.communicator.leave()


def positions(shard: RunningShard) -> NDArray[np.float32]:
    """Return the positions, n × d, in the order of the graph's vertices."""
    return shard.layout.positions()
