"""The shape of the package: few files at the top, few parameters, one definition of a thing."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import umapcore

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sorted((ROOT / "umapcore").rglob("*.py")) + sorted((ROOT / "backends").rglob("*.py"))
CUDA = sorted((ROOT / "backends").rglob("*.cu*"))
MOST_PARAMETERS = 10
#: Functions that users call by keywords, with the parameters of scanpy and umap-learn.
PUBLIC = {*umapcore.__all__, "ingest", "movie", "neighbors", "umap"}


def test_few_modules_at_the_top() -> None:
    assert len(list((ROOT / "umapcore").glob("*.py"))) <= 12


def test_parameters_come_in_bundles() -> None:
    long = []
    for file in PYTHON:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name not in PUBLIC:
                names = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args)]
                names += [arg.arg for arg in node.args.kwonlyargs]
                if len(names) - (names[:1] in (["self"], ["cls"])) > MOST_PARAMETERS:
                    long.append(f"{file.relative_to(ROOT)}: {node.name}")
    assert long == []


@pytest.mark.parametrize(
    ("definition", "files", "home"),
    [
        (r"^(CLIP|TINY|NEAR) = [\d.]", PYTHON, "umapcore/layout/constants.py"),
        (r"define\s+(CLIP|TINY|NEAR)\b|(CLIP|TINY|NEAR)\s*=\s*[\d.]", CUDA, None),
        (r"b \* log2\(max\(", PYTHON, "backends/umapcore_numba/forces.py"),
        (r"b \* log2_of\(larger\(", CUDA, "backends/umapcore_cupy/kernels/forces.cuh"),
        (r"reciprocal\(\(NEAR \+ ", PYTHON, "backends/umapcore_numba/forces.py"),
        (r"reciprocal\(\(NEAR \+ ", CUDA, "backends/umapcore_cupy/kernels/forces.cuh"),
        (r"__version__ = \"", PYTHON, "umapcore/version.py"),
    ],
)
def test_one_definition(definition: str, files: list[Path], home: str | None) -> None:
    found = [
        str(file.relative_to(ROOT))
        for file in files
        if re.search(definition, file.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert found == ([] if home is None else [home])
