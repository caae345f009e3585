"""Both communicators do what their protocol says, and fail when a shard does."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.support.shards import KINDS, communicators, in_threads
from umapcore.cluster.packing import pack, unpack
from umapcore.cluster.shared_memory import SharedMemory, bytes_for
from umapcore.cluster.sockets import SocketLinks
from umapcore.errors import WorkerLostError

if TYPE_CHECKING:
    from umapcore.device.communicator import Communicator
    from umapcore.layout.shards import Ranges

LENGTH = 70_001


def uneven_ranges(size: int) -> Ranges:
    """Give each shard two ranges, and the last one none at all if there are several."""
    ends = np.linspace(0, LENGTH, 2 * max(1, size - 1) + 1).astype(int).tolist()
    ranges = [
        [(ends[k], ends[k + 1]), (ends[k + 1], ends[k + 2])] for k in range(0, len(ends) - 1, 2)
    ]
    return ranges if size == 1 else [*ranges, []]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_sums_and_replicas(kind: str, size: int) -> None:
    ranges = uneven_ranges(size)
    n_bytes = bytes_for(size, [4 * LENGTH, 4 * LENGTH], [4 * LENGTH])

    def values(number: int, turn: int) -> np.ndarray:
        random = np.random.default_rng(10 * number + turn)
        return random.integers(-(2**29), 2**29, LENGTH) * random.integers(0, 2, LENGTH)

    def run(link: Communicator) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        replica, other = link.replica(LENGTH, np.float32), link.replica(LENGTH, np.float32)
        sums = link.partial_sums(LENGTH)
        assert not replica.any()
        assert not sums.any()
        found = []
        for turn in range(3):
            sums += values(link.number, turn).astype(np.int32)
            link.reduce_scatter(sums, ranges)
            for first, last in ranges[link.number]:
                other[first:last] = values(link.number, turn)[first:last]
            link.all_gather(other, ranges)
            found.append(sums.copy())
            sums[:] = 0
        for first, last in ranges[link.number]:
            replica[first:last] = link.number + 1
        link.all_gather(replica, ranges)
        return found, replica.copy(), other.copy()

    links = communicators(kind, size, n_bytes)
    results = in_threads([lambda link=link: run(link) for link in links])
    for link in links:
        link.leave()
    for number, (sums, replica, other) in enumerate(results):
        own = np.zeros(LENGTH, bool)
        for first, last in ranges[number]:
            own[first:last] = True
        for turn in range(3):
            total = sum(values(each, turn) for each in range(size))
            wanted = np.where(own, total, 0).astype(np.int32)
            np.testing.assert_array_equal(sums[turn], wanted)
        for owner, parts in enumerate(ranges):
            for first, last in parts:
                assert (replica[first:last] == owner + 1).all()
                np.testing.assert_array_equal(
                    other[first:last], values(owner, 2)[first:last].astype(np.float32)
                )


@pytest.mark.parametrize("kind", KINDS)
def test_a_shard_that_leaves_ends_the_wait_of_the_others(kind: str) -> None:
    ranges: Ranges = [[(0, 1)], [(1, 2)], [(2, 3)]]
    links: list[Any] = communicators(kind, 3, bytes_for(3, [12], []))

    def wait(link: Communicator) -> None:
        link.all_gather(link.replica(3, np.float32), ranges)

    found = in_threads([lambda: wait(links[0]), lambda: wait(links[1]), links[2].leave])
    assert [type(each) for each in found] == [WorkerLostError, WorkerLostError, type(None)]
    for link in links:
        link.leave()


def test_who_waits_for_a_shard_looks_after_it() -> None:
    memory = np.zeros(bytes_for(2, [8], []), np.uint8)
    looked = []

    def watch(number: int) -> None:
        looked.append(number)
        if len(looked) == 3:
            raise WorkerLostError

    link = SharedMemory(memory, 0, 2, watch)
    with pytest.raises(WorkerLostError):
        link.all_gather(link.replica(2, np.float32), [[(0, 1)], [(1, 2)]])
    assert looked == [1, 1, 1]


def test_strangers_are_not_shards() -> None:
    """They call too, before the shard that is waited for, and say nothing or something wrong."""
    links = [SocketLinks("127.0.0.1") for _ in range(2)]
    addresses = [link.address for link in links]
    strangers = [socket.create_connection(addresses[0][:2]) for _ in range(3)]
    strangers[0].sendall(bytes(24))
    strangers[1].close()
    strangers[2].sendall(b"GET / HTTP/1.0\r\n\r\n12345678")
    found = in_threads([lambda k=k: links[k].connect(k, addresses) for k in range(2)])
    assert found == [None, None]
    outgoing = [np.arange(3, dtype=np.uint32)] * 2
    received = in_threads(
        [lambda link=link: link.exchange(outgoing)[1] for link in links[:1]]
        + [lambda: links[1].exchange(outgoing)[0]]
    )
    for words in received:
        assert words.tolist() == [0, 1, 2]
    for link in [*links, *strangers]:
        link.close()


def test_a_shard_that_nobody_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("umapcore.cluster.sockets.PATIENCE", 0.2)
    link = SocketLinks("127.0.0.1")
    with pytest.raises(WorkerLostError, match="shard 0 cannot be connected with all others"):
        link.connect(0, [link.address] * 2)


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 65_536, 65_537, 200_001])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_packing(n: int, share: float) -> None:
    random = np.random.default_rng(n)
    old = random.integers(0, 2**32, n, dtype=np.uint32)
    new = np.where(random.random(n) < share, random.integers(0, 2**32, n), old).astype(np.uint32)
    before, sent = old.copy(), old.copy()
    packed = pack(new, sent, 2)
    np.testing.assert_array_equal(sent, new)
    changed = int((new != old).sum())
    assert packed.shape[0] <= changed + n // 32 + 1 + 2 * (n // 65_536 + 1)
    after = np.append(packed, np.uint32(5))
    assert unpack(after, old, 2, add=False).tolist() == [5]
    np.testing.assert_array_equal(old, new)
    wanted = np.where(new != before, before + new, before)
    unpack(packed, before, 1, add=True)
    np.testing.assert_array_equal(before, wanted)


def test_packing_of_sums_leaves_zeros() -> None:
    sums = np.array([0, 7, 0, -3], np.int32).view(np.uint32)
    packed = pack(sums, None, 1)
    assert not sums.any()
    unpack(packed, sums, 1, add=True)
    unpack(packed, sums, 1, add=True)
    assert sums.view(np.int32).tolist() == [0, 14, 0, -6]
