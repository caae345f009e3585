"""Provenance of an embedding: exactly what determines its bits.

Times, thread counts and methods are omitted on purpose: the bits do not depend on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from umapcore._kit.checks import check_integer
from umapcore._kit.stored import plain
from umapcore.errors import bad_type, bad_value
from umapcore.init.positions import STARTS
from umapcore.layout.spec import LAYOUT_VERSION, OptimizerSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

#: Changes when the format of the entry changes.
FORMAT = 1

#: Kinds of starts: named ones, a key of `obsm`, and an array of positions.
START_KINDS = (*STARTS, "obsm", "array")


class Origin:
    """Records the input and the number of epochs of a run.

    Attributes
    ----------
    graph, start
        Digests of the graph as it was laid out and of the positions the run started from.
    density
        Digest of the log radii of the data; empty if no density is preserved.
    epochs
        Number of epochs done.
    """

    def __init__(self) -> None:
        self.graph = ""
        self.start = ""
        self.density = ""
        self.epochs = 0

    def has_density(self, density: str) -> None:
        """Record the digest of the log radii of the data, before the first epoch."""
        self.density = density

    def began_at(self, start: str) -> None:
        """Record the digest of the start positions, before the first epoch."""
        self.start = start


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """All that is needed to run a layout again, and to check whether the result is the same.

    Attributes
    ----------
    version
        Version of umapcore.
    spec
        Parameters, including the number of epochs and the seed.
    epochs
        Number of epochs done: less than in the specification when a callback stopped the run.
    neighbors_key
        Entry of `uns` that named the graph.
    graph
        Digest of the graph, :func:`umapcore.runs.digest.graph_digest`.
    start_kind
        ``'spectral'``, ``'random'``, ``'paga'``, ``'obsm'`` or ``'array'``.
    start_key
        Key of `obsm`; empty for other kinds.
    start
        Digest of the positions that the layout started from.
    embedding
        Digest of the embedding.
    density
        Digest of the log radii of the data, which are computed from the distances that the
        neighbours entry names; empty if no density is preserved.
    layout_version
        :data:`umapcore.layout.spec.LAYOUT_VERSION` of the umapcore that wrote the entry.
    """

    version: str
    spec: OptimizerSpec
    epochs: int
    neighbors_key: str
    graph: str
    start_kind: str
    start_key: str
    start: str
    embedding: str
    density: str = ""
    layout_version: int = LAYOUT_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Return nested dictionaries of text and numbers, which `uns` and any file can store."""
        start = {"kind": self.start_kind, "digest": self.start}
        if self.start_key:
            start["key"] = self.start_key
        return {
            "format": FORMAT,
            "umapcore": self.version,
            "layout_version": self.layout_version,
            # As text, because Zarr and JSON cannot store all 64-bit integers.
            "spec": self.spec.to_dict() | {"seed": str(self.spec.seed)},
            "epochs": self.epochs,
            "graph": {"neighbors_key": self.neighbors_key, "digest": self.graph},
            "start": start,
            "embedding": {"digest": self.embedding},
        } | ({"density": {"digest": self.density}} if self.density else {})

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Make a Provenance from the result of :meth:`to_dict`, also after it was in a file.

        Raises
        ------
        ValueError
            When an entry is missing, or has another format or a newer version.
        """
        try:
            stored = plain(stored)
            found = check_integer("format", stored["format"], 1)
            if found != FORMAT:
                msg = f"the provenance has format {found}; this version of umapcore reads {FORMAT}."
                raise ValueError(msg)
            kind, spec = _text(stored["start"], "kind"), stored["spec"]
            if kind not in START_KINDS:
                raise bad_value("start kind", kind, f"one of {', '.join(START_KINDS)}")
            return cls(
                version=_text(stored, "umapcore"),
                spec=OptimizerSpec.from_dict(spec | {"seed": int(spec["seed"])}),
                epochs=check_integer("epochs", stored["epochs"], 0),
                neighbors_key=_text(stored["graph"], "neighbors_key"),
                graph=_text(stored["graph"], "digest"),
                start_kind=kind,
                start_key=_text(stored["start"], "key") if "key" in stored["start"] else "",
                start=_text(stored["start"], "digest"),
                embedding=_text(stored["embedding"], "digest"),
                density=_text(stored["density"], "digest") if "density" in stored else "",
                # Entries of layout version 1 do not contain it.
                layout_version=check_integer("layout_version", stored.get("layout_version", 1), 1),
            )
        except (KeyError, TypeError, AttributeError) as error:
            msg = f"the provenance is damaged: {type(error).__name__}: {error}."
            raise ValueError(msg) from error


def _text(entry: Mapping[str, Any], name: str) -> str:
    found = entry[name]
    if not isinstance(found, str):
        raise bad_type(name, found, "a text")
    return found
