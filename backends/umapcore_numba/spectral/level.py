"""Levels of the hierarchy of graphs that the spectral start works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from umapcore._kit.arrays import Csr, read_only
from umapcore.device.spectral_ops import BOUND, LARGEST_INVERSE

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class NumbaLevel:
    """A level in host memory; see :class:`umapcore.device.spectral_ops.Level`.

    Attributes
    ----------
    graph
        CSR with float32 weights and no self-loops.
    degrees
        float64, (n,): sum of the weights of every vertex, including edges inside an aggregate.
    shares
        float64, (n,): share of each degree that belongs to stored edges, which leave the vertex.
    inverse
        float32, (n,): 1 / degrees.
    """

    graph: Csr
    degrees: NDArray[np.float64]
    shares: NDArray[np.float64]
    inverse: NDArray[np.float32]

    @property
    def n_vertices(self) -> int:
        """Number of vertices."""
        return int(self.degrees.shape[0])

    @property
    def bound(self) -> float:
        """Upper bound of the eigenvalues of 1 - P."""
        return BOUND * float(self.shares.max())


@dataclass(frozen=True)
class Aggregates:
    """Which vertices of a level become one vertex of the next level.

    Attributes
    ----------
    coarse
        int32, (n,): aggregate of each vertex.
    offsets, members
        Aggregate c has the vertices ``members[offsets[c]:offsets[c + 1]]``.
    """

    coarse: NDArray[np.int32]
    offsets: NDArray[np.int64]
    members: NDArray[np.int32]


def make_level(graph: Csr, degrees: NDArray[np.float64], shares: NDArray[np.float64]) -> NumbaLevel:
    """Make a level of its arrays, which become read-only."""
    # Divide in float64, so that an inverse is rounded to float32 only once.
    inverse = np.minimum(1.0 / degrees, LARGEST_INVERSE).astype(np.float32)
    return NumbaLevel(
        Csr(*map(read_only, graph)), read_only(degrees), read_only(shares), read_only(inverse)
    )
