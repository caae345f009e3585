"""``import umapcore`` costs next to nothing: the heavy packages come when they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("numba", "llvmlite", "anndata", "scipy", "cupy", "matplotlib", "pandas", "h5py", "tqdm")


def _loaded(code: str) -> set[str]:
    code += "\nimport sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import umapcore",
        "import umapcore; umapcore.settings.n_threads = 1; dir(umapcore)",
        "import umapcore.cli\ntry: umapcore.cli.main(['--help'])\nexcept SystemExit: pass",
    ],
    ids=["import", "settings", "cli --help"],
)
def test_light(code: str) -> None:
    assert not _loaded(code) & {*HEAVY, "numpy"}


def test_specification_needs_no_kernels() -> None:
    loaded = _loaded("import umapcore; umapcore.OptimizerSpec(min_dist=0.1)")
    assert not loaded & {"numba", "anndata", "cupy", "matplotlib"}


def test_plots_module_loads_without_matplotlib() -> None:
    assert "matplotlib" not in _loaded("import umapcore; umapcore.pl")


def test_every_public_name_can_be_had() -> None:
    import umapcore

    for name in umapcore.__all__:
        assert getattr(umapcore, name) is not None
    assert set(umapcore.__all__) <= set(dir(umapcore))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = umapcore.no_such_name


#: Packages that none of the calls below needs.
UNUSED = (
    "pynndescent", "sklearn", "scanpy", "umap", "matplotlib", "seaborn", "cupy", "dask", "zarr",
    "tqdm", "igraph",
)  # fmt: skip
#: Stand-ins: any import of these fails, and the first line of the error says what was imported.
STAND_INS = """
import sys
class Refusing:
    def find_spec(self, name, path=None, target=None):
        from importlib.machinery import ModuleSpec
        if name in {unused!r}:
            return ModuleSpec(name, self)  # it is installed
    def create_module(self, spec):
        raise SystemExit(spec.name + " was imported for " + task)
"""
CALLS = """
import logging
import numpy as np, anndata as ad, umapcore as uc
from umapcore import accel, info, pl
for name in [name for name in sys.modules if name.partition(".")[0] in {unused!r}]:
    del sys.modules[name]  # anndata imports some of them
sys.meta_path.insert(0, Refusing())
lines = []
handler = logging.Handler()
handler.emit = lambda record: lines.append(record.name)
logging.root.addHandler(handler)
logging.root.setLevel(logging.DEBUG)
points = np.random.default_rng(0).normal(size=(90, 5)).astype(np.float32)
adata, new = ad.AnnData(points[:60]), ad.AnnData(points[60:])
for task, call in [
    ("neighbors", lambda: uc.pp.neighbors(adata, n_neighbors=5)),
    ("another metric", lambda: uc.pp.neighbors(adata, metric="cityblock", key_added="other")),
    ("umap", lambda: uc.tl.umap(adata, maxiter=5, progress=False)),
    ("ingest", lambda: uc.tl.ingest(new, adata, embedding_method="umap", progress=False)),
    ("place", lambda: uc.place(adata.obsm["X_umap"], [[0, 1]], [[1.0, 2.0]], progress=False)),
    ("verify", lambda: uc.verify(adata, from_coordinates=True, progress=False)),
    ("transformer", lambda: uc.KNeighborsTransformer(5).fit(points).transform(points[:2])),
    ("accel", lambda: (accel.install(), accel.uninstall())),
    ("info", info.collect),
]:
    call()
    assert len(lines) < 100, (task, len(lines), set(lines))
"""


def test_calls_import_and_log_only_what_they_need() -> None:
    _loaded((STAND_INS + CALLS).format(unused=UNUSED))
