"""Write what users have named as it is: no mathematics between dollar signs, no TeX."""

from __future__ import annotations

import textwrap
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.text import Text

#: For every text that holds names from the data or from the caller.
PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}


def write(text: Text, words: str) -> None:
    """Give a text of a picture new words, as they are."""
    text.set(text=words, **PLAIN)


@cache
def _measure() -> Any:
    from matplotlib.textpath import TextToPath

    return TextToPath().get_text_width_height_descent


def widths(lines: Iterable[str], fontsize: float, **font: Any) -> list[float]:
    """Return the widths of lines in points, without a figure to draw them in."""
    from matplotlib.font_manager import FontProperties

    chosen = FontProperties(size=fontsize, **font)
    return [float(_measure()(line, chosen, False)[0]) for line in lines]


def wrapped(words: str, letters: int) -> str:
    """Break lines that are longer, at spaces if possible; nothing is left out."""
    lines = (textwrap.wrap(line, letters) or [""] for line in words.split("\n"))
    return "\n".join(line for pieces in lines for line in pieces)
