"""What the spectral start asks of a device: few operations on graphs and blocks of vectors.

A block is a float32 array, n × m, one vector a column; m is a multiple of :data:`LANES`. Every
entry of every result is one expression or one sum in one written order, so that all devices and
all numbers of threads give the same bits: rows of a graph are summed in the order of their edges,
dot products over blocks of :data:`BLOCK_ROWS` rows, and these by a fixed tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Vectors that a device works on at a time: the number of columns is a multiple of it.
LANES = 8
#: Rows of which a dot product first sums the terms.
BLOCK_ROWS = 4096


@dataclass(frozen=True)
class Level:
    """A weighted graph of the hierarchy: arrays on the device.

    Attributes
    ----------
    indptr, indices
        Offsets and columns of a CSR; no self-loops.
    weights
        float32, (edges,).
    degrees
        float64, (n,): weight of every vertex, that of edges inside of an aggregate included.
    shares
        float64, (n,): what of its degree leaves a vertex, by the edges that are stored.
    inverse
        float32, (n,): 1 / degrees.
    """

    indptr: NDArray[Any]
    indices: NDArray[Any]
    weights: NDArray[np.float32]
    degrees: NDArray[np.float64]
    shares: NDArray[np.float64]
    inverse: NDArray[np.float32]

    @property
    def n_vertices(self) -> int:
        """Number of vertices."""
        return int(self.degrees.shape[0])

    @property
    def bound(self) -> float:
        """No eigenvalue of 1 - P is above this (Gershgorin); never above 2, but for rounding."""
        return 2.000001 * float(self.shares.max())


class Linalg(Protocol):
    """The operations. D holds the degrees, W the weights, P is D^-1 W."""

    def degrees(self, indptr: Any, weights: Any) -> NDArray[np.float64]:
        """Sum every row of weights, in the order of the edges."""

    def apply(self, level: Level, x: Any, y: Any, alpha: float, beta: float, gamma: float) -> None:
        """Y = alpha (P - 1) x + beta x + gamma y, in float32; y must be finite.

        (P - 1) x is summed as w_ij (x_j - x_i): where x is smooth nothing cancels, and edges
        within an aggregate need not be stored.
        """

    def gram(self, level: Level, x: Any, y: Any) -> NDArray[np.float64]:
        """Give x'Dx and x'Dy, and in the first row of a third matrix x'D1, in float64.

        Returns
        -------
        float64, (3, m, m), on the host.
        """

    def rotate(
        self, x: Any, rotation: NDArray[np.float64], offset: NDArray[np.float64], out: Any
    ) -> None:
        """Out = x @ rotation - offset, in float64, rounded to float32."""

    def propose(
        self, level: Level, vertices: Any, scale: Any, taken: Any, least: Any, choice: Any
    ) -> None:
        """Write the heaviest neighbour of some vertices into their places in `choice`.

        Heaviest by ``weights[e] * scale[neighbour]``, of equals the one whose edge has the
        largest hash; neighbours that are `taken` do not count; -1 where there is none.
        """

    def group(self, coarse: Any, offsets: Any) -> NDArray[np.int32]:
        """Sort vertices by aggregate, and within it by number."""

    def contract(
        self, level: Level, offsets: Any, members: Any, coarse: Any
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float32]]:
        """Add up the edges between aggregates.

        Aggregate c has the vertices ``members[offsets[c]:offsets[c + 1]]``; `coarse` is the
        aggregate of every vertex. In a row of the result neighbours come in the order in which
        the members' edges first meet them; weights are summed in that order in float64.

        Returns
        -------
        indptr, indices, weights of the CSR of aggregates.
        """

    def permute(
        self, indptr: Any, indices: Any, weights: Any, order: Any
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float32]]:
        """Renumber the vertices of a CSR: place p gets vertex ``order[p]``, its edges in order."""
