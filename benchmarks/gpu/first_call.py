"""Time the first layout of a process: ``python -m benchmarks.gpu.first_call GRAPH.npz``.

:func:`in_fresh_processes` starts that command, first with an empty and then with a filled cache of
compiled kernels. :func:`compile_seconds` times NVRTC alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.generated import Generated

REPEATS = 3
COMMAND = (sys.executable, "-m", "benchmarks.gpu.first_call")
COMPILED = (("plan", 2), ("layout", 2), ("epochs", 2), ("spectral", 2), ("layout", 3))


def in_fresh_processes(bench: Generated, command: Sequence[str] = COMMAND) -> dict[str, Any]:
    """Run the command once without cached kernels, and several times with them."""
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.npz"
        # The graph is stored, so that the process need not compile its generator with numba.
        np.savez(
            path,
            data=bench.graph.data,
            indices=bench.graph.indices,
            indptr=bench.graph.indptr,
            start=bench.start,
        )
        environment = {
            **os.environ,
            "UMAPCORE_CACHE_DIR": str(Path(folder) / "cache"),
            "PYTHONPATH": os.pathsep.join(part or os.getcwd() for part in sys.path),
        }
        seconds = []
        for _ in range(1 + REPEATS):
            began = time.perf_counter()
            done = subprocess.run(
                [*command, str(path)], env=environment, capture_output=True, text=True, check=False
            )
            whole = time.perf_counter() - began
            if done.returncode != 0:
                raise RuntimeError(done.stderr)
            seconds.append({**json.loads(done.stdout.splitlines()[-1]), "whole_process": whole})
    return {
        "graph": bench.name,
        "n_vertices": bench.graph.shape[0],
        "empty_cache": seconds[0],
        "filled_cache": {
            stage: median(run[stage] for run in seconds[1:]) for stage in seconds[0]
        },
        "filled_cache_runs": seconds[1:],
    }  # fmt: skip


def first_layout(path: Path, open_backend: Callable[[], Any] | None = None) -> dict[str, float]:
    """Time the stages of the first layout of this process."""
    seconds: dict[str, float] = {}
    began = time.perf_counter()

    def finished(stage: str) -> None:
        nonlocal began
        now = time.perf_counter()
        seconds[stage] = now - began
        began = now

    import numpy as np
    from scipy import sparse

    from umapcore.layout.spec import OptimizerSpec
    from umapcore_cupy.backend import CupyBackend
    from umapcore_cupy.host.compile import import_cupy

    if open_backend is None:
        import_cupy()
    finished("imports")
    spec = OptimizerSpec(seed=0)
    with np.load(path) as stored:
        n = len(stored["indptr"]) - 1
        graph = sparse.csr_array(
            (stored["data"], stored["indices"], stored["indptr"]), shape=(n, n)
        )
        start = stored["start"]
    finished("reading")
    backend = CupyBackend() if open_backend is None else open_backend()
    try:
        backend.device.zeros(1, np.int32)
        backend.device.synchronize()
        finished("device")
        backend.device.compile("plan")
        backend.device.compile("epochs", spec.n_components)
        finished("compile")
        layout = backend.begin(backend.plan(graph, spec), start, spec)
        layout.advance(1, spec.epochs_for(n))
        layout.positions()
        finished("layout")
    finally:
        backend.close()
    return seconds


def compile_seconds(architecture: int) -> dict[str, Any]:
    """Time NVRTC several times on each program, and return the sizes of the cubins, too."""
    from umapcore_cupy.host import programs
    from umapcore_cupy.host.compile import compile_program

    found: dict[str, Any] = {}
    for name, dimensions in COMPILED:
        seconds, size = [], 0
        for _ in range(REPEATS):
            began = time.perf_counter()
            cubin = compile_program(
                programs.PROGRAMS[name], programs.defines(name, dimensions), architecture
            )
            seconds.append(time.perf_counter() - began)
            size = len(cubin)
        label = name if name in ("plan", "spectral") else f"{name}, {dimensions}-D"
        found[label] = {"median": median(seconds), "runs": seconds, "bytes": size}
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the seconds of the stages as JSON."""
    (path,) = sys.argv[1:] if arguments is None else arguments
    print(json.dumps(first_layout(Path(path))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
