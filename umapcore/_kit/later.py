"""Modules that are imported at first use.

Kernels that were compiled beforehand need no compiler, and importing numba takes half a second. So
what only compiling needs is imported when something is compiled.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Later:
    """A module that is imported when one of its attributes is first used.

    Parameters
    ----------
    name
        Full name of the module.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(import_module(self._name), attribute)
        setattr(self, attribute, value)
        return value


#: numba's types, and its helpers for writing LLVM's language, for the bodies of intrinsics.
types, cgutils = Later("numba.core.types"), Later("numba.core.cgutils")
