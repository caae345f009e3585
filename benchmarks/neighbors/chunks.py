"""``pp.neighbors`` on a dask array in a zarr store, and on the same coordinates in memory.

``python -m benchmarks.neighbors.chunks`` writes generated points to a store, then runs the two in
turn, each in a process of its own whose kernels are loaded before. Memory is *anonymous*: what the
system cannot put back into a file. It is sampled, from before the store is opened; what reading the
coordinates into memory has left is told apart. So are pages of scratch files, which the system
drops where it needs the memory.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.neighbors import measure
from benchmarks.neighbors import points as data_sets
from benchmarks.resident import resident_bytes

#: Where the coordinates are: in memory, or in chunks of the store.
KINDS = ("memory", "chunks")
#: The array in the store, and in `obsm`.
NAME = "X_pca"
#: Rows of a chunk of the store, and points that are generated at a time.
CHUNK, _GENERATED = 50_000, 1_000_000
_FEW = 2000
#: Seconds between two looks at the memory.
_LOOK = 0.02
FIELDS = {"anonymous_bytes": "RssAnon", "file_bytes": "RssFile"}
BYTES = (*FIELDS, "read_bytes", "result_bytes")


def main(arguments: list[str] | None = None) -> int:
    """Measure both kinds and write the results; return 1 if their bits differ."""
    options = _options(arguments)
    if options.kind:
        options.out.write_text(json.dumps(run(options.kind, options.store, options.threads[0])))
        return 0
    cases = [_case(int(size), options) for size in options.sizes]
    measure.write_cases(options.out, cases, add=options.add)
    print(table(cases))
    return 0 if all(case["same_bits"] for case in cases) else 1


def _case(n: int, options: argparse.Namespace) -> dict[str, Any]:
    threads = options.threads[0]
    case = {
        **measure.described(f"{data_sets.GENERATED}{n}", np.empty((n, 50), "V0"), None),
        "load_average_before": report.load_average(),
        "threads": threads,
        "repeats": options.repeats,
    }
    runs: dict[str, list[dict[str, Any]]] = {kind: [] for kind in options.kinds}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        store, out = Path(folder, "points.zarr"), Path(folder, "run.json")
        write(store, n)
        for _ in range(options.repeats):
            for kind in options.kinds:
                measure.in_process(
                    "benchmarks.neighbors.chunks", "--kind", kind, "--store", store,
                    "--threads", threads, "--out", out, threads=threads,
                )  # fmt: skip
                runs[kind].append(json.loads(out.read_text()))
                print(f"{n:,} points: {kind}: {runs[kind][-1]}", flush=True)
    case["kinds"] = {
        kind: {
            "seconds": [one["seconds"] for one in found],
            "processor_seconds": [one["processor_seconds"] for one in found],
            **{name: max(one[name] for one in found) for name in BYTES},
            "recall": found[0]["recall"],
        }
        for kind, found in runs.items()
    }
    digests = {one["digest"] for found in runs.values() for one in found}
    return {**case, "same_bits": len(digests) == 1}


def write(store: Path, n: int) -> None:
    """Write generated points to a store."""
    import zarr

    array: Any = zarr.open_array(
        str(store / NAME), mode="w", shape=(n, 50), chunks=(CHUNK, 50), dtype="float32"
    )
    few = min(n, _GENERATED)
    for number, first in enumerate(range(0, n, few)):
        part = data_sets.generated(min(few, n - first))
        # Other points each time, in the same clusters: no two coincide.
        noise = np.random.default_rng(number).normal(scale=0.1, size=part.shape)
        array[first : first + few] = part + noise.astype(np.float32)


def run(kind: str, store: Path, threads: int) -> dict[str, Any]:
    """Find the neighbours of a store's points; return seconds, peaks of memory and a digest."""
    import anndata
    import zarr
    from dask import array as da

    from umapcore import pp

    few = data_sets.generated(_FEW)
    for exact in (True, False):
        adata = anndata.AnnData(shape=(_FEW, 0), obsm={NAME: few})
        pp.neighbors(adata, use_rep=NAME, exact=exact, n_threads=threads)
    peaks = dict.fromkeys(FIELDS, 0.0)
    before = {name: resident_bytes(field) for name, field in FIELDS.items()}
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_LOOK):
            for name, field in FIELDS.items():
                peaks[name] = max(peaks[name], resident_bytes(field) - before[name])

    looking = threading.Thread(target=look)
    looking.start()
    began, used = time.perf_counter(), time.process_time()
    stored: Any = zarr.open_array(str(store / NAME), mode="r")
    x = stored[...] if kind == "memory" else da.from_zarr(stored)
    adata = anndata.AnnData(shape=(x.shape[0], 0), obsm={NAME: x})
    bytes_read = resident_bytes("RssAnon") - before["anonymous_bytes"]
    pp.neighbors(adata, use_rep=NAME, n_threads=threads)
    seconds, used = time.perf_counter() - began, time.process_time() - used
    ended.set()
    looking.join()
    digest, size = hashlib.sha256(), 0
    for name in ("distances", "connectivities"):
        for part in ("indptr", "indices", "data"):
            array = getattr(adata.obsp[name], part)
            digest.update(array.data)
            size += array.nbytes
    search = adata.uns["neighbors"]["params"]["search"]
    digest.update(json.dumps(search, sort_keys=True).encode())
    return {
        "seconds": seconds, "processor_seconds": used, **peaks, "read_bytes": bytes_read,
        "result_bytes": size, "recall": search.get("recall"), "digest": digest.hexdigest()[:16],
    }  # fmt: skip


def table(cases: list[dict[str, Any]]) -> str:
    """Return a row for every size and kind."""
    rows = [
        [
            f"{case['n_points']:,}", kind, f"{median(one['seconds']):.1f}",
            measure.spread(one["seconds"]), f"{median(one['processor_seconds']):.1f}",
            *(f"{one[name] / 1e6:.0f}" for name in BYTES),
        ]
        for case in cases
        for kind, one in case["kinds"].items()
    ]  # fmt: skip
    header = (
        "points", "coordinates in", "median, s", "spread, s", "processor, s", "anonymous, MB",
        "pages of files, MB", "after reading, MB", "results, MB",
    )  # fmt: skip
    return report.table(header, rows)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    made = argparse.ArgumentParser(
        prog="benchmarks.neighbors.chunks", description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )  # fmt: skip
    made.add_argument("--sizes", type=measure.listed(float), default=[1e6])
    made.add_argument("--threads", type=measure.listed(int), default=[os.cpu_count() or 1])
    made.add_argument("--repeats", type=int, default=measure.REPEATS)
    made.add_argument("--kinds", type=measure.listed(str), default=list(KINDS))
    made.add_argument("--folder", type=Path, help="for the store; also where scratch files are")
    made.add_argument("--add", action="store_true", help="keep the results of other sizes")
    made.add_argument("--out", type=Path, default=report.RESULTS / "neighbors_chunks.json")
    made.add_argument("--kind", help=argparse.SUPPRESS)
    made.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    return made.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
