"""Sections "Returns" that are prose stay prose.

Napoleon takes the first line of such a section for a type. Ours are sentences, which may be
followed by a definition list; both are shown as they are written.
"""

from __future__ import annotations

from typing import Any

from sphinx.ext.napoleon import docstring


def setup(_app: Any) -> dict[str, bool]:
    """Put the section's own lines in place of what napoleon makes of them."""
    docstring.NumpyDocstring._parse_returns_section = _as_written  # type: ignore[method-assign]
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _as_written(parser: docstring.NumpyDocstring, _section: str) -> list[str]:
    lines = parser._dedent(parser._consume_to_next_section())
    return [":returns:", *(f"    {line}" if line else "" for line in lines), ""]
