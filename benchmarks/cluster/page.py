"""The part of the page of benchmarks about several workers."""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.report import table

if TYPE_CHECKING:
    from pathlib import Path

#: Directed edges of a vertex, epochs, buckets, dimensions, and threads of a worker in the estimate.
EDGES, EPOCHS, BUCKETS, DIMENSIONS, THREADS = 19, 200, 16, 2, 16
#: Nominal rates in one direction, in bytes a second.
NETWORKS = {"10 Gbit/s": 1.25e9, "100 Gbit/s": 12.5e9}
NVLINK = 450e9
#: Bytes a vertex: order, first walkers, heads, offsets of edges; positions, walked positions and
#: sums of pulls; pulls of up to 9 threads; what other workers have of positions and walked ones.
ARRAYS = (4 + 8 + 4 + 8) + 4 * DIMENSIONS * (3 + 9 + 2)
#: The same on a GPU, where the pulls of all threads are one array; walked positions of a bucket.
ARRAYS_OF_GPU = (4 + 8 + 4 + 8) + 4 * DIMENSIONS * (2 + 1 / BUCKETS)
SIZES, WORKERS, GPUS = (10**7, 10**8, 10**9), (1, 4, 16), (1, 2, 8)


def sections(results: Path) -> list[str]:
    """Write the sections for which there are figures."""
    measured, traffic = results / "cluster.json", results / "cluster_traffic.json"
    parts = []
    if measured.exists():
        parts.append(_measured(json.loads(measured.read_text(encoding="utf-8"))))
    if measured.exists() and traffic.exists():
        found = [json.loads(path.read_text(encoding="utf-8")) for path in (measured, traffic)]
        parts.append(_estimated(*found))
    return parts


def _measured(result: dict[str, Any]) -> str:
    one = median(each["seconds"] for each in result["runs"]["1 thread"])
    rows = []
    for way, runs in result["runs"].items():
        seconds = median(each["seconds"] for each in runs)
        times = ", ".join(f"{each['seconds']:.1f}" for each in runs)
        once = median(each["of_which_once"] for each in runs)
        rows.append((way, f"{seconds:.1f}", times, f"{once:.2f}", f"{one / seconds:.2f}"))
    header = ("epochs on", "median, s", "runs, s", "once, s", "times one thread's speed")
    return (
        "## One layout on several workers\n\n"
        f"The epochs of a generated graph of {result['n_vertices']:,} vertices and "
        f"{result['n_edges']:,} directed edges, {result['epochs']} epochs, on "
        f"{result['workers']} workers of a `LocalCluster` with one thread each, on "
        f"{result['machine']['processor']}, {result['machine']['cores']} cores. The ways take "
        "turns. *Once* is what does not depend on the number of epochs: above all sending the "
        "workers their edges. All ways gave the same bits. Messages go through one machine's "
        "loopback here, whose work is done by the same two cores. "
        "`python -m benchmarks.cluster.measure` repeats it.\n\n" + table(header, rows)
    )


def _estimated(measured: dict[str, Any], traffic: dict[str, Any]) -> str:
    n = measured["n_vertices"]
    one = median(each["seconds"] for each in measured["runs"]["1 thread"])
    per_vertex = one / (n * measured["epochs"])
    sent = {
        int(shards): found / traffic["n_vertices"]
        for shards, found in traffic["bytes_sent_by_a_shard_in_a_bucket"].items()
    }
    counted = ", ".join(f"{found:.2f} with {shards}" for shards, found in sent.items())
    rates = traffic["seconds_a_word"]
    workers = [
        _row_of_workers(size, count, per_vertex, sent) for size in SIZES for count in WORKERS
    ]
    gpus = [_row_of_gpus(size, count) for size in SIZES[1:] for count in GPUS]
    names = tuple(f"wire, {name}" for name in NETWORKS)
    return (
        "## What larger layouts on several workers would need\n\n"
        "None of this was run; it follows from rates that were measured. One thread takes "
        f"{per_vertex * 1e9:.0f} ns a vertex and epoch ({n:,} vertices; more where arrays are far "
        "larger than the caches). A worker sends, for each vertex of the graph and each bucket, so "
        f"many bytes with so many workers: {counted}; less than the 8 and 8 of all pulls and "
        "positions, since only what has changed is sent. Packing takes "
        f"{rates['pack'] * 1e9:.1f} ns a word, unpacking {rates['unpack'] * 1e9:.1f}, and sockets "
        f"carried {traffic['bytes_a_second_by_sockets'] / 1e9:.1f} GB/s in both directions at a "
        "time between two threads on these two cores (`python -m benchmarks.cluster.traffic`). "
        "The rates of networks below are nominal, those that one can buy.\n\n"
        f"Workers with {THREADS} threads, {EDGES} directed edges a vertex, {EPOCHS} epochs, "
        f"{DIMENSIONS} dimensions. *Epochs* is computing, if all threads scale; *wire* comes on "
        "top of it:\n\n"
        + table(("vertices", "workers", "GB each", "epochs", *names), workers)
        + "\n\nGPUs of one machine. They add up all pulls (NCCL's ring: twice 8 bytes a vertex, "
        f"less one part of as many as there are GPUs) at {NVLINK / 1e9:.0f} GB/s. Their computing "
        "is left out, since no GPU has been seen:\n\n"
        + table(("vertices", "GPUs", "GB each", "wire, NVLink"), gpus)
        + "\n\nA single GPU plans on the device, which takes 16 bytes an edge and 64 a vertex at "
        "its peak: 37 GB for 1e8 vertices, which one of 80 GB has."
    )


def _row_of_workers(
    size: int, count: int, per_vertex: float, sent: dict[int, float]
) -> tuple[str, ...]:
    memory = ARRAYS * size + 8 * EDGES * size / count
    epochs = per_vertex * size * EPOCHS / (count * THREADS)
    wire = sent.get(count, 0.0) * size * EPOCHS * BUCKETS
    return (
        f"{size:.0e}".replace("e+0", "e"), str(count), f"{memory / 1e9:.0f}", _duration(epochs),
        *(_duration(wire / rate) if count > 1 else "" for rate in NETWORKS.values()),
    )  # fmt: skip


def _row_of_gpus(size: int, count: int) -> tuple[str, ...]:
    memory = ARRAYS_OF_GPU * size + 8 * EDGES * size / count
    per_bucket = 4 * DIMENSIONS * (2 * (count - 1) / count + 1 / BUCKETS)
    wire = per_bucket * size * EPOCHS * BUCKETS / NVLINK
    return (
        f"{size:.0e}".replace("e+0", "e"), str(count), f"{memory / 1e9:.0f}",
        _duration(wire) if count > 1 else "",
    )  # fmt: skip


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
