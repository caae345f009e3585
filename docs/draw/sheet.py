"""A small real run that several pictures look into: a sheet of points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import umapcore as uc
from tests.support import graphs
from umapcore.layout.plan import build_plan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from scipy import sparse

    from umapcore.layout.plan import EdgePlan

SPEC = uc.OptimizerSpec(n_epochs=200, seed=1)
#: The epoch that is looked into.
EPOCH = 12


@dataclass(frozen=True)
class Sheet:
    """A graph with its plan; positions, in plan order, when `EPOCH` begins and in the end."""

    graph: sparse.csr_array
    plan: EdgePlan
    positions: NDArray[np.float32]
    final: NDArray[np.float32]


@cache
def sheet() -> Sheet:
    """Lay the sheet out."""
    graph = graphs.surface(700)
    plan = build_plan(graph, SPEC)
    positions = uc.simplicial_set_embedding(graph, SPEC, stop_epoch=EPOCH, progress=False)
    final = uc.simplicial_set_embedding(graph, SPEC, progress=False)
    return Sheet(graph, plan, positions[plan.order], final[plan.order])
