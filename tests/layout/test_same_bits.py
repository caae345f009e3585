"""The same bits for any number of threads, processor and interruption."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import scipy.sparse as sp

from tests.support import graphs
from umapcore import OptimizerSpec, simplicial_set_embedding
from umapcore.graph.csr import prepare_graph

if TYPE_CHECKING:
    from collections.abc import Callable

    from umapcore.device.protocol import Backend

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("n_components", [2, 10])
def test_threads_of_the_start(n_components: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """40,000 vertices: levels are renumbered, and rows dealt to threads."""
    from umapcore.init.positions import start_positions

    monkeypatch.setattr("umapcore._kit.parallel.thread_count", lambda n: n or 1)
    sheet = graphs.random_weights(graphs.grid(200, 200))
    several = sp.block_diag([sheet, graphs.surface(300), graphs.star(5), graphs.path(2)])
    for graph in (sheet, several):
        ready = prepare_graph(graph)
        starts = [
            start_positions("spectral", ready, n_components=n_components, seed=3, n_threads=n)
            for n in (1, 2, 3, 8)
        ]
        for start in starts[1:]:
            np.testing.assert_array_equal(start.view(np.int32), starts[0].view(np.int32))


def layout(graph: sp.csr_array, spec: OptimizerSpec, **options: object) -> np.ndarray:
    start = graphs.random_start(graph.shape[0], spec.n_components)
    return simplicial_set_embedding(graph, spec, init=start, progress=False, **options)


@pytest.fixture
def no_small_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let test graphs take the parallel path, which they are too small for."""
    monkeypatch.setattr("umapcore_numba.backend.useful_workers", lambda plan, threads: threads)


