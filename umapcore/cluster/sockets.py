"""Connections between shards by sockets, several times as fast as those of Dask.

They are for clusters whose own messages are not encrypted either. Shards know each other by a
number that the cluster tells them, so nobody else takes part by chance.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from umapcore.errors import WorkerLostError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Seconds in which the other shards must have connected.
PATIENCE = 60
#: Seconds in which a caller must have said who it is.
_HELLO_SECONDS = 5
#: Seconds after which a machine that does not answer is lost.
_SILENCE = 30
_TOKEN_BYTES = 16
#: What a shard says first: the token of the one that it calls, and its own number.
_HELLO = struct.Struct(f"!{_TOKEN_BYTES}sQ")
_LENGTH = struct.Struct("!Q")
_NOTHING = np.empty(0, np.uint32)


class SocketAddress(NamedTuple):
    """Where a shard waits for others; `token` is known to shards of the same layout alone."""

    host: str
    port: int
    token: bytes


class SocketLinks:
    """The connections of one shard; see :class:`umapcore.cluster.messages.Links`.

    Parameters
    ----------
    host
        Name or number by which the other shards reach this machine.
    """

    def __init__(self, host: str) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._server = socket.create_server((host, 0), family=family)
        token = secrets.token_bytes(_TOKEN_BYTES)
        self.address = SocketAddress(host, self._server.getsockname()[1], token)
        self._sockets: dict[int, socket.socket] = {}
        self._senders: ThreadPoolExecutor | None = None

    def connect(self, number: int, addresses: Sequence[SocketAddress]) -> None:
        """Connect shard `number` with all others, which wait at `addresses`."""
        try:
            for other in range(number):
                host, port, token = addresses[other]
                link = socket.create_connection((host, port), timeout=PATIENCE)
                link.sendall(_HELLO.pack(token, number))
                self._sockets[other] = link
            self._server.settimeout(PATIENCE)
            while len(self._sockets) < len(addresses) - 1:
                self._accept(self._server.accept()[0])
        except OSError as error:
            self.close()
            msg = f"shard {number} cannot be connected with all others: {error}"
            raise WorkerLostError(msg) from error
        self._server.close()
        for link in self._sockets.values():
            _prepare(link)
        self._senders = ThreadPoolExecutor(max(1, len(self._sockets)), "umapcore")

    def exchange(self, outgoing: Sequence[NDArray[np.uint32]]) -> Sequence[NDArray[np.uint32]]:
        """Send each shard its array, and return what each sent to this one."""
        assert self._senders is not None
        incoming = [_NOTHING] * len(outgoing)
        try:
            # Everybody sends while receiving: buffers are too small for what two have to send.
            sending = [
                self._senders.submit(_send, link, outgoing[other])
                for other, link in self._sockets.items()
            ]
            for other, link in self._sockets.items():
                incoming[other] = _receive(link)
            for each in sending:
                each.result()
        except (OSError, RuntimeError) as error:  # a pool that is shut down takes no more tasks
            msg = f"a shard has lost its connection to another one: {error}"
            raise WorkerLostError(msg) from error
        return incoming

    def close(self) -> None:
        """Close all connections; shards that wait for this one fail then."""
        self._server.close()
        for link in self._sockets.values():
            with suppress(OSError):  # the other side may have closed it
                link.shutdown(socket.SHUT_RDWR)
            link.close()
        if self._senders is not None:
            self._senders.shutdown(wait=False)

    def _accept(self, link: socket.socket) -> None:
        """Add a connection, if it is from a shard of this layout."""
        link.settimeout(_HELLO_SECONDS)
        try:
            token, number = _HELLO.unpack(_read(link, bytearray(_HELLO.size)))
        except OSError:
            link.close()
            return
        if hmac.compare_digest(token, self.address.token):
            self._sockets[number] = link
        else:
            link.close()


def _prepare(link: socket.socket) -> None:
    """Send at once, and notice a machine that is gone."""
    link.settimeout(None)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _SILENCE // 3),
        ("TCP_KEEPINTVL", _SILENCE // 3),
        ("TCP_KEEPCNT", 2),
        ("TCP_USER_TIMEOUT", _SILENCE * 1000),
    ):
        if hasattr(socket, name):  # not everywhere
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _send(link: socket.socket, words: NDArray[np.uint32]) -> None:
    link.sendall(_LENGTH.pack(words.nbytes))
    if words.nbytes:
        link.sendall(words.view(np.uint8).data)


def _receive(link: socket.socket) -> NDArray[np.uint32]:
    (length,) = _LENGTH.unpack(_read(link, bytearray(_LENGTH.size)))
    words = np.empty(length // 4, np.uint32)
    if length:
        _read(link, words.view(np.uint8).data)
    return words


def _read(link: socket.socket, target: bytearray | memoryview) -> bytearray | memoryview:
    """Fill `target`."""
    done, view = 0, memoryview(target)
    while done < len(view):
        got = link.recv_into(view[done:])
        if got == 0:
            msg = "the connection was closed"
            raise ConnectionError(msg)
        done += got
    return target
