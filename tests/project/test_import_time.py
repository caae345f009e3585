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
