"""Shards of a layout in threads of this process, with either communicator."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.cluster.messages import Messages
from umapcore.cluster.shared_memory import SharedMemory, bytes_for
from umapcore.cluster.sockets import SocketLinks
from umapcore.errors import WorkerLostError
from umapcore.layout.shards import cut
from umapcore_numba.layout.shard import NumbaShard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from umapcore.device.communicator import Communicator
    from umapcore.layout.density import Density
    from umapcore.layout.plan import EdgePlan
    from umapcore.layout.spec import OptimizerSpec

KINDS = ("shared memory", "messages", "sockets")


class QueueLinks:
    """Connections of a shard to the others: one queue for each way."""

    def __init__(self, number: int, queues: list[list[SimpleQueue[Any]]]) -> None:
        self._to = queues[number]
        self._from = [row[number] for row in queues]
        self._number = number

    def exchange(self, outgoing: Sequence[np.ndarray]) -> list[np.ndarray]:
        for number, words in enumerate(outgoing):
            if number != self._number:
                self._to[number].put(words.copy())
        incoming = [np.empty(0, np.uint32)] * len(outgoing)
        for number, queue in enumerate(self._from):
            if number != self._number:
                received = queue.get(timeout=60)
                if received is None:
                    msg = f"shard {number} has closed its connections"
                    raise WorkerLostError(msg)
                incoming[number] = received
        return incoming

    def close(self) -> None:
        for queue in self._to:
            queue.put(None)


def communicators(kind: str, size: int, n_bytes: int, n_threads: int = 1) -> list[Communicator]:
    """Link `size` shards in threads of this process."""
    if kind == "shared memory":
        memory = np.zeros(n_bytes, np.uint8)
        return [SharedMemory(memory, number, size) for number in range(size)]
    if kind == "sockets":
        links = [SocketLinks("127.0.0.1") for _ in range(size)]
        addresses = [link.address for link in links]
        connected = in_threads(
            [lambda k=k: links[k].connect(k, addresses) for k in range(size)]  # type: ignore[misc]
        )
        assert connected == [None] * size
        return [Messages(links[number], number, size, n_threads) for number in range(size)]
    queues: list[list[SimpleQueue[Any]]] = [
        [SimpleQueue() for _ in range(size)] for _ in range(size)
    ]
    return [Messages(QueueLinks(number, queues), number, size, n_threads) for number in range(size)]


def in_threads(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Make calls at the same time; return what they return or raise."""
    found: list[Any] = [None] * len(calls)

    def run(number: int) -> None:
        try:
            found[number] = calls[number]()
        except Exception as error:
            found[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def run_shards(
    kind: str,
    shares: Sequence[float],
    plan: EdgePlan,
    start: np.ndarray,
    spec: OptimizerSpec,
    *,
    density: Density | None = None,
    n_workers: int = 1,
    spans: Sequence[tuple[int, int]] | None = None,
) -> list[np.ndarray]:
    """Run a layout in shards; return the positions that each has in the end."""
    n_walkers = plan.heads.shape[0] if density is not None else 0
    n_bytes = bytes_for(len(shares), [4 * start.size] * 2 + [8 * n_walkers], [4 * start.size])
    links = communicators(kind, len(shares), n_bytes, n_workers)

    def run(shard: Any) -> np.ndarray:
        link = links[shard.number]
        running = NumbaShard(shard, start, spec, link, n_workers, density)
        for first, stop in spans or [(1, plan.n_epochs)]:
            running.advance(first, stop)
        return running.positions()

    found = in_threads([lambda shard=shard: run(shard) for shard in cut(plan, shares)])
    for link in links:
        link.leave()
    for result in found:
        if isinstance(result, Exception):
            raise result
    return found
