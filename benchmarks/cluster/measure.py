"""One layout on several workers, beside one process: ``python -m benchmarks.cluster.measure``.

A generated graph is laid out by this process, on one thread and on as many as there are workers,
and by the workers of a ``LocalCluster`` with one thread each: by memory that they share, and by
messages over TCP as between machines. The programs take turns, and all must give the same bits.
"""

from __future__ import annotations

import argparse
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from unittest import mock

from benchmarks import graphs, report
from umapcore import OptimizerSpec, simplicial_set_embedding
from umapcore.runs.digest import positions_digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

VERTICES, EPOCHS, WORKERS, REPEATS = 1_000_000, 200, 2, 3
#: Epochs of a run that shows what begins and ends a run.
FEW = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison, and return 0 if all bits are equal."""
    options = _options(arguments)
    graph = graphs.load(f"generated{options.vertices}").graph
    spec = OptimizerSpec(n_epochs=options.epochs, n_components=options.components)
    runs: dict[str, list[dict[str, float]]] = {}
    digests = set()
    with _cluster(options.workers) as client:
        ways: dict[str, dict[str, Any]] = {
            "1 thread": {"n_threads": 1},
            f"{options.workers} threads": {"n_threads": options.workers},
            "workers, shared memory": {"client": client},
            "workers, messages": {"client": client},
        }

        def run(way: str, stop_epoch: int) -> float:
            separate = "umapcore.cluster.backend._shared_memory"
            timings: dict[str, float] = {}
            with mock.patch(separate, return_value=None) if "messages" in way else _nothing():
                embedding = simplicial_set_embedding(
                    graph, spec, init="random", progress=False, timings=timings,
                    stop_epoch=stop_epoch, **ways[way],
                )  # fmt: skip
            if stop_epoch == options.epochs:
                digests.add(positions_digest(embedding))
            return timings["optimise"]

        for way in ways:
            run(way, FEW)  # compiles
        for _ in range(options.repeats):
            for way in ways:
                few, all_of_them = run(way, FEW), run(way, options.epochs)
                runs.setdefault(way, []).append({"seconds": all_of_them, "of_which_once": few})
                print(f"{way}: {all_of_them:.2f} s, {few:.2f} s once", flush=True)
    one = median(each["seconds"] for each in runs["1 thread"])
    rows = [
        (way, f"{median(each['seconds'] for each in found):.2f}",
         f"{median(each['of_which_once'] for each in found):.2f}",
         f"{one / median(each['seconds'] for each in found):.2f}")
        for way, found in runs.items()
    ]  # fmt: skip
    print(report.table(("on", "seconds", "once", "of one thread"), rows))
    content = {
        "n_vertices": options.vertices, "n_edges": int(graph.nnz), "epochs": options.epochs,
        "n_components": options.components, "workers": options.workers,
        "same_bits": len(digests) == 1, "load": report.load_average(), "runs": runs,
    }  # fmt: skip
    report.write_json(options.out, content)
    return 0 if len(digests) == 1 else 1


@contextmanager
def _cluster(n_workers: int) -> Iterator[Client]:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=n_workers, threads_per_worker=1, memory_limit=0, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.cluster.measure", description=__doc__)
    parser.add_argument("--vertices", type=int, default=VERTICES)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--components", type=int, default=2)
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--out", type=Path, default=report.RESULTS / "cluster.json")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
