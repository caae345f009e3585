"""`pytest -m gpu` on a machine that has little more than a GPU: see also .ci/bare_gpu."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import MAY_BE_ABSENT

TESTS = Path(__file__).resolve().parents[1]
#: What marks a test of the GPU, or asks for the backends, of which one is marked.
OF_GPU = re.compile(r"\b(mark\.gpu|open_backend|gpu_backend)\b")


def test_tests_of_the_gpu_are_found_without_the_other_packages() -> None:
    code = (
        "import sys, pytest\n"
        f"sys.modules.update(dict.fromkeys({MAY_BE_ABSENT}))\n"
        "asked = ['--collect-only', '-q', '-m', 'gpu', '-p', 'no:cacheprovider']\n"
        "raise SystemExit(pytest.main(asked))\n"
    )
    # anndata brings a plugin of pytest along.
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=TESTS.parent,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    left_out = re.findall(r"tests/(\w+/\w+\.py):\d+: (\w+) is not installed", done.stdout)
    assert ("bench/test_bench.py", "anndata") in left_out, "it imports what imports anndata"
    for name, _ in left_out:
        text = (TESTS / name).read_text(encoding="utf-8")
        assert not OF_GPU.search(text), f"{name} has tests of the GPU, which nobody would miss"
