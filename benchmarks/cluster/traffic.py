"""What shards send one another: ``python -m benchmarks.cluster.traffic``.

A generated graph is laid out for some epochs by 2 to 16 shards in threads of this process, which
exchange messages as on several machines. The bytes of all messages are counted, the packing and
unpacking of an array of positions is timed on one thread, and so are messages of that size between
two threads that send and receive at the same time, by sockets of this machine.
"""

from __future__ import annotations

import argparse
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import graphs, report
from umapcore import OptimizerSpec
from umapcore.cluster.messages import Messages
from umapcore.cluster.packing import pack, unpack
from umapcore.cluster.sockets import SocketLinks
from umapcore.graph.csr import prepare_graph
from umapcore.layout.plan import build_plan
from umapcore.layout.shards import cut
from umapcore_numba.layout.shard import NumbaShard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from umapcore.layout.plan import EdgePlan
    from umapcore.layout.shards import Shard

VERTICES, EPOCHS, REPEATS = 1_000_000, 4, 5
SHARDS = (2, 4, 8, 16)
#: Share of the words that change in a bucket, for the rates of packing.
SHARE = 0.45


class CountedLinks:
    """Queues between threads; counts the bytes that its shard sends."""

    def __init__(self, number: int, queues: list[list[SimpleQueue[Any]]]) -> None:
        self._number, self._queues = number, queues
        self.sent = 0

    def exchange(self, outgoing: Sequence[NDArray[np.uint32]]) -> list[NDArray[np.uint32]]:
        """Send and receive."""
        for number, words in enumerate(outgoing):
            if number != self._number:
                self.sent += words.nbytes
                self._queues[self._number][number].put(words)
        return [
            row[self._number].get() if number != self._number else np.empty(0, np.uint32)
            for number, row in enumerate(self._queues)
        ]

    def close(self) -> None:
        """Do nothing."""


def main(arguments: list[str] | None = None) -> int:
    """Count and time, and write the figures."""
    options = _options(arguments)
    spec = OptimizerSpec(n_epochs=200)
    plan = build_plan(prepare_graph(graphs.load(f"generated{options.vertices}").graph), spec)
    sent = {}
    for n_shards in SHARDS:
        by_shard = run(plan, spec, n_shards, options.epochs)
        # Each number is sent to one shard or to all others; so say what a shard sends.
        sent[n_shards] = max(by_shard) / (plan.n_buckets * (options.epochs - 1))
        print(
            f"{n_shards} shards: {sent[n_shards] / plan.n_vertices:.3f} bytes a vertex", flush=True
        )
    content = {
        "n_vertices": plan.n_vertices, "n_edges": plan.n_edges, "epochs": options.epochs,
        "bytes_sent_by_a_shard_in_a_bucket": sent, "load": report.load_average(),
        "seconds_a_word": rates(2 * plan.n_vertices),
        "bytes_a_second_by_sockets": rate_of_sockets(2 * plan.n_vertices),
    }  # fmt: skip
    report.write_json(options.out, content)
    return 0


def run(plan: EdgePlan, spec: OptimizerSpec, n_shards: int, epochs: int) -> list[int]:
    """Lay out in shards; return the bytes that each has sent in the epochs after the first."""
    queues: Any = [[SimpleQueue() for _ in range(n_shards)] for _ in range(n_shards)]
    start = np.random.default_rng(0).uniform(0, 10, (plan.n_vertices, 2)).astype(np.float32)
    sent = [0] * n_shards

    def work(shard: Shard) -> None:
        links = CountedLinks(shard.number, queues)
        exchange = Messages(links, shard.number, n_shards, 1)
        running = NumbaShard(shard, start, spec, exchange, 1)
        running.advance(1, 2)
        before = links.sent  # all start positions are among it
        running.advance(2, epochs + 1)
        sent[shard.number] = links.sent - before

    threads = [threading.Thread(target=work, args=(s,)) for s in cut(plan, [1.0] * n_shards)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sent


def rates(n_words: int) -> dict[str, float]:
    """Time packing and unpacking on one thread, in seconds a word."""
    random = np.random.default_rng(0)
    found: dict[str, list[float]] = {"pack": [], "unpack": []}
    for _ in range(REPEATS + 1):
        old = random.integers(0, 2**32, n_words, dtype=np.uint32)
        new = np.where(random.random(n_words) < SHARE, old + np.uint32(1), old)
        target = old.copy()
        began = time.perf_counter()
        packed = pack(new, old, 1)
        packed_at = time.perf_counter()
        unpack(packed, target, 1, add=False)
        found["unpack"].append((time.perf_counter() - packed_at) / n_words)
        found["pack"].append((packed_at - began) / n_words)
    return {way: median(times[1:]) for way, times in found.items()}  # the first one compiles


def rate_of_sockets(n_words: int) -> float:
    """Return how many bytes a second go from one shard to another, and as many back."""
    links = [SocketLinks("127.0.0.1") for _ in range(2)]
    addresses = [link.address for link in links]
    words = np.arange(n_words, dtype=np.uint32)
    times: list[float] = []

    def work(number: int) -> None:
        links[number].connect(number, addresses)
        for _ in range(4 * REPEATS):
            began = time.perf_counter()
            links[number].exchange([words, words])
            if number == 0:
                times.append(time.perf_counter() - began)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for link in links:
        link.close()
    return words.nbytes / median(times)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.cluster.traffic", description=__doc__)
    parser.add_argument("--vertices", type=int, default=VERTICES)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--out", type=Path, default=report.RESULTS / "cluster_traffic.json")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
