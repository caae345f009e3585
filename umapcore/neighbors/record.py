"""What a search for neighbours was: what decides its bits, and how good it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from umapcore.neighbors.knn import KNN

#: Changes whenever the same coordinates get other neighbours, or distances with other bits.
NEIGHBORS_VERSION = 2
#: Recall that the approximate search aims at by default.
ACCURACY = 0.99


@dataclass(frozen=True, kw_only=True)
class Search:
    """How neighbours were found.

    Attributes
    ----------
    kind
        ``'exact'``: every point was compared with all others. ``'partitions'``: our approximate
        search. ``'pynndescent'``: that library.
    accuracy
        Recall that the search aimed at; 1 for an exact one; None if the kind has no such aim.
    recall
        Recall that was measured on a sample of the points; None where nothing was measured.
    """

    kind: str
    accuracy: float | None = None
    recall: float | None = None

    def params(self) -> dict[str, Any]:
        """Return the entry of ``uns[...]['params']``: names and numbers only."""
        found: dict[str, Any] = {"kind": self.kind, "version": NEIGHBORS_VERSION}
        if self.accuracy is not None:
            found["accuracy"] = self.accuracy
        if self.recall is not None:
            found["recall"] = self.recall
        return found


class Found(NamedTuple):
    """Neighbours, and how they were found."""

    knn: KNN
    search: Search
