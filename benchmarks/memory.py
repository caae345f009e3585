"""Measure memory and time of layouts of graphs that are in memory and on disk.

``python -m benchmarks.memory VERTICES`` writes a file with a generated graph, lays it out without a
limit and with each ``--limit`` (``third``: of what is needed beside what the process holds), in
turns, and prints JSON. Each run is a process of its own. Its peak is that of its anonymous memory,
read from ``/proc`` fifty times a second: maps of files that the system can drop are not part of it.
``--tangled N`` adds up N graphs whose vertices have nothing to do with each other: such a graph
hardly becomes smaller where it is coarsened.
``benchmarks/results/memory.json`` has 4,000,000 vertices with ``--limit 1070MB --epochs 50 --turns
3``, and 10,000,000 without a limit and with 6 and 2.4 GB; estimates are those of that time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import report

_SECONDS = 0.02


def write_file(path: Path, n: int, tangled: int = 1) -> int:
    """Write an .h5ad file with a generated graph, compressed, and return its number of edges."""
    import anndata
    import h5py
    import pandas as pd

    from benchmarks.generated import generated

    graph: Any = generated(n).graph
    for seed in range(1, tangled):
        graph = graph + generated(n, seed=seed).graph
    names = pd.RangeIndex(n).astype(str)
    cells = anndata.AnnData(obs=pd.DataFrame(index=names))
    cells.uns["neighbors"] = {
        "connectivities_key": "connectivities",
        "distances_key": "connectivities",  # any lengths do
        "params": {"method": "umap", "n_neighbors": 15},
    }
    options = {"compression": "gzip", "compression_opts": 1, "chunks": (2**18,)}
    with h5py.File(path, "w") as file:
        anndata.io.write_elem(file, "/", cells)
        anndata.io.write_elem(file, "obsp/connectivities", graph, dataset_kwargs=options)
    return int(graph.nnz)


def measure(path: Path, limit: str | None, parameters: dict[str, Any]) -> dict[str, Any]:
    """Lay out the graph of a file in a process, and return its peaks and seconds."""
    command = [sys.executable, "-m", "benchmarks.memory", "--child", str(path)]
    command += [json.dumps(parameters | {"memory_limit": limit})]
    began, peaks = time.perf_counter(), {"RssAnon": 0, "RssFile": 0}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        status = Path(f"/proc/{child.pid}/status")
        while child.poll() is None:
            try:
                lines = status.read_text(encoding="utf-8").splitlines()
            except OSError:
                break
            for line in lines:
                name, _, value = line.partition(":")
                if name in peaks:
                    peaks[name] = max(peaks[name], 1024 * int(value.split()[0]))
            time.sleep(_SECONDS)
        assert child.stdout is not None
        said = child.stdout.read().splitlines()
    return {
        "limit": limit,
        "seconds": time.perf_counter() - began,
        "peak_bytes": peaks["RssAnon"],
        "peak_mapped_bytes": peaks["RssFile"],
    } | (json.loads(said[-1]) if child.returncode == 0 else {"exit_code": child.returncode})


def _child(path: Path, parameters: dict[str, Any]) -> None:
    import umapcore
    from umapcore._kit.memory import give_back, process_memory
    from umapcore._kit.threads import thread_count
    from umapcore.files.anndata_files import open_file
    from umapcore.layout.spec import OptimizerSpec
    from umapcore.runs.job import Job
    from umapcore.runs.storage import needs_of
    from umapcore.settings import memory_size

    with open_file(path, graphs_on_disk=True) as adata:
        timings: dict[str, float] = {}
        give_back()
        held = process_memory()
        graph = adata.obsp["connectivities"]
        spec = OptimizerSpec(
            n_components=parameters.get("n_components", 2),
            density_weight=parameters.get("density_weight", 0.0),
        )
        needs = needs_of(
            Job(graph=graph, spec=spec, distances=graph),
            thread_count(None),
            spectral=parameters.get("init_pos") != "random",
        )
        assert needs is not None
        # What the process holds is not part of these limits.
        shares = {"least": needs.least + 2 * 10**7, "third": needs.memory // 3}
        if parameters["memory_limit"] in shares:
            parameters["memory_limit"] = held + shares[parameters["memory_limit"]]
        try:
            umapcore.tl.umap(adata, timings=timings, **parameters)
        except umapcore.errors.NotEnoughMemoryError as error:
            print(json.dumps({"refused": str(error)}))
            return
        said = {
            "limit_bytes": memory_size("limit", parameters["memory_limit"]),
            "stages": timings,
            "held_bytes": held,
            "estimated_bytes": held + needs.memory,
            "estimated_least_bytes": held + needs.least,
            "embedding": adata.uns["umap"]["provenance"]["embedding"]["digest"],
        }
    print(json.dumps(said))


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Measure a graph without a limit and with limits, in turns."""
    parameters = {"maxiter": options.epochs} | json.loads(options.parameters)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = options.file or Path(folder, "graph.h5ad")
        n_edges = None if options.file else write_file(path, options.vertices, options.tangled)
        limits = [None, *options.limit] if options.unlimited else options.limit
        runs: list[dict[str, Any]] = []
        for _ in range(options.turns):
            for limit in limits:
                runs.append(measure(path, limit, parameters))
                print(report.rounded(runs[-1]), file=sys.stderr, flush=True)
    found = {run.get("embedding") for run in runs if "embedding" in run}
    return {
        "vertices": options.vertices,
        "edges": n_edges,
        "tangled": options.tangled,
        "parameters": parameters,
        "same_bits": len(found) == 1,
        "runs": runs,
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child(Path(sys.argv[2]), json.loads(sys.argv[3]))
        sys.exit()
    parser = argparse.ArgumentParser(prog="benchmarks.memory", description=__doc__)
    parser.add_argument("vertices", type=int)
    parser.add_argument("--tangled", type=int, default=1, metavar="N")
    parser.add_argument("--limit", action="append", default=[], metavar="SIZE")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--parameters", default="{}", metavar="JSON", help="more, for tl.umap")
    parser.add_argument("--folder", type=Path, help="folder of the file, if it is to be made")
    parser.add_argument("--file", type=Path, help="a file that has been made")
    parser.add_argument("--no-unlimited", dest="unlimited", action="store_false")
    parser.add_argument("--add", type=Path, metavar="JSON", help="add the result to this file")
    options = parser.parse_args()
    result = compare(options)
    print(json.dumps(result))
    if options.add:
        before = json.loads(options.add.read_text("utf-8")) if options.add.exists() else []
        options.add.write_text(json.dumps([*before, result], indent=1) + "\n", "utf-8")
