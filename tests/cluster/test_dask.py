"""Layouts on the workers of a Dask cluster."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.support import anndatas, density_cases, graphs
from umapcore import Checkpoint, OptimizerSpec, simplicial_set_embedding, tl
from umapcore.cluster import backend, worker
from umapcore.errors import WorkerLostError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

distributed = pytest.importorskip("distributed")

WAYS = ("shared memory", "messages")
GRAPHS = {
    "surface": graphs.surface(2000),
    "clusters": graphs.clusters(600, 4),
    "grid": graphs.random_weights(graphs.grid(30, 40)),
    "hub": graphs.hub(1300, 3),
}


@contextmanager
def cluster(n_workers: int, *, processes: bool, n_threads: int = 1) -> Iterator[Any]:
    with (
        distributed.LocalCluster(
            n_workers=n_workers, threads_per_worker=n_threads, processes=processes,
            dashboard_address=":0", memory_limit=0,
        ) as made,
        distributed.Client(made) as client,
    ):  # fmt: skip
        yield client


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Three workers in threads of this process."""
    with cluster(3, processes=False, n_threads=2) as made:
        yield made


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "messages":
        monkeypatch.setattr(backend, "_shared_memory", lambda *_: None)
    elif not worker.machine():
        pytest.skip("processes of this system do not share memory without a name")
    return str(request.param)


def test_tl_umap(client: Any, way: str) -> None:
    """Everything that is stored is the same as on one thread."""
    alone, shared = anndatas.sheet(700), anndatas.sheet(700)
    tl.umap(alone, maxiter=20, snapshots=5, n_threads=1)
    timings: dict[str, float] = {}
    tl.umap(shared, maxiter=20, snapshots=5, client=client, timings=timings)
    for adata in (alone, shared):
        assert adata.obsm["X_umap"].flags.writeable
    np.testing.assert_array_equal(
        shared.obsm["X_umap"].view(np.int32), alone.obsm["X_umap"].view(np.int32)
    )
    for kept in ("epochs", "positions"):
        np.testing.assert_array_equal(
            shared.uns["umap"]["snapshots"][kept], alone.uns["umap"]["snapshots"][kept]
        )
    assert shared.uns["umap"]["provenance"] == alone.uns["umap"]["provenance"]
    assert timings["optimise"] > 0


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize(("n_components", "density_weight"), [(2, 2.0), (3, 0.0), (3, 2.0)])
def test_same_bits(
    client: Any, way: str, name: str, n_components: int, density_weight: float
) -> None:
    graph = GRAPHS[name]
    spec = OptimizerSpec(n_components=n_components, n_epochs=6, density_weight=density_weight)
    options: dict[str, Any] = {"init": "random", "progress": False}
    if density_weight:
        options["distances"] = density_cases.of_graph(graph)
    alone = simplicial_set_embedding(graph, spec, n_threads=1, **options)
    shared = simplicial_set_embedding(graph, spec, client=client, n_threads=1, **options)
    np.testing.assert_array_equal(shared.view(np.int32), alone.view(np.int32))


def test_runs_at_the_same_time_do_not_wait_for_each_other(client: Any) -> None:
    """There are more runs than threads on a worker."""
    from tests.support.shards import in_threads

    graph, spec = graphs.surface(500), OptimizerSpec(n_epochs=40)

    def run() -> np.ndarray:
        return simplicial_set_embedding(graph, spec, init="random", client=client, progress=False)

    found = in_threads([run] * 4)
    alone = simplicial_set_embedding(graph, spec, init="random", progress=False)
    for each in found:
        np.testing.assert_array_equal(each, alone)


def test_an_interrupt_ends_the_run_everywhere(client: Any, way: str) -> None:
    adata = anndatas.sheet(300)

    def interrupt(epoch: int, positions: np.ndarray) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tl.umap(adata, maxiter=20, callback=interrupt, callback_every=5, client=client)
    assert "X_umap" not in adata.obsm
    tl.umap(adata, maxiter=20, client=client)


