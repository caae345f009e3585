"""UMAP layouts of neighbourhood graphs with the same bits on every machine.

Names are loaded when first used, so that ``import umapcore`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Bound here and now: the submodule would otherwise take the name of the object when it is loaded.
from umapcore.settings import settings
from umapcore.version import __version__

if TYPE_CHECKING:
    from umapcore import accel, pl, pp, tl
    from umapcore.accel.transformer import KNeighborsTransformer
    from umapcore.layout.curve import find_ab_params
    from umapcore.layout.embed import simplicial_set_embedding
    from umapcore.layout.spec import OptimizerSpec
    from umapcore.layout.transform import place
    from umapcore.measures.comparison import Comparison, compare
    from umapcore.neighbors.fuzzy_graph import fuzzy_simplicial_set
    from umapcore.runs.checkpoint import Checkpoint
    from umapcore.runs.snapshots import Snapshots
    from umapcore.tl import umap
    from umapcore.verification import Verification, verify

__all__ = [
    "Checkpoint",
    "Comparison",
    "KNeighborsTransformer",
    "OptimizerSpec",
    "Snapshots",
    "Verification",
    "__version__",
    "accel",
    "compare",
    "find_ab_params",
    "fuzzy_simplicial_set",
    "pl",
    "place",
    "pp",
    "settings",
    "simplicial_set_embedding",
    "tl",
    "umap",
    "verify",
]

_MODULES = {"accel", "pl", "pp", "tl"}
_HOMES = {
    "Checkpoint": "runs.checkpoint",
    "Comparison": "measures.comparison",
    "KNeighborsTransformer": "accel.transformer",
    "OptimizerSpec": "layout.spec",
    "Snapshots": "runs.snapshots",
    "Verification": "verification",
    "compare": "measures.comparison",
    "find_ab_params": "layout.curve",
    "place": "layout.transform",
    "fuzzy_simplicial_set": "neighbors.fuzzy_graph",
    "simplicial_set_embedding": "layout.embed",
    "umap": "tl",
    "verify": "verification",
}


# Type checkers take the imports above, and so know each name's type and which names there are.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f"umapcore.{name}")
        if name in _HOMES:
            value = getattr(import_module(f"umapcore.{_HOMES[name]}"), name)
            globals()[name] = value
            return value
        msg = f"module 'umapcore' has no attribute {name!r}"
        raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
