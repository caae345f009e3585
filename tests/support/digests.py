"""Digests of what the library computes on this machine, to be compared with those of others.

``python -m tests.support.digests write FILE`` computes the digests of `tests.support.golden`, with
``--method rapids`` those of the GPU. ``python -m tests.support.digests compare FILE …`` prints a
Markdown table of those that differ, and its exit code is 1 if there are any. It needs Python alone.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path


def write(file: Path, method: str = "umap") -> None:
    """Compute the digests by a method, and write them with what they were computed on."""
    from tests.support import golden

    sections = golden.SECTIONS if method == "umap" else golden.ON_DEVICE
    found = {
        f"{section}: {case}": value
        for section in sections
        for case, value in golden.SECTIONS[section](method).items()
    }
    where = f"{platform.platform()}, Python {platform.python_version()}, method {method!r}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"where": where, "digests": found}, indent=1) + "\n", "utf-8")


def report(files: list[Path]) -> tuple[bool, str]:
    """Compare files of digests: whether all are equal, and the text that says so or a table.

    A digest that only some files have is compared where it is: a GPU does not compute all.
    """
    read = {file: json.loads(file.read_text("utf-8")) for file in files}
    names = {file: f"{file.stem} ({content['where']})" for file, content in read.items()}
    listed = "".join(f"- {name}\n" for name in names.values())
    cases: dict[str, dict[Path, str]] = {}
    for file, content in read.items():
        for case, value in content["digests"].items():
            cases.setdefault(case, {})[file] = value
    if len(files) < 2 or not cases:
        return False, f"There is nothing to compare:\n\n{listed}"
    wrong = {case: values for case, values in cases.items() if len(set(values.values())) > 1}
    if not wrong:
        return True, f"{len(cases)} digests are equal on {len(files)} machines:\n\n{listed}"
    lines = [
        ["digest", *(file.stem for file in files)],
        ["---"] * (len(files) + 1),
        *([case, *(values.get(file, "-") for file in files)] for case, values in wrong.items()),
    ]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return False, f"{len(wrong)} of {len(cases)} digests differ:\n\n{table}\n{listed}"


def main(arguments: list[str] | None = None) -> int:
    """Write, or compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write")
    writing.add_argument("file", type=Path)
    writing.add_argument("--method", choices=("umap", "rapids"), default="umap")
    commands.add_parser("compare").add_argument("files", type=Path, nargs="+")
    options = parser.parse_args(arguments)
    if options.command == "write":
        write(options.file, options.method)
        return 0
    equal, text = report(options.files)
    sys.stdout.write(text)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
