"""What the pages show works: their code runs, their commands run, their links lead somewhere."""

from __future__ import annotations

import doctest
import importlib
import json
import logging
import re
import shlex
import shutil
import tomllib
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pytest

import umapcore
from umapcore import cli, demo

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Pages whose code is one story from top to bottom; the others begin with cells that have a graph.
STORIES = ("README.md", "quickstart.md")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "umapcore").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of a page's code blocks."""
    return re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def has(page: Path, *languages: str) -> bool:
    return any(language in languages for language, _ in blocks(page))


@pytest.fixture(scope="module")
def cells() -> anndata.AnnData:
    # The first ones are all of one type.
    return demo.load_cells()[4000:4300].copy()


@pytest.fixture
def folder(
    cells: anndata.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Somewhere with the user's files; what pages set is set back."""
    import matplotlib as mpl

    for name in ("cells.h5ad", "new.h5ad"):
        cells.write_h5ad(tmp_path / name)
    counts = np.random.default_rng(0).poisson(1.0, (cells.n_obs, 60))
    anndata.AnnData(counts, obs=cells.obs).write_h5ad(tmp_path / "counts.h5ad")
    monkeypatch.setattr(demo, "_bundled", lambda: nullcontext(tmp_path / "cells.h5ad"))
    monkeypatch.chdir(tmp_path)
    for name in ("n_threads", "gpu_fallback"):
        monkeypatch.setattr(umapcore.settings, name, getattr(umapcore.settings, name))
    level = logging.getLogger("umapcore").level
    with mpl.rc_context({"backend": "agg"}), small_clusters(monkeypatch):
        yield tmp_path
    logging.getLogger("umapcore").setLevel(level)


@contextmanager
def small_clusters(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the pages' clients have a cluster in this process; close them at the end."""
    if importlib.util.find_spec("distributed") is None:
        yield
        return
    import distributed

    opened = []

    class Client(distributed.Client):
        def __init__(self, *_: object) -> None:
            super().__init__(n_workers=2, processes=False, dashboard_address=":0")
            opened.append(self)

    monkeypatch.setattr(distributed, "Client", Client)
    yield
    for client in opened:
        client.close()


@pytest.mark.parametrize(
    "page", [page for page in PAGES if has(page, "python")], ids=lambda page: page.name
)
@pytest.mark.filterwarnings("ignore:method='rapids' runs on the CPU:UserWarning")
def test_python_runs(page: Path, folder: Path, cells: anndata.AnnData) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    names: dict[str, Any] = {"__name__": "__main__"}
    if page.name not in STORIES:
        names |= {"uc": umapcore, "adata": cells.copy()}
    if page.name == "README.md":
        names["graph"] = cells.obsp["connectivities"]
    for language, text in blocks(page):
        if language == "python":
            exec(compile(text, f"{page.name}: {text.splitlines()[0]}", "exec"), names)
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if has(page, "sh")], ids=lambda page: page.name
)
@pytest.mark.filterwarnings("ignore:method='rapids' runs on the CPU:UserWarning")
def test_commands_run(page: Path, folder: Path) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    for language, text in blocks(page):
        if language != "sh":
            continue
        for line in text.replace("\\\n", " ").splitlines():
            for command in line.split("#")[0].split(" && "):
                words = shlex.split(command)
                if words[:1] == ["umapcore"]:
                    assert run(words[1:]) == cli.OK, command
                for name in re.findall(r"\[([\w,]+)\]", command):
                    assert set(name.split(",")) <= extras.keys(), command
                if words[:2] == ["python", "-m"] and words[2] != "pip":
                    assert importlib.util.find_spec(words[2]), command
    shutil.rmtree(folder)


def run(words: list[str]) -> int:
    try:
        return cli.main(words)
    except SystemExit as left:
        return int(left.code or 0)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
            assert anchor in map(slug, headings), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    for name in re.findall(r"`((?:[\w.]+/)+[\w.]+\.(?:py|md|cuh?|json))`", page.read_text("utf-8")):
        assert any(ROOT.glob(name)), f"{page.name}: {name}"


def slug(heading: str) -> str:
    """Anchor of a heading, as GitHub and MyST make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_docstrings(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module))
    assert found.failed == 0


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for name in vars(umapcore.settings):
        assert f"`{name}`" in page, name
    for source in [*(ROOT / "umapcore").rglob("*.py"), *(ROOT / "backends").rglob("*.py")]:
        for variable in re.findall(r"UMAPCORE_[A-Z_]+", source.read_text(encoding="utf-8")):
            assert variable in page, f"{variable} of {source.name}"


def test_commands_of_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    reference = importlib.import_module("cli_reference")
    text = reference.reference(cli.make_parser())
    assert "## umapcore embed" in text
    assert "`--min-dist X`\n: from 0 to spread (default: 0.5)" in text


def test_public_names_are_in_the_reference() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for name in set(umapcore.__all__) - {"__version__"}:
        assert f"umapcore.{name}" in page or f"uc.{name}" in page, name


def test_every_page_is_in_the_contents() -> None:
    contents = (ROOT / "docs" / "index.md").read_text(encoding="utf-8").splitlines()
    for page in PAGES[1:]:
        assert page.stem in [*contents, "index"], page.name


def test_the_notebook_is_stored_with_its_results() -> None:
    notebook = json.loads((ROOT / "docs" / "counts_to_picture.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not any(output["output_type"] == "error" for output in outputs)
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3
