"""Connections between workers of a Dask cluster, by the cluster's own communication library.

So shards use the protocol of the cluster (TLS, UCX) with its certificates and time limits.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.cluster.sockets import PATIENCE
from umapcore.errors import WorkerLostError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class DaskLinks:
    """The connections of the shard that runs on this worker.

    They are made on the worker's event loop. The methods are called in threads of tasks.

    Attributes
    ----------
    address
        Where other shards connect to.
    """

    def __init__(self) -> None:
        from distributed import get_worker

        self._worker: Any = get_worker()
        self._comms: dict[int, Any] = {}
        self._changed = self._on_loop(self._make_condition)
        self._listener = self._on_loop(self._listen)
        self.address: str = self._listener.contact_address
        self._number = -1

    def connect(self, number: int, addresses: Sequence[str]) -> None:
        """Connect shard `number` with all others, which listen at `addresses`."""
        self._number = number
        self._on_loop(self._connect, addresses)

    def exchange(self, outgoing: Sequence[NDArray[np.uint32]]) -> Sequence[NDArray[np.uint32]]:
        """Send each shard its array, and return what each sent to this one."""
        incoming: list[NDArray[np.uint32]] = self._on_loop(self._exchange, outgoing)
        return incoming

    def close(self) -> None:
        """Close all connections; shards that wait for this one fail then."""
        self._on_loop(self._close)

    def _on_loop(self, function: Any, *args: Any) -> Any:
        """Run a coroutine on the worker's event loop, and wait for it."""
        from distributed.utils import sync

        try:
            return sync(self._worker.loop, function, *args)
        except (OSError, TimeoutError) as error:
            msg = f"shard {self._number} has lost its connection to another one: {error}"
            raise WorkerLostError(msg) from error

    async def _make_condition(self) -> asyncio.Condition:
        return asyncio.Condition()

    async def _listen(self) -> Any:
        from distributed.comm import listen

        # The worker's address is one that others can reach.
        protocol, _, rest = self._worker.address.partition("://")
        host = rest.rpartition(":")[0]
        address = f"{protocol}://{host}:0" if protocol != "inproc" else "inproc://"
        options = self._worker.security.get_listen_args("worker")
        return await listen(address, self._accept, **options)

    async def _accept(self, comm: Any) -> None:
        number = await comm.read()
        await self._add(number, comm)

    async def _add(self, number: int, comm: Any) -> None:
        async with self._changed:
            self._comms[number] = comm
            self._changed.notify_all()

    async def _connect(self, addresses: Sequence[str]) -> None:
        from distributed.comm import connect

        options = self._worker.security.get_connection_args("worker")
        for number in range(self._number):
            comm = await connect(addresses[number], **options)
            await comm.write(self._number)
            await self._add(number, comm)
        async with self._changed:
            await asyncio.wait_for(
                self._changed.wait_for(lambda: len(self._comms) == len(addresses) - 1), PATIENCE
            )

    async def _exchange(self, outgoing: Sequence[NDArray[np.uint32]]) -> list[NDArray[np.uint32]]:
        from distributed.protocol import Serialize, to_serialize

        async def send(number: int, comm: Any) -> None:
            await comm.write(to_serialize(outgoing[number]))

        async def receive(number: int, comm: Any) -> None:
            received = await comm.read()
            if isinstance(received, Serialize):  # between workers of one process
                received = received.data
            # It begins at any address, and may be read-only: for each such kind of array, numba
            # would compile the kernels again.
            incoming[number] = np.require(received, requirements=["A", "W"])

        incoming = [_NOTHING] * len(outgoing)
        tasks = [way(*link) for link in self._comms.items() for way in (send, receive)]
        await asyncio.gather(*tasks)
        return incoming

    async def _close(self) -> None:
        self._listener.stop()
        for comm in self._comms.values():
            await comm.close()


_NOTHING = np.empty(0, np.uint32)
