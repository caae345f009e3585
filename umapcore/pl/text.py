"""Write what users have named as it is: no mathematics between dollar signs, no TeX."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.text import Text
    from numpy.typing import NDArray

#: For every text that holds names from the data or from the caller.
PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}


def write(text: Text, words: str) -> None:
    """Give a text of a picture new words, as they are."""
    text.set(text=words, **PLAIN)


class Ruler:
    """Measure texts by their letters, without a figure and without drawing each text."""

    def __init__(self, letters: str, weight: Any = None) -> None:
        from matplotlib.font_manager import FontProperties
        from matplotlib.textpath import TextToPath

        font = FontProperties(size=1.0, weight=weight)
        measure = TextToPath().get_text_width_height_descent
        self._widths = {letter: float(measure(letter, font, False)[0]) for letter in set(letters)}

    def widths(self, texts: Iterable[str]) -> NDArray[np.float64]:
        """Return the width of each text's longest line, relative to the size of the letters."""
        return np.array(
            [
                max(sum(map(self._widths.__getitem__, line)) for line in text.split("\n"))
                for text in texts
            ]
        )


def wrapped(words: str, letters: int) -> str:
    """Break lines that are longer, at spaces if possible; nothing is left out."""
    lines = (textwrap.wrap(line, letters) or [""] for line in words.split("\n"))
    return "\n".join(line for pieces in lines for line in pieces)


def cut(words: str, letters: int) -> str:
    """Return words without their middle if they are longer, in one line."""
    if len(words) <= letters:
        return words
    words = " ".join(words.split())
    tail = (letters - 1) // 2
    return words if len(words) <= letters else f"{words[: letters - 1 - tail]}…{words[-tail:]}"
