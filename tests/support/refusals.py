"""What a refusal of bad input has to look like."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def refused_by_name(*names: str) -> Iterator[list[Exception]]:
    """Let pass what is done or is refused with a message that has one of the names in it.

    Any other exception, an unnamed refusal and a warning are faults. The list receives the refusal.
    """
    refusals: list[Exception] = []
    try:
        yield refusals
    except (ValueError, TypeError) as error:
        refusals.append(error)
    for refusal in refusals:
        said = str(refusal)
        pattern = "|".join(re.escape(name) for name in names)
        assert re.search(rf"(?<![a-z])({pattern})", said), f"{type(refusal).__name__}: {said}"
        assert "\n" not in said.strip(), said