def test_an_error_on_a_worker_is_raised(
    client: Any, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first shard has no memory; the others wait for it."""
    from umapcore_numba.layout.shard import NumbaShard

    advance = NumbaShard._advance

    def fail(shard: Any, *span: Any) -> None:
        if shard._communicator.number == 0:
            msg = "no memory"
            raise MemoryError(msg)
        advance(shard, *span)

    monkeypatch.setattr(NumbaShard, "_advance", fail)
    with pytest.raises(MemoryError, match="no memory"):
        simplicial_set_embedding(graphs.surface(300), client=client, progress=False)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_a_worker_that_is_killed(way: str, tmp_path: Path) -> None:
    """The run ends with an error, and goes on from its checkpoint on fewer workers, or on none."""
    adata, wanted = anndatas.sheet(700), anndatas.sheet(700)
    tl.umap(wanted, maxiter=60)
    path = tmp_path / "run.ckpt"
    with cluster(3, processes=True) as client:
        processes = list(client.run(os.getpid).values())

        def kill(epoch: int, positions: np.ndarray) -> None:
            if epoch == 20:
                time.sleep(1.0)  # so that it is time to save the run again
            if epoch == 30:
                os.kill(processes[1], signal.SIGKILL)

        checkpoint = Checkpoint(path, every=0.0)
        with pytest.raises(WorkerLostError, match="With `checkpoint`, the same call goes on"):
            tl.umap(
                adata, maxiter=60, callback=kill, callback_every=10, client=client,
                checkpoint=checkpoint,
            )  # fmt: skip
        assert "X_umap" not in adata.obsm
        assert path.exists()
        epochs = []
        tl.umap(
            adata, maxiter=60, callback=lambda epoch, _: epochs.append(epoch), callback_every=10,
            client=client if way == "shared memory" else None, checkpoint=checkpoint,
        )  # fmt: skip
    assert epochs[0] >= 20
    np.testing.assert_array_equal(
        adata.obsm["X_umap"].view(np.int32), wanted.obsm["X_umap"].view(np.int32)
    )


# --- bad input ------------------------------------------------------------------------------------


def test_what_is_no_client() -> None:
    adata = anndatas.sheet(60)
    for wrong in ("tcp://127.0.0.1:8786", 3, object()):
        with pytest.raises(TypeError, match=r"^client=.*must be a distributed.Client"):
            tl.umap(adata, client=wrong)


def test_a_client_that_is_closed(client: Any) -> None:
    other = distributed.Client(client.scheduler.address)
    other.close()
    with pytest.raises(ValueError, match=r"^client=.*and connected"):
        tl.umap(anndatas.sheet(60), client=other)


def test_workers_use_their_cpus(client: Any) -> None:
    with pytest.raises(ValueError, match=r"^method='rapids' is not allowed: method must be 'umap'"):
        tl.umap(anndatas.sheet(60), method="rapids", client=client)


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be done: the graph would be the first thing to look at."""
    monkeypatch.setattr("umapcore.layout.embed.prepare_graph", None)


@pytest.mark.usefixtures("no_work")
def test_no_workers() -> None:
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as made,
        distributed.Client(made) as client,
        pytest.raises(ValueError, match=r"^client=.*has no workers"),
    ):
        tl.umap(anndatas.sheet(60), client=client)


@pytest.mark.usefixtures("no_work")
def test_another_version_on_the_workers(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "__version__", "0.0.1")
    with pytest.raises(RuntimeError, match="all must have the same version"):
        tl.umap(anndatas.sheet(60), client=client)


@pytest.mark.usefixtures("no_work")
def test_workers_without_umapcore(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        msg = "No module named 'umapcore'"
        raise ModuleNotFoundError(msg)

    monkeypatch.setattr(worker, "place_of_worker", missing)
    with pytest.raises(RuntimeError, match=r"cannot import umapcore .*No module named"):
        tl.umap(anndatas.sheet(60), client=client)
