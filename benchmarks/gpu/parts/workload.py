"""Run a small workload for a profiler: ``python -m benchmarks.gpu.parts.workload VERTICES``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from benchmarks.generated import generated
from benchmarks.gpu.parts import neighbours
from umapcore import OptimizerSpec
from umapcore.init.spectral import spectral_layout
from umapcore_cupy.backend import CupyBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main(
    arguments: Sequence[str] | None = None,
    open_backend: Callable[[], CupyBackend] = CupyBackend,
) -> int:
    """Lay out a generated graph for a few epochs; before that, search for neighbours if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vertices", type=int)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--start", action="store_true", help="compute the spectral start first")
    parser.add_argument(
        "--neighbours", type=int, default=0, help="also search for those of so many points"
    )
    options = parser.parse_args(arguments)
    bench, spec = generated(options.vertices), OptimizerSpec(seed=0, n_epochs=200)
    backend = open_backend()
    try:
        for kind in neighbours.TIMED if options.neighbours else ():
            neighbours.search(backend, neighbours.some_points(options.neighbours), kind)
        if options.start:
            with backend.spectral_ops() as ops:
                spectral_layout(bench.graph, 2, seed=0, ops=ops)
        layout = backend.begin(backend.plan(bench.graph, spec), bench.start, spec)
        layout.advance(1, 1 + options.epochs)
        print(f"{options.epochs} epochs of {bench.name}: {layout.positions().mean():.4f}")
    finally:
        backend.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
