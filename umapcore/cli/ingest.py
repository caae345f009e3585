"""``umapcore ingest``: place the cells of a file in the embedding of another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from umapcore.cli.parser import add_output_options, add_running_options, flagged
from umapcore.cli.reporting import flat

if TYPE_CHECKING:
    import argparse

    from anndata import AnnData

#: Options that are parameters of `tl.ingest` under the same names.
_PARAMETERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--obs", {"nargs": "+", "action": "extend", "metavar": "NAME",
     "help": "columns of the reference's obs whose labels the new cells get"}),
    ("--embedding-method", {"nargs": "+", "choices": ("umap", "pca"), "default": ["umap", "pca"],
     "help": "what to write: the embedding, the principal components (default: both)"}),
    ("--neighbors-key", {"metavar": "KEY",
     "help": "key of the reference's graph in uns (default: neighbors)"}),
    ("--use-rep", {"metavar": "KEY",
     "help": "coordinates that both files have in one space: a key of obsm, or X (default: those "
     "of the reference's graph; principal components are computed for the new cells)"}),
    ("--n-neighbors", {"type": int, "metavar": "N",
     "help": "neighbours of each new cell (default: as in the reference's graph, or 15)"}),
    ("--key-added", {"metavar": "KEY",
     "help": "key of the embedding in both files' obsm and uns (default: X_umap, umap)"}),
    ("--maxiter", {"type": int, "metavar": "N", "help": "epochs (default: 100)"}),
    ("--alpha", {"type": float, "default": 1.0, "metavar": "X",
     "help": "step size, divided by 4 as in umap-learn (default: %(default)s)"}),
    ("--gamma", {"type": float, "default": 1.0, "metavar": "X",
     "help": "weight of the repulsion (default: %(default)s)"}),
    ("--negative-sample-rate", {"type": int, "default": 5, "metavar": "N",
     "help": "negative samples for each firing edge (default: %(default)s)"}),
    ("--random-state", {"type": int, "default": 0, "metavar": "N",
     "help": "seed (default: %(default)s)"}),
    ("--a", {"type": float, "metavar": "X",
     "help": "curve parameter, with --b (default: the reference's)"}),
    ("--b", {"type": float, "metavar": "X", "help": "curve parameter, with --a"}),
)  # fmt: skip


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Declare the command and its options."""
    ingest = commands.add_parser(
        "ingest",
        parents=[shared],
        help="place new cells in the embedding of a reference",
        description="Place the cells of a file in the embedding of a reference, and transfer "
        "labels to them. The reference is only read; the output is a copy of the new cells' file "
        "with the results in it. Example: umapcore ingest new.h5ad --reference cells_umap.h5ad "
        "-o placed.h5ad --obs cell_type",
    )
    ingest.add_argument("input", type=Path, metavar="IN", help="the new cells: .h5ad, .h5mu, zarr")
    ingest.add_argument(
        "--reference",
        type=Path,
        required=True,
        metavar="REF",
        help="cells with an embedding, and with the entry of their neighbours in uns",
    )
    add_output_options(
        ingest,
        "path to write: a zarr store if its name ends in .zarr, else an .h5ad file",
        "replace OUT if it exists; OUT may then be IN itself",
    )
    for option, more in _PARAMETERS:
        ingest.add_argument(option, **more)
    add_running_options(ingest)
    ingest.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Run the command with the parsed arguments."""
    from umapcore.files.anndata_files import check_paths, open_file, write_with
    from umapcore.tl import ingest

    target = args.output.resolve()
    check_paths(args.input, target, overwrite=args.overwrite)
    names = [option.removeprefix("--").replace("-", "_") for option, _ in _PARAMETERS]
    parameters = {name: getattr(args, name) for name in names}
    with open_file(args.reference) as reference, open_file(args.input) as adata:
        before = {"obsm": dict(adata.obsm), "uns": dict(adata.uns)}
        with flagged(names):
            ingest(
                adata,
                reference,
                method=args.method,
                n_threads=args.threads,
                progress=args.progress,
                **parameters,
            )
        n = reference.n_obs
    elements = _changed(adata, before)
    elements |= {f"obs/{name}": adata.obs[name].array for name in args.obs or ()}
    write_with(args.input, target, elements, overwrite=args.overwrite)
    said = ", ".join(
        f"{place.partition('/')[0]}[{place.partition('/')[2]!r}]" for place in elements
    )
    print(flat(f"{args.output}: {said}; {adata.n_obs:,} cells placed among {n:,}"))


def _changed(adata: AnnData, before: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the elements that are new or have been replaced, by their paths."""
    return {
        f"{parent}/{key}": value
        for parent, old in before.items()
        for key, value in getattr(adata, parent).items()
        if value is not old.get(key)
    }