@pytest.mark.usefixtures("no_small_graphs")
@pytest.mark.parametrize("two_arrays_bytes", [0, 1 << 20])
def test_threads(
    graph: sp.csr_array, n_components: int, two_arrays_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from umapcore.layout.plan import build_plan
    from umapcore_numba.layout.layout import NumbaLayout

    monkeypatch.setattr("umapcore_numba.layout.layout.TWO_ARRAYS_BYTES", two_arrays_bytes)
    spec = OptimizerSpec(n_components=n_components, n_epochs=30)
    plan = build_plan(graph, spec)
    start = graphs.random_start(graph.shape[0], n_components)
    results = []
    # More workers than the machine has threads do no harm; 16 share their pulls by atomics.
    for n_workers in (1, 2, 3, 8, 16):
        running = NumbaLayout(plan, start, spec, n_workers)
        for epoch in range(1, 30, 10):
            running.advance(epoch, min(30, epoch + 10))
        results.append(running.positions())
    assert not np.array_equal(results[0], start)
    for result in results[1:]:
        np.testing.assert_array_equal(result.view(np.int32), results[0].view(np.int32))


def test_workers_that_are_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any of them may come late or not at all, also the first, in any number of spans."""
    from umapcore.layout.plan import build_plan
    from umapcore_numba.layout import layout as layouts

    spec = OptimizerSpec(n_epochs=30)
    graph = graphs.surface(1200)
    plan, start = build_plan(graph, spec), graphs.random_start(1200, 2)
    alone = layouts.NumbaLayout(plan, start, spec, 1)
    alone.advance(1, 30)
    random = np.random.default_rng(0)
    together, came = layouts.together, set()

    def held_up(n: int, task: Callable[[int], None], stop: Callable[[], None]) -> None:
        delays = random.choice([0.0, 0.001, 0.004], n)

        def call(number: int) -> None:
            time.sleep(delays[number])
            came.add(number)
            task(number)

        together(n, call, stop)

    monkeypatch.setattr(layouts, "together", held_up)
    for n_workers in (2, 5, 12):
        running = layouts.NumbaLayout(plan, start, spec, n_workers)
        monkeypatch.setattr(running._tuner, "threads", lambda n=n_workers: n)
        for epoch in range(1, 30):
            running.advance(epoch, epoch + 1)
        np.testing.assert_array_equal(running.positions(), alone.positions())
    assert came == set(range(12))


@pytest.fixture
def on_each_backend(open_backend: Callable[[], Backend], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("umapcore.layout.embed.resolve_backend", lambda method, **_: open_backend())


@pytest.mark.usefixtures("on_each_backend")
@pytest.mark.parametrize("stop", [1, 2, 17, 59])
def test_stopped_and_continued(graph: sp.csr_array, n_components: int, stop: int) -> None:
    spec = OptimizerSpec(n_components=n_components, n_epochs=60)
    whole = layout(graph, spec)
    half = layout(graph, spec, stop_epoch=stop)
    assert not np.array_equal(half, whole)
    rest = simplicial_set_embedding(graph, spec, init=half, start_epoch=stop, progress=False)
    np.testing.assert_array_equal(rest.view(np.int32), whole.view(np.int32))


@pytest.mark.usefixtures("on_each_backend")
def test_callback_and_its_interval_do_not_matter(graph: sp.csr_array) -> None:
    spec = OptimizerSpec(n_epochs=60)
    whole = layout(graph, spec)
    for every in (1, 7, 100):
        seen: list[int] = []
        result = layout(
            graph,
            spec,
            callback=lambda epoch, _, seen=seen: seen.append(epoch),
            callback_every=every,
        )
        np.testing.assert_array_equal(result, whole)
        assert seen == [*range(every, 60, every), 60]


def test_order_of_entries_and_index_width_do_not_matter(graph: sp.csr_array) -> None:
    spec = OptimizerSpec(n_epochs=40)
    whole = layout(graph, spec)
    coo = graph.tocoo()
    shuffle = np.random.default_rng(0).permutation(coo.nnz)
    row, column = coo.row, coo.col
    shuffled = sp.coo_array((coo.data[shuffle], (row[shuffle], column[shuffle])), shape=coo.shape)
    np.testing.assert_array_equal(layout(shuffled, spec), whole)
    np.testing.assert_array_equal(layout(graph.astype(np.float64), spec), whole)


# --- other processes: processors ----------------------------------------------------------------

_SCRIPT = """
import hashlib, json, sys
sys.path[:0] = sys.argv[1:3]
import numpy as np
from tests.support import density_cases
from tests.support import graphs
import umapcore_numba.backend as backend
from umapcore import OptimizerSpec
from umapcore.layout.density import density_of
from umapcore.graph.csr import prepare_graph
from umapcore.layout.plan import build_plan

digests = {}
for dimensions in json.loads(sys.argv[3]):
    for name, graph in {
        "clusters": graphs.clusters(220), "surface": graphs.surface(260), "hub": graphs.hub(1300)
    }.items():
        spec = OptimizerSpec(n_components=dimensions, n_epochs=30)
        plan = build_plan(graph, spec)
        start = graphs.random_start(graph.shape[0], dimensions)
        for workers in json.loads(sys.argv[4]):
            running = backend.NumbaLayout(plan, start, spec, workers)
            running.advance(1, 30)
            digest = hashlib.sha256(running.positions().tobytes()).hexdigest()
            digests.setdefault(f"{name} {dimensions}-D", set()).add(digest)
# With densities.
several = 3 in json.loads(sys.argv[3])
for dimensions, name in ((2, "hub"), (2, "surface"), (3, "hub"))[: 3 if several else 2]:
    graph = prepare_graph(graphs.hub(1300) if name == "hub" else graphs.surface(260))
    spec = OptimizerSpec(
        n_components=dimensions, n_epochs=12, density_weight=2.0, density_fraction=0.8
    )
    density = density_of(graph, density_cases.of_graph(graph), spec)
    for workers in json.loads(sys.argv[4]):
        running = backend.NumbaLayout(
            build_plan(graph, spec), graphs.random_start(graph.shape[0], dimensions), spec,
            workers, density,
        )
        running.advance(1, 12)
        digest = hashlib.sha256(running.positions().tobytes()).hexdigest()
        digests.setdefault(f"densities of {name} {dimensions}-D", set()).add(digest)
# From the graph alone to the embedding: the start takes the paths of large graphs.
import umapcore._kit.parallel
from umapcore import simplicial_set_embedding
from umapcore.init import multilevel
backend.useful_workers = lambda plan, threads: threads
umapcore._kit.parallel._SERIAL_ROWS = 0
multilevel._OUT_OF_CACHE = 1000
sheet = graphs.random_weights(graphs.grid(150, 60))
whole = {
    "sheet": (sheet, 2),
    "tall sheet": (sheet, 10),
    "clusters": (graphs.clusters(220), 2),
} | ({"hub": (graphs.hub(1300), 3)} if several else {})
for name, (graph, dimensions) in whole.items():
    for workers in json.loads(sys.argv[4]):
        found = simplicial_set_embedding(
            graph, OptimizerSpec(n_components=dimensions, n_epochs=12),
            representation=np.arange(5 * graph.shape[0]).reshape(-1, 5) % 37,
            n_threads=workers, progress=False,
        )
        digest = hashlib.sha256(found.tobytes()).hexdigest()
        digests.setdefault(f"{name} from graph to embedding", set()).add(digest)
# The weights of neighbours.
from umapcore import fuzzy_simplicial_set
indices = (np.arange(5000)[:, None] + np.arange(20) ** 2) % 5000
distances = np.sqrt(np.arange(20) * (1.0 + indices[:, :1] % 7))
for workers in json.loads(sys.argv[4]):
    found = fuzzy_simplicial_set(indices, distances, n_threads=workers)
    digest = hashlib.sha256(found.data.tobytes() + found.indices.tobytes()).hexdigest()
    digests.setdefault("weights of neighbours", set()).add(digest)
# From coordinates to the embedding.
from umapcore.neighbors import partitions, trees
from umapcore.neighbors.search import nearest_neighbors
partitions.LEAF, partitions._POINTS_PER_TASK, trees.POINTS_PER_TASK = 100, 64, 128
points = np.random.default_rng(0).random((1300, 21)).astype(np.float32)
for metric, exact in (("euclidean", False), ("correlation", False), ("euclidean", True)):
    for workers in json.loads(sys.argv[4]):
        options = {"metric": metric, "exact": exact, "n_threads": workers}
        knn = nearest_neighbors(points, 18, accuracy=None if exact else 0.8, **options)
        found = knn.indices.tobytes() + knn.distances.tobytes()
        if metric == "euclidean":
            graph = fuzzy_simplicial_set(*knn, n_threads=workers)
            spec = OptimizerSpec(n_epochs=12)
            embedding = simplicial_set_embedding(graph, spec, n_threads=workers, progress=False)
            found += embedding.tobytes()
        digest = hashlib.sha256(found).hexdigest()
        digests.setdefault(f"from coordinates, {metric}, {exact}", set()).add(digest)
print(json.dumps({k: sorted(v) for k, v in digests.items()}))
"""


def in_process(
    dimensions: list[int], workers: list[int], environment: dict[str, str]
) -> dict[str, list[str]]:
    folders = [str(ROOT), str(ROOT / "backends")]
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *folders, json.dumps(dimensions), json.dumps(workers)],
        env={**os.environ, "NUMBA_NUM_THREADS": "8", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@cache
def expected() -> dict[str, list[str]]:
    """Digests of this processor's own kernels on one thread."""
    digests = in_process([2, 3, 10], [1], {})
    assert all(len(found) == 1 for found in digests.values())
    return digests


def test_threads_of_everything() -> None:
    assert in_process([2, 3, 10], [1, 2, 3, 8], {}) == expected()


SLOW = [
    pytest.param(name, [2, 3, 10], marks=pytest.mark.slow, id=f"{name}, all dimensions")
    for name in ("generic", "nehalem", "haswell")
]


@pytest.mark.parametrize(("processor", "dimensions"), [("generic", [2, 10]), *SLOW])
def test_processors(processor: str, dimensions: list[int]) -> None:
    """No bit depends on the vector width or on whether there is a fused multiply-add."""
    # Without features of its own accord, numba would add all those of the machine at hand.
    environment = {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""}
    found = in_process(dimensions, [1], environment)
    assert len(found) >= 9
    assert found.items() <= expected().items()
