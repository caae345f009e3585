"""Run the notebook and store it with its results: ``python docs/run_notebook.py``.

The site runs it anew in any case; what is stored is for readers of the repository.
"""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "docs" / "counts_to_picture.ipynb"


def main() -> None:
    """Run it in the folder in which it stands."""
    # The notebook's process finds the code of this checkout, installed or not.
    folders = [str(ROOT), str(ROOT / "backends"), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(folders)
    # tqdm misses widgets that nobody sees here.
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    ).execute()
    for cell in notebook.cells:
        # When it ran is nobody's business, and would change the file every time.
        cell.metadata.pop("execution", None)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.write(notebook, NOTEBOOK)
    print(f"{NOTEBOOK}: {NOTEBOOK.stat().st_size / 1e3:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main()
