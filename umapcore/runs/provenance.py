"""Where an embedding comes from, in terms that decide its bits and nothing else.

Times, thread counts and methods are left out on purpose: the bits do not depend on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from umapcore.errors import bad_value
from umapcore.init.positions import STARTS
from umapcore.layout.spec import LAYOUT_VERSION, OptimizerSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

#: Changes when the entry's form does.
FORMAT = 1

#: Kinds of starts: those with a name, a key of `obsm`, and positions that were given.
START_KINDS = (*STARTS, "obsm", "array")


class Origin:
    """What a run noted about its input and its end.

    Attributes
    ----------
    graph, start
        Digests of the graph as it was laid out and of the positions it started from.
    density
        Digest of the log radii of the data; empty where no density is preserved.
    epochs
        Epochs that were done.
    """

    def __init__(self) -> None:
        self.graph = ""
        self.start = ""
        self.density = ""
        self.epochs = 0

    def has_density(self, density: str) -> None:
        """Note the digest of the log radii of the data, before any epoch is run."""
        self.density = density

    def began_at(self, start: str) -> None:
        """Note the digest of the start positions, before any epoch is run."""
        self.start = start


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """All that is needed to run a layout again, and to know whether it is the same.

    Attributes
    ----------
    version
        Of umapcore.
    spec
        Parameters, with the number of epochs and the seed.
    epochs
        Epochs that were done: fewer than the specification's when a callback stopped the run.
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
        Digest of the log radii of the data, which follow from the distances that the neighbours
        entry names; empty where no density is preserved.
    layout_version
        :data:`umapcore.layout.spec.LAYOUT_VERSION` of the umapcore that wrote it.
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
        """Give nested dictionaries of text and numbers, which `uns` and any file can hold."""
        start = {"kind": self.start_kind, "digest": self.start}
        if self.start_key:
            start["key"] = self.start_key
        return {
            "format": FORMAT,
            "umapcore": self.version,
            "layout_version": self.layout_version,
            # As text: Zarr and JSON do not hold all integers of 64 bits.
            "spec": self.spec.to_dict() | {"seed": str(self.spec.seed)},
            "epochs": self.epochs,
            "graph": {"neighbors_key": self.neighbors_key, "digest": self.graph},
            "start": start,
            "embedding": {"digest": self.embedding},
        } | ({"density": {"digest": self.density}} if self.density else {})

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` gave, maybe by way of a file.

        Raises
        ------
        ValueError
            When something is missing, or is of another format or a newer version.
        """
        try:
            found = int(stored["format"])
            if found != FORMAT:
                msg = f"the provenance has format {found}; this version of umapcore reads {FORMAT}."
                raise ValueError(msg)
            kind = str(stored["start"]["kind"])
            if kind not in START_KINDS:
                raise bad_value("start kind", kind, f"one of {', '.join(START_KINDS)}")
            return cls(
                version=str(stored["umapcore"]),
                spec=OptimizerSpec.from_dict(_plain(stored["spec"])),
                epochs=int(stored["epochs"]),
                neighbors_key=str(stored["graph"]["neighbors_key"]),
                graph=str(stored["graph"]["digest"]),
                start_kind=kind,
                start_key=str(stored["start"].get("key", "")),
                start=str(stored["start"]["digest"]),
                embedding=str(stored["embedding"]["digest"]),
                density=str(stored["density"]["digest"]) if "density" in stored else "",
                # The first one did not say so.
                layout_version=int(stored.get("layout_version", 1)),
            )
        except (KeyError, TypeError, AttributeError) as error:
            msg = f"the provenance is damaged: {type(error).__name__}: {error}."
            raise ValueError(msg) from error


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers as Python has them: files give NumPy's."""
    plain = {
        str(name): value.item() if hasattr(value, "item") else value
        for name, value in values.items()
    }
    return plain | {"seed": int(plain["seed"])}
