"""When a graph is kept in files: the same bits; a refusal comes before any work."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata
import h5py
import numpy as np
import pytest
from scipy import sparse

import umapcore
from tests.support import anndatas, density_cases
from tests.support.graphs import clusters, grid, hub, random_weights, surface
from umapcore import OptimizerSpec, cli, settings, simplicial_set_embedding
from umapcore._kit.scratch import Scratch, scratch_of
from umapcore.errors import NotEnoughMemoryError
from umapcore.runs import storage
from umapcore.runs.job import Job, Run
from umapcore.runs.storage import Needs, _kind_of, needs_of, scratch_folder, storage_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SPEC = OptimizerSpec(n_epochs=15)
GB = 10**9


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Pretend that layouts need what a large graph needs, on a machine that is not large."""
    said = {"needs": Needs(3 * GB, GB, 4 * GB), "held": 0, "free": 8 * GB, "disk": 10 * GB}
    monkeypatch.setattr(storage, "needs_of", lambda *_, **__: said["needs"])
    monkeypatch.setattr(storage, "process_memory", lambda: said["held"])
    monkeypatch.setattr(storage, "available_memory", lambda: said["free"])
    monkeypatch.setattr(storage, "_kind_of", lambda _: "ext4")

    class Usage:
        @property
        def free(self) -> int:
            return said["disk"]

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage())
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(settings, "scratch_dir", str(folder))
    return said


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Collect the scratches of the plans that are made."""
    from umapcore_numba.backend import NumbaBackend

    found: list[Any] = []
    build = NumbaBackend.plan

    def plan(*args: Any, **options: Any) -> Any:
        made = build(*args, **options)
        found.append(scratch_of(made.tails))
        return made

    with monkeypatch.context() as patch:
        patch.setattr(NumbaBackend, "plan", plan)
        patch.setattr(storage, "_MOST_WINDOW", 4096)
        yield found


def embedding(graph: Any, **options: Any) -> NDArray[np.float32]:
    return simplicial_set_embedding(graph, SPEC, **options)


GRAPHS = {
    "surface": lambda: surface(2000),
    "clusters": lambda: clusters(2000),
    "grid": lambda: random_weights(grid(40, 50)),
    "hub": lambda: hub(1300, 3),
}


@pytest.mark.parametrize("init", ["spectral", "random"])
@pytest.mark.parametrize(("n_components", "density_weight"), [(2, 0.0), (3, 2.0)])
@pytest.mark.parametrize("name", GRAPHS)
def test_the_same_bits(
    name: str, n_components: int, density_weight: float, init: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = GRAPHS[name]()
    spec = SPEC.replace(n_components=n_components, density_weight=density_weight)
    options: dict[str, Any] = {"init": init}
    if density_weight:
        options["distances"] = density_cases.of_graph(graph)
    with watched(monkeypatch) as scratches:
        expected = simplicial_set_embedding(graph, spec, **options)
        found = simplicial_set_embedding(graph, spec, **options, memory_limit=2 * GB)
    assert scratches[0] is None
    assert isinstance(scratches[1], Scratch)
    np.testing.assert_array_equal(found.view(np.int32), expected.view(np.int32))


def test_the_setting_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "memory_limit", "2GB")
    with watched(monkeypatch) as scratches:
        embedding(surface())
        embedding(surface(), memory_limit="4GB")
    assert isinstance(scratches[0], Scratch)
    assert scratches[1] is None


def test_without_a_limit_the_system_decides(
    machine: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    machine["free"] = 2 * GB
    caplog.set_level(logging.INFO)
    with watched(monkeypatch) as scratches:
        embedding(surface())
    assert isinstance(scratches[0], Scratch)
    assert "graph is kept in files in" in caplog.text
    assert "the system has 2.0 GB" in caplog.text
    machine["free"] = None
    with watched(monkeypatch) as scratches:
        embedding(surface())
    assert scratches == [None]


def test_a_limit_beyond_what_the_system_has(machine: dict[str, Any]) -> None:
    machine["free"] = GB // 2
    assert storage_for(Job(graph=surface(), spec=SPEC), Run(memory_limit="1TB")) is None


def test_what_the_process_holds_counts(machine: dict[str, Any]) -> None:
    job = Job(graph=surface(), spec=SPEC)
    machine["held"] = GB
    assert storage_for(job, Run(memory_limit="4.1GB")) is None
    assert storage_for(job, Run(memory_limit="3.9GB")) is not None
    with pytest.raises(NotEnoughMemoryError, match=r"beside the 1.0 GB that the process holds"):
        storage_for(job, Run(memory_limit="1.9GB"))


@pytest.mark.parametrize("limit", [None, "0.9GB"])
def test_refusals_come_before_any_work(
    limit: str | None, machine: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine["free"] = 8 * GB if limit else 0.9 * GB
    monkeypatch.setattr("umapcore.layout.embed.prepare_graph", None)
    message = r"graph is too large .* may need 3.0 GB of memory, or 1.0 GB with files .* 900 MB"
    with pytest.raises(NotEnoughMemoryError, match=message):
        embedding(surface(), memory_limit=limit)
    adata = anndatas.with_neighbors(surface())
    before = anndatas.contents(adata)
    with pytest.raises(MemoryError, match=r"obsp\['connectivities'\] is too large"):
        umapcore.tl.umap(adata, memory_limit=limit)
    anndatas.assert_equal_contents(before, anndatas.contents(adata))


def test_a_disk_that_is_too_small(machine: dict[str, Any]) -> None:
    machine["disk"] = 3 * GB
    with pytest.raises(NotEnoughMemoryError, match=r"4.0 GB in .*scratch, where 3.0 GB are free"):
        embedding(surface(), memory_limit="2GB")


def test_folders_that_do_not_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(storage, "_kind_of", lambda _: "tmpfs")
    with pytest.raises(OSError, match=r"is in memory, not on a disk: set umapcore.settings"):
        scratch_folder()
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.setattr(settings, "scratch_dir", gone)
    gone.rmdir()
    with pytest.raises(OSError, match="does not exist or cannot be written to"):
        scratch_folder()


def test_kinds_of_file_systems(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/x / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/y /tmp/my\\040disk xfs rw 0 0\n"
    )
    kinds = {"/tmp/a": "tmpfs", "/tmpfs": "ext4", "/tmp/my disk/b": "xfs", "/": "ext4"}
    assert {name: _kind_of(Path(name), mounts) for name in kinds} == kinds
    assert _kind_of(Path("/"), tmp_path / "nowhere") == ""


def test_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(epoch: int, positions: object) -> None:
        raise KeyboardInterrupt

    with watched(monkeypatch) as scratches, pytest.raises(KeyboardInterrupt):
        embedding(surface(), memory_limit="2GB", callback=stop)
    folder = scratches[0].folder
    assert list(folder.iterdir()) == []


def test_densities_snapshots_and_checkpoints(tmp_path: Path) -> None:
    found = []
    for limit in (None, "2GB"):
        graph = surface(800)
        adata = anndatas.with_neighbors(graph)
        adata.obsp["distances"] = graph.tocsr() * 3
        adata.uns["neighbors"]["distances_key"] = "distances"
        umapcore.tl.umap(
            adata,
            maxiter=20,
            density_weight=1.0,
            snapshots=10,
            checkpoint=tmp_path / f"{limit}.ckpt",
            memory_limit=limit,
        )
        found.append(anndatas.contents(adata))
    anndatas.assert_equal_contents(*found)


@pytest.mark.parametrize("large", [0, 2**40])
def test_the_command(
    large: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whether the graph is read at once or stays on disk."""
    monkeypatch.setattr("umapcore.files.parts._LARGE", large)
    adata = anndatas.with_neighbors(surface(300))
    adata.write_h5ad(tmp_path / "in.h5ad")
    for name, more in {"memory": [], "disk": ["--memory-limit", "2GB"]}.items():
        options = [str(tmp_path / "in.h5ad"), "-o", str(tmp_path / f"{name}.h5ad"), "--maxiter=5"]
        with watched(monkeypatch) as scratches:
            assert cli.main(["embed", *options, *more]) == 0
        assert (scratches[0] is None) == (name == "memory")
    one, other = (anndata.read_h5ad(tmp_path / f"{name}.h5ad") for name in ("memory", "disk"))
    anndatas.assert_equal_contents(anndatas.contents(one), anndatas.contents(other))
    capsys.readouterr()
    options = [str(tmp_path / "in.h5ad"), "-o", str(tmp_path / "none.h5ad"), "--memory-limit"]
    assert cli.main(["embed", *options, "0.5GB"]) == 1
    assert "embed: error: .obsp['connectivities'] is too large" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["embed", *options, "much"])
    assert "--memory-limit='much' is not allowed" in capsys.readouterr().err
    assert not (tmp_path / "none.h5ad").exists()


