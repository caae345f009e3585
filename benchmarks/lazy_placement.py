"""New cells without end: ``python -m benchmarks.lazy_placement``.

A reference of generated cells is laid out in this process. The workers of a local cluster generate
new cells block by block, ``umapcore.tl.ingest`` places them, and their positions are written to
zarr. No process ever holds the coordinates of all cells; how much memory each used is measured.
Some blocks are then placed in memory, in this process: the bits must be equal.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

import umapcore as uc
from benchmarks import report
from benchmarks.resident import resident_bytes
from umapcore.runs.digest import positions_digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEY = "X_generated"
N_KINDS = 40
#: Blocks that are placed in memory too.
N_COMPARED = 5


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark, and return 0 if the bits are equal and no worker was restarted, else 1."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        found = run(options, Path(folder, "placed.zarr"))
    report.write_json(options.out, found)
    print(report.rounded(found))
    return 0 if found["equal"] and not found["workers_restarted"] else 1


def run(options: argparse.Namespace, store: Path) -> dict[str, Any]:
    """Place all cells, compare some of them, and return what was measured."""
    import cloudpickle
    import dask
    import dask.array as da
    import distributed
    import zarr

    n, d, rows = options.cells, options.dimensions, options.rows
    lengths = [min(rows, n - first) for first in range(0, n, rows)]

    def generate(block_id: tuple[int, int]) -> NDArray[np.float32]:
        return cells(lengths[block_id[0]], d, 1 + block_id[0])

    adata_ref = _objects(options.reference)
    adata_ref.obsm[KEY] = cells(options.reference, d, 0)
    uc.pp.neighbors(adata_ref, use_rep=KEY)
    uc.tl.umap(adata_ref, progress=False)
    _placed(cells(10, d, 0), adata_ref)  # compiles
    new = _objects(n)
    new.obsm[KEY] = da.map_blocks(
        generate, chunks=(tuple(lengths), (d,)), dtype=np.float32, meta=np.empty((0, 0), np.float32)
    )
    before = resident_bytes("VmRSS", reset_peak=True)
    began = time.perf_counter()
    uc.tl.ingest(new, adata_ref, use_rep=KEY)
    call = time.perf_counter() - began
    placed = new.obsm["X_umap"]
    local = {"processes": options.processes, "memory_limit": options.memory}
    with (
        distributed.LocalCluster(
            n_workers=options.workers, threads_per_worker=1, dashboard_address=":0", **local
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        processes = client.run(os.getpid)
        idle = client.run(resident_bytes, "VmRSS", reset_peak=True)
        began = time.perf_counter()
        placed.to_zarr(str(store))
        seconds = time.perf_counter() - began
        peaks = client.run(resident_bytes, "VmHWM")
        restarted = client.run(os.getpid) != processes
    of_client = resident_bytes("VmHWM")
    written, compared = zarr.open_array(str(store), mode="r"), []
    for block in np.unique(np.linspace(0, len(lengths) - 1, N_COMPARED).astype(int)):
        positions = _placed(cells(lengths[block], d, 1 + int(block)), adata_ref)
        theirs = written[block * rows : block * rows + lengths[block]]
        digests = [positions_digest(each) for each in (theirs, positions)]
        compared.append({"block": int(block), "by_blocks": digests[0], "in_memory": digests[1]})
    return {
        "n_new": n,
        "n_reference": options.reference,
        "n_dimensions": d,
        "n_neighbors": new.uns["umap"]["placement"]["n_neighbors"],
        "rows_per_block": rows,
        "n_workers": options.workers,
        "threads_per_worker": 1,
        **local,
        "call_seconds": call,
        "seconds": seconds,
        "cells_per_second": n / seconds,
        "coordinates_bytes": 4 * n * d,
        "graph_bytes": len(cloudpickle.dumps(dict(dask.optimize(placed)[0].__dask_graph__()))),
        "worker_bytes": {"idle": sorted(idle.values()), "most": sorted(peaks.values())},
        "client_bytes": {"before": before, "most": of_client},
        "workers_restarted": restarted,
        "compared": compared,
        "equal": all(part["by_blocks"] == part["in_memory"] for part in compared),
    }


def cells(n: int, n_dimensions: int, seed: int) -> NDArray[np.float32]:
    """Generate cells of several kinds, whose spread falls from one dimension to the next."""
    centres = np.random.default_rng(0).standard_normal((N_KINDS, n_dimensions), np.float32)
    rng = np.random.default_rng([1, seed])
    points = rng.standard_normal((n, n_dimensions), np.float32)
    points += 6 * centres[rng.integers(0, N_KINDS, n)]
    points *= np.arange(1, n_dimensions + 1, dtype=np.float32) ** np.float32(-0.5)
    return points


def _objects(n: int) -> AnnData:
    return AnnData(obs=pd.DataFrame(index=pd.RangeIndex(n).astype(str)))


def _placed(points: NDArray[np.float32], adata_ref: AnnData) -> NDArray[np.float32]:
    """Place cells in memory."""
    new = _objects(len(points))
    new.obsm[KEY] = points
    uc.tl.ingest(new, adata_ref, use_rep=KEY, progress=False)
    return np.asarray(new.obsm["X_umap"])


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.lazy_placement", description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000_000, help="number of new cells")
    parser.add_argument("--reference", type=int, default=20_000, help="cells of the reference")
    parser.add_argument("--dimensions", type=int, default=50)
    parser.add_argument("--rows", type=int, default=100_000, help="cells of a block")
    parser.add_argument("--workers", type=int, default=2, help="of one thread each")
    parser.add_argument("--memory", default="1.5GB", help="memory limit of a worker")
    parser.add_argument(
        "--one-process", dest="processes", action="store_false",
        help="workers are threads of this process",
    )  # fmt: skip
    parser.add_argument("--scratch", type=Path, help="folder for the positions")
    parser.add_argument("--out", type=Path, default=report.RESULTS / "lazy_placement.json")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
