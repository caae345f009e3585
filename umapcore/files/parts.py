"""Read an AnnData object part by part, so that one unreadable part does not hide the others."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from umapcore.files.zarr_store import without_notices

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

#: Of these mappings anything is read; layers and varp are left out.
_MAPPINGS = ("obsm", "varm", "obsp", "uns")
#: Matrices of `obsp` of fewer bytes are read at once, so that damage is found at once.
_LARGE = 2**26


class Parts:
    """The parts of an AnnData object, or of the shared part of a MuData object, in a group.

    Parameters
    ----------
    path
        File or store, for messages.
    root
        Group with the parts, of h5py or zarr.
    inner
        Path of this group in the file; empty for the root.
    graphs_on_disk
        Leave large sparse matrices of `obsp` on disk.
    """

    def __init__(
        self, path: Path, root: Any, inner: str = "", *, graphs_on_disk: bool = False
    ) -> None:
        self._path, self._root = path, root
        self._graphs_on_disk = graphs_on_disk
        self._prefix = f"{inner}/" if inner else ""

    def is_old(self) -> bool:
        """Return whether the layout is that of files from before anndata 0.7."""
        return not (hasattr(self._root["obs"], "keys") and hasattr(self._root.get("uns"), "keys"))

    def open(self) -> AnnData:
        """Return an object without layers, whose ``X`` and ``raw.X`` stay on disk.

        What cannot be read is left out with a warning, if a layout can do without it.

        Raises
        ------
        ValueError
            When something is damaged that a layout needs; the message names it.
        """
        from anndata import AnnData

        parts: dict[str, Any] = {name: self.table(name) for name in ("obs", "var")}
        for name in _MAPPINGS:
            parts[name] = self._mapping(name)
        x = None
        try:
            x = on_disk(self._root.get("X"))
        except Exception as error:  # a damaged file can raise anything
            self._leave_out("X", "", error)
        raw = self._root.get("raw")
        if hasattr(raw, "keys") and "X" in raw:  # without a raw there may be an empty array
            try:
                with without_notices():
                    parts["raw"] = {"X": on_disk(raw["X"]), "var": _read(raw["var"])}
            except Exception as error:
                self._leave_out("raw", "", error)
        try:
            return AnnData(X=x, **parts)
        except Exception as error:
            msg = f"{self._path}: its parts do not make an AnnData object: {reason(error)}"
            raise ValueError(msg) from error

    def table(self, name: str) -> Any:
        """Return `obs` or `var`; without the columns that cannot be read."""
        import pandas as pd

        if name not in self._root:
            return None
        try:
            return _read(self._root[name])
        except Exception as error:
            first = error
        try:
            group = self._root[name]
            index = _read(group[group.attrs["_index"]])
        except Exception:
            raise self.damaged(name, "", first) from first
        columns = {}
        for column in group.attrs.get("column-order", ()):
            try:
                columns[column] = _read(group[column])
            except Exception as error:
                self._leave_out(name, column, error)
        return pd.DataFrame(columns, index=index)

    def damaged(self, parent: str, key: str, error: Exception) -> ValueError:
        """Return the error for an element that cannot be read; the caller raises it."""
        element = f"{self._prefix}{parent}/{key}".rstrip("/")
        return ValueError(f"{self._path}: {element} cannot be read: {reason(error)}")

    def _mapping(self, parent: str) -> dict[str, Any]:
        try:
            group = self._root.get(parent)
            keys = [] if group is None else list(group)
        except Exception as error:
            raise self.damaged(parent, "", error) from error
        found = {}
        for key in keys:
            try:
                node = group[key]
                leave = self._graphs_on_disk and parent == "obsp" and _is_large(node)
                value = on_disk(node) if leave else _read(node)
            except Exception as error:
                if self._is_needed(group, parent, key):
                    raise self.damaged(parent, key, error) from error
                self._leave_out(parent, key, error)
                continue
            if parent != "uns" and not hasattr(value, "shape"):
                self._leave_out(parent, key, TypeError("not a matrix"))
                continue
            found[key] = value
        return found

    def _is_needed(self, group: Any, parent: str, key: str) -> bool:
        """Return whether a layout may depend on an element: coordinates, graphs, their entries.

        Without it, another graph or other coordinates would silently be used instead.
        """
        try:
            node = group[key]
        except Exception:
            return parent != "varm"
        if parent == "uns":
            return hasattr(node, "keys") and "connectivities_key" in node
        known = {"array", "csr_matrix", "csc_matrix"}
        encoding = str(node.attrs.get("encoding-type", ""))
        return parent != "varm" and (encoding in known or not hasattr(node, "keys"))

    def _leave_out(self, parent: str, key: str, error: Exception) -> None:
        said = f"{self.damaged(parent, key, error)}; it is not used"
        warnings.warn(said, UserWarning, stacklevel=4)


def _is_large(node: Any) -> bool:
    """Return whether a node is a large sparse matrix."""
    if str(node.attrs.get("encoding-type", "")) not in {"csr_matrix", "csc_matrix"}:
        return False
    arrays = (node["data"], node["indices"])
    return bool(sum(array.shape[0] * array.dtype.itemsize for array in arrays) >= _LARGE)


def on_disk(stored: Any) -> Any:
    """Return a matrix for AnnData without reading it; None if there is none."""
    from anndata.io import sparse_dataset

    if stored is None or str(stored.attrs.get("encoding-type", "")) == "null":
        return None
    if not hasattr(stored, "keys"):
        return stored
    return sparse_dataset(stored)


def reason(error: BaseException) -> str:
    """Return the text of the error that caused others, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    return " ".join(str(text).split()) or type(error).__name__


def _read(node: Any) -> Any:
    from anndata.io import read_elem

    return read_elem(node)