def test_needs_grow_with_what_is_laid_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    graph = surface(2000)
    spec = OptimizerSpec(density_weight=1.0)

    def needs(job: Job, n_threads: int = 1, *, spectral: bool = True) -> Needs:
        found = needs_of(job, n_threads, spectral=spectral)
        assert found is not None
        return found

    plain = needs(Job(graph=graph))
    assert plain.memory > plain.least - 2**25
    assert needs(Job(graph=graph), spectral=False).memory < plain.memory
    assert needs(Job(graph=graph, spec=OptimizerSpec(n_components=10))).least > plain.least
    assert needs(Job(graph=graph, spec=OptimizerSpec(n_components=3)), 9).least >= plain.least
    dense = needs(Job(graph=graph, spec=spec, distances=graph))
    assert dense.memory > plain.memory
    assert dense.disk > plain.disk
    with h5py.File(tmp_path / "graph.h5", "w") as file:
        anndata.io.write_elem(file, "graph", sparse.csr_matrix(graph.astype(np.float64)))
        stored = Job(graph=anndata.io.sparse_dataset(file["graph"]))
        assert needs(stored).memory == plain.memory
        assert needs(stored, spectral=False).memory > needs(Job(graph=graph), spectral=False).memory
    assert needs_of(Job(graph=graph.toarray()), 1, spectral=True) is None
