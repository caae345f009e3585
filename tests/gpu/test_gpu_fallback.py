"""Without a usable GPU the CPU does the work, as a new user meets it: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

needs_cupy = pytest.mark.skipif(
    find_spec("cupy") is None, reason="CuPy is not installed: pip install umapcore[test]"
)

# What a new user would type. `report` holds one line for each warning or error of `run`.
USER = """
import sys, warnings
{before}
import numpy as np
from anndata import AnnData
from scipy import sparse
import umapcore

ring = np.arange(60)
graph = sparse.coo_array((np.ones(60, np.float32), (ring, (ring + 1) % 60)), shape=(60, 60)).tocsr()
adata = AnnData(np.zeros((60, 1), np.float32))
adata.obsp["connectivities"] = graph + graph.T
adata.uns["neighbors"] = {{"connectivities_key": "connectivities"}}

def run(method):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            umapcore.tl.umap(adata, method=method, maxiter=20)
            bits = adata.obsm.pop("X_umap").tobytes()
        except Exception as error:
            return type(error).__name__, str(error), None
    return [w.category.__name__ for w in caught], " ".join(str(w.message) for w in caught), bits

kinds, text, bits = run("umap")
assert not kinds, (kinds, text)
for method in ("rapids", "auto"):
    kinds, text, again = run(method)
    print(method, "|", kinds, "|", text, "|", None if again is None else again == bits)
"""


def _as_a_user(before: str = "", **environment: str) -> dict[str, list[str]]:
    """Run it in a process of its own: what each method warned of and whether its bits are right."""
    code = USER.format(before=before)
    variables = {k: v for k, v in os.environ.items() if k != "UMAPCORE_GPU_FALLBACK"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=variables | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    said = [line.split(" | ") for line in done.stdout.splitlines()]
    return {method: rest for method, *rest in said}


NO_DRIVER = "from umapcore_cupy.host import driver; driver._library = lambda: None"
NO_CUPY = "sys.modules['cupy'] = None"


class TestAsANewUser:
    @needs_cupy
    def test_with_cupy_without_a_driver(self) -> None:
        said = _as_a_user(NO_DRIVER)
        assert said["rapids"] == [
            "['UserWarning']",
            "method='rapids' runs on the CPU: no NVIDIA driver was found (where there is an "
            "NVIDIA GPU, install NVIDIA's driver for it). The result has the same bits.",
            "True",
        ]
        assert said["auto"] == ["[]", "", "True"]

    def test_without_cupy_without_a_driver(self) -> None:
        said = _as_a_user(f"{NO_DRIVER}\n{NO_CUPY}")
        kind, text, same = said["rapids"]
        assert kind == "['UserWarning']"
        assert "no NVIDIA driver was found, and CuPy is not installed" in text
        assert same == "True"
        assert said["auto"] == ["[]", "", "True"]

    def test_without_cupy_with_a_driver(self) -> None:
        with_driver = "from umapcore_cupy.host import driver; driver.driver_version = lambda: 12040"
        said = _as_a_user(f"{with_driver}\n{NO_CUPY}")
        kind, text, same = said["rapids"]
        assert kind == "['UserWarning']"
        assert 'CuPy is not installed (pip install "umapcore[cuda12]")' in text
        assert same == "True"
        assert said["auto"] == ["[]", "", "True"]

    @pytest.mark.parametrize("how", ["setting", "environment"])
    def test_fallback_forbidden(self, how: str) -> None:
        before, environment = NO_DRIVER, {"UMAPCORE_GPU_FALLBACK": "0"}
        if how == "setting":
            before += "; import umapcore; umapcore.settings.gpu_fallback = False"
            environment = {}
        said = _as_a_user(before, **environment)
        kind, text, _ = said["rapids"]
        assert kind == "GPUUnavailableError"
        assert text.startswith("method='rapids' cannot run: no NVIDIA driver was found")
        assert "umapcore.settings.gpu_fallback = True" in text
        assert said["auto"] == ["[]", "", "True"]


def test_cupy_is_not_imported_without_a_driver() -> None:
    # On arrays: anndata, for one, imports CuPy wherever it is installed.
    code = f"""
import sys, warnings
import numpy as np
from scipy import sparse
{NO_DRIVER}
import umapcore
graph = sparse.csr_array(np.ones((9, 9), np.float32))
warnings.simplefilter("ignore")
for method in ("umap", "auto", "rapids"):
    spec = umapcore.OptimizerSpec(n_epochs=11)
    umapcore.simplicial_set_embedding(graph, spec, init="random", method=method)
    print("cupy" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stdout.split() == ["False"] * 3
