"""What a search for neighbours was: what decides its bits, and how good it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from umapcore._kit.checks import check_real
from umapcore.errors import bad_type
from umapcore.logs import logger

if TYPE_CHECKING:
    from umapcore.neighbors.knn import KNN

#: Changes whenever the same coordinates get other neighbours, or distances with other bits.
NEIGHBORS_VERSION = 2
#: Recall that the approximate search aims at by default.
ACCURACY = 0.99
#: Kinds of search whose results depend on nothing but their input.
REPEATABLE = ("exact", "partitions")


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

    def report(self, accuracy: float | None) -> None:
        """Log a warning if the accuracy that the caller asked for has no effect."""
        if accuracy is not None and self.kind not in REPEATABLE:
            logger.warning("accuracy=%g has no effect on a search by %s", accuracy, self.kind)

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


def check_search(exact: object, accuracy: object) -> tuple[bool | None, float | None]:
    """Check which search a caller asks for.

    Returns
    -------
    The two parameters; the first is true when `accuracy` is 1.

    Raises
    ------
    ValueError, TypeError
        The message names the parameter; also when the two contradict each other.
    """
    if exact is not None and not isinstance(exact, (bool, np.bool_)):
        raise bad_type("exact", exact, "True, False or None")
    chosen = None if exact is None else bool(exact)
    if accuracy is None:
        return chosen, None
    share = check_real("accuracy", accuracy, above=0.0, at_most=1.0)
    if chosen is not None and chosen != (share == 1.0):
        what = "all" if chosen else "not all"
        msg = f"accuracy={accuracy} contradicts exact={chosen}, which finds {what} of the nearest "
        raise ValueError(msg + "neighbours: leave one of the two out.")
    return (True if share == 1.0 else chosen), share
