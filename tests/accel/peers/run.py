"""Run the tests of scanpy and umap-learn with layouts and searches done by umapcore.

The tests themselves are not ours and not here. They are taken from a checkout of the installed
version, or from the installed package where that brings them along, copied to a temporary folder
so that the installed package is what they test, and run by pytest under ``umapcore.accel``::

    python tests/accel/peers/run.py --scanpy ~/scanpy --umap-learn ~/umap

``differs.toml`` says which tests are expected to fail, and why. Exit code 0: all others passed and
those failed. 1: a test that is not listed failed, or one that is listed passed, or nothing was done
by umapcore. 2: wrong usage.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path
from xml.etree import ElementTree as ET

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Peer:
    """A package whose tests are run.

    Parameters
    ----------
    name
        Of the distribution.
    folder
        Of the tests, in a checkout and in an installed package.
    also
        What else the tests need of a checkout.
    tests
        Files that concern layouts.
    apart_from
        Tests in those files that concern something else, as an expression of pytest's ``-k``.
    """

    name: str
    folder: str
    also: tuple[str, ...]
    tests: tuple[str, ...]
    apart_from: str


PEERS = (
    Peer(
        "scanpy",
        "tests",
        ("pyproject.toml",),
        ("test_embedding.py", "test_neighbors_key_added.py", "test_package_structure.py"),
        "tsne or diffmap or louvain",
    ),
    Peer(
        "umap-learn",
        "umap/tests",
        (),
        (
            "test_umap_trustworthiness.py",
            "test_umap_on_iris.py",
            "test_umap_ops.py",
            "test_umap_repeated_data.py",
            "test_densmap.py",
        ),
        "",
    ),
)


@dataclass
class Outcome:
    """What pytest said of one test, and how its layouts were done."""

    test: str
    result: str
    message: str
    taken: int
    passed_on: int


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    for peer in PEERS:
        parser.add_argument(f"--{peer.name}", metavar="CHECKOUT", type=Path)
    parser.add_argument(
        "--original", action="store_true", help="run them without umapcore, for comparison"
    )
    parser.add_argument(
        "--file", action="append", metavar="NAME", help="run this file instead of the usual ones"
    )
    parser.add_argument("-k", metavar="EXPRESSION", help="only tests that match, as in pytest")
    options = parser.parse_args(arguments)
    differs = tomllib.loads((HERE / "differs.toml").read_text(encoding="utf-8"))["differs"]
    reasons = {entry["test"]: " ".join(entry["why"].split()) for entry in differs}
    good, ran = True, 0
    for peer in PEERS:
        checkout = getattr(options, peer.name.replace("-", "_"))
        source = checkout if checkout is not None else _installed(peer)
        if checkout is not None and not (checkout / peer.folder).is_dir():
            parser.error(f"--{peer.name}: {checkout} has no folder {peer.folder}")
        if source is None:
            print(f"{peer.name}: not run, for the installed package has no tests: give a checkout")
            continue
        outcomes = _run(peer, source, options)
        ran += len(outcomes)
        good &= _report(peer, outcomes, {} if options.original else reasons, options)
    if ran == 0:
        parser.error("there are no tests to run")
    return 0 if good else 1


def _installed(peer: Peer) -> Path | None:
    """Give the folder of an installed package that holds `peer.folder`, if it was packaged."""
    try:
        found = files(peer.name) or []
    except PackageNotFoundError:
        return None
    for path in found:
        if str(path).endswith(f"{peer.folder}/conftest.py"):
            return Path(str(path.locate())).parents[len(Path(peer.folder).parts)]
    return None


def _run(peer: Peer, source: Path, options: argparse.Namespace) -> list[Outcome]:
    """Run a peer's tests in a process of their own."""
    with tempfile.TemporaryDirectory(prefix="umapcore_peers_") as temporary:
        folder = Path(temporary)
        shutil.copytree(source / peer.folder, folder / "tests", symlinks=True)
        # A package would be imported by its full name, hence from the checkout.
        (folder / "tests" / "__init__.py").unlink(missing_ok=True)
        for name in peer.also:
            shutil.copy(source / name, folder / name)
        wanted = options.file or peer.tests
        tests = [f"tests/{name}" for name in wanted if (folder / "tests" / name).is_file()]
        if not tests:
            return []
        results = folder / "results.xml"
        command = [sys.executable]
        command += [] if options.original else ["-m", "umapcore.accel"]
        command += ["-m", "pytest", "-q", "-rN", "--tb=short", f"--junitxml={results}"]
        command += ["-o", "junit_family=xunit1", "-p", "watch_calls", "-p", "no:randomly"]
        only = options.k or (f"not ({peer.apart_from})" if peer.apart_from else "")
        command += ["-k", only] if only else []
        print(f"=== {peer.name} {version(peer.name)}: {', '.join(wanted)}", flush=True)
        subprocess.run([*command, *tests], cwd=folder, env=_environment(), check=False)
        return _read(peer, results) if results.exists() else []


def _environment() -> dict[str, str]:
    """Import umapcore from the tree that this file is in, and the plugin from its folder."""
    root = HERE.parents[2]
    paths = [str(HERE), str(root), str(root / "backends")]
    before = os.environ.get("PYTHONPATH")
    paths += [before] if before else []
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "MPLBACKEND": "agg"}


def _read(peer: Peer, results: Path) -> list[Outcome]:
    outcomes = []
    for case in ET.parse(results).iter("testcase"):
        file = Path(case.get("file") or case.get("classname", "").replace(".", "/") + ".py").name
        result, message = "passed", ""
        for child in case:
            if child.tag in ("failure", "error", "skipped"):
                result, message = child.tag, (child.get("message") or "").split("\n")[0]
                if child.get("type") == "pytest.xfail":
                    result = "expected by its authors to fail"
        calls = {item.get("name"): int(item.get("value", 0)) for item in case.iter("property")}
        outcomes.append(
            Outcome(
                f"{peer.name}: {file}::{case.get('name')}",
                result,
                message,
                calls.get("taken", 0),
                calls.get("passed_on", 0),
            )
        )
    return outcomes


def _report(
    peer: Peer, outcomes: list[Outcome], reasons: dict[str, str], options: argparse.Namespace
) -> bool:
    """Print what came out; False where it is not as expected."""
    good = bool(outcomes)
    counts: dict[str, int] = {}
    for outcome in outcomes:
        failed = outcome.result in ("failure", "error")
        why = reasons.get(outcome.test)
        kind = outcome.result
        if failed and why is not None:
            kind = "differs as expected"
            print(f"  differs    {outcome.test}: {why}")
        elif failed:
            good = False
            print(f"  FAILED     {outcome.test}: {outcome.message}")
        elif why is not None and outcome.result == "passed":
            good = False
            kind = "passed against expectation"
            print(f"  PASSED     {outcome.test}: listed as differing, so take it off the list")
        elif outcome.result == "skipped":
            print(f"  skipped    {outcome.test}: {outcome.message}")
        counts[kind] = counts.get(kind, 0) + 1
    taken = sum(outcome.taken for outcome in outcomes)
    if not options.original and not options.k and not options.file and taken == 0:
        good = False
        print("  FAILED     nothing was done by umapcore")
    said = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    passed_on = sum(outcome.passed_on for outcome in outcomes)
    print(f"{peer.name} {version(peer.name)}: {said or 'nothing ran'}")
    if not options.original:
        through = sum(outcome.taken > 0 for outcome in outcomes)
        print(
            f"  {taken} layouts and searches by umapcore in {through} tests, "
            f"{passed_on} passed on to the original"
        )
    return good


if __name__ == "__main__":
    sys.exit(main())
