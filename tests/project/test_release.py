"""What is released says the same everywhere, and an unfinished tree is not released."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from umapcore.version import __version__

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
RECIPE = (ROOT / "conda" / "recipe" / "recipe.yaml").read_text("utf-8")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
#: What `.ci/ready` reads, in a tree that may be released as 1.2.3.
FINISHED = {
    "umapcore/version.py": '__version__ = "1.2.3"\n',
    "CHANGELOG.md": "# Changelog\n\n## 1.2.3 (2030-01-31)\n",
    "pyproject.toml": '[project.urls]\nRepository = "https://example.org"\n',
    "CITATION.cff": 'version: 1.2.3\nrepository-code: "https://example.org"\n',
    "conda/recipe/recipe.yaml": '  version: "1.2.3"\n  repository: "https://example.org"\n',
}


def test_versions() -> None:
    assert f'  version: "{__version__}"\n' in RECIPE
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")


def test_recipe_requires_what_the_wheel_requires() -> None:
    run = re.search(r"\n  run:\n(.*?)\n  \w", RECIPE, re.S)
    assert run is not None
    listed = [line.strip(" -").replace(" ", "") for line in run[1].splitlines()]
    python = f"python{PROJECT['requires-python']}".replace("3.11", "${{python_min}}")
    assert listed == [python, *(need for need in PROJECT["dependencies"] if ";" not in need)]
    assert f'python_min: "{PROJECT["requires-python"].removeprefix(">=")}"' in RECIPE
    assert f"license: {PROJECT['license']}\n" in RECIPE


@pytest.mark.parametrize("file", PROJECT["license-files"])
def test_licences(file: str) -> None:
    assert (ROOT / file).is_file()
    assert f"    - {file}\n" in RECIPE


@pytest.mark.skipif(not WORKFLOWS, reason="an sdist has no workflows")
def test_workflows() -> None:
    for file in WORKFLOWS:
        for action in re.findall(r"uses: (.*)", file.read_text("utf-8")):
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", action), f"{file.name}: {action}"
    tested = re.search(
        r'python: \["(.*)"\]', (WORKFLOWS[0].parent / "tests.yml").read_text("utf-8")
    )
    assert tested is not None
    classifiers = [name for name in PROJECT["classifiers"] if re.search(r":: 3\.\d", name)]
    assert [
        f"Programming Language :: Python :: {v}" for v in tested[1].split('", "')
    ] == classifiers


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="needs bash")
@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("CHANGELOG.md", FINISHED["CHANGELOG.md"], "umapcore 1.2.3 may be released"),
        ("umapcore/version.py", '__version__ = "1.2.4"\n', "the tag is v1.2.3"),
        ("CHANGELOG.md", "## 1.2.3 (unreleased)\n", "CHANGELOG.md: the heading of 1.2.3"),
        ("pyproject.toml", "[project.urls]\n", "pyproject.toml: [project.urls] has no"),
        ("CITATION.cff", "version: 1.2.3\n", "CITATION.cff: no repository-code"),
        ("CITATION.cff", "version: 1.2.0\n", "CITATION.cff: version is not 1.2.3"),
        ("conda/recipe/recipe.yaml", '  repository: ""\n', "recipe.yaml: no repository"),
        ("conda/recipe/recipe.yaml", "\n", "recipe.yaml: version is not 1.2.3"),
    ],
)
def test_ready(file: str, content: str, said: str, tmp_path: Path) -> None:
    for name, text in (FINISHED | {file: content}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "ready", tmp_path / ".ci")
    done = subprocess.run(
        ["bash", ".ci/ready", "v1.2.3"],
        cwd=tmp_path, env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == (content != FINISHED[file]), done.stderr
    assert said in done.stdout
