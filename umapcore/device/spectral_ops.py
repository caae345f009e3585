"""The operations that the spectral start needs from a device, on graphs and blocks of vectors.

A block is a float32 array, n × m, with one vector per column; m is a multiple of
:data:`BLOCK_COLUMNS`. Every entry of a result is one expression, or one sum in a fixed order, so
all devices and numbers of threads give the same bits. Products with the graph's matrix are summed
over a row's edges in their order, in runs of :data:`RUN` edges. Dot products are summed over
blocks of :data:`BLOCK_ROWS` rows, and the sums of blocks by a fixed tree. Degrees are summed one
edge after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from umapcore._kit.arrays import Csr

#: Vectors that a device processes at a time; the number of columns is a multiple of it.
BLOCK_COLUMNS = 8
#: Rows per partial sum of a dot product.
BLOCK_ROWS = 1024
#: Edges per partial sum of a row, so that the row of a hub is not one long serial chain.
RUN = 256
#: Limit of inverse degrees: degrees can be so small that their inverse overflows float32.
LARGEST_INVERSE = 1e38
#: No eigenvalue of 1 - P exceeds this times the largest share of a vertex's degree that leaves the
#: vertex (Gershgorin, with a margin for rounding).
BOUND = 2.000001

#: Coarsening: a vertex is not merged if the share of its degree that leaves it is below this
#: factor times the median of its level. It is a cluster of its own, and vectors that separate it
#: from others must survive.
SECLUDED = 0.1
#: A vertex does not propose along edges below this share of its heaviest weight.
STRONG = 0.25
#: Maximum number of rounds of proposals; most graphs need fewer.
ROUNDS = 8
#: A round that matches less than this share of the vertices is the last one.
FEW = 0.02
#: Rounds in which the remaining vertices toss coins.
TOSSES = 4


class Level(Protocol):
    """A weighted graph of the hierarchy, on the device.

    It has no self-loops: edges inside a merged vertex count only towards its degree.
    """

    @property
    def n_vertices(self) -> int:
        """Number of vertices."""

    @property
    def bound(self) -> float:
        """No eigenvalue of 1 - P is above this."""


class SpectralOps(Protocol):
    r"""The operations. D holds the degrees, W the weights, P is D^-1 W.

    Levels (`Level`\ s), aggregates, orders and blocks have types of the device's own.
    """

    def components(self, graph: Any) -> tuple[int, NDArray[np.int32] | None]:
        """Count the connected components of a graph, and label them if there are several.

        Returns
        -------
        count
            Number of components.
        labels
            int32, (n,), on the host: component of each vertex; components are numbered in the
            order of their first vertices. May be None if there is one component.
        """

    def to_host(self, graph: Any) -> csr_array[Any, Any]:
        """Return a graph, which may be on the device, as a SciPy CSR."""

    def finest(self, graph: Any) -> Level:
        """Make a level from a graph: a CSR on the host, or a graph on the device."""

    def coarsen(self, level: Any) -> tuple[Level, Any]:
        """Make a level with about half as many vertices by heavy-edge matching.

        :mod:`umapcore_numba.spectral.coarsen` defines the method exactly.

        Returns
        -------
        The smaller level, and its aggregates: the vertices of `level` that form each new vertex.
        """

    def bring(self, level: Any) -> tuple[Csr, NDArray[np.float64]]:
        """Copy a level to the host: its graph and the degrees."""

    def unfold(self, aggregates: Any, order: Any, *, by_place: bool) -> tuple[Any, Any]:
        """Sort the vertices of a level by their aggregates, with the aggregates in `order`.

        Parameters
        ----------
        aggregates
            Aggregates of the level.
        order
            Coarse vertices in the desired order; None: in the order of their numbers.
        by_place
            Whether blocks of the coarser level are in that order.

        Returns
        -------
        order
            Vertices in the new order.
        source
            For each row of an ordered block, the row of the coarser block from which it is
            prolonged.
        """

    def reorder(self, level: Any, order: Any) -> Level:
        """Renumber the vertices of a level: place p gets vertex ``order[p]``."""

    def source(self, aggregates: Any) -> Any:
        """Return the coarser row from which each row is prolonged, if levels are not reordered."""

    def block(self, values: NDArray[np.float32]) -> Any:
        """Make a block from values on the host."""

    def zeros_like(self, x: Any) -> Any:
        """Make a block of zeros."""

    def prolong(self, x: Any, source: Any) -> Any:
        """Return a block of the rows ``x[source]``."""

    def apply(
        self, level: Any, x: Any, y: Any, steps: Sequence[tuple[float, float, float]]
    ) -> tuple[Any, Any]:
        """Set y = alpha (P - 1) x + beta x + gamma y, in float32, for each (alpha, beta, gamma).

        After each step x and y are swapped; y must be finite. (P - 1) x is summed as
        w_ij (x_j - x_i). This avoids cancellation where x is smooth, and edges within an aggregate
        need not be stored.

        Returns
        -------
        The block that was written last, and the other block.
        """

    def gram(self, level: Any, x: Any, y: Any) -> NDArray[np.float64]:
        """Return x'Dx, x'Dy, and x'D1 in the first row of a third matrix, in float64.

        Returns
        -------
        float64, (3, m, m), on the host.
        """

    def rotate(
        self, x: Any, rotation: NDArray[np.float64], offset: NDArray[np.float64], out: Any
    ) -> None:
        """Set out = x @ rotation - offset, computed in float64 and rounded to float32."""

    def unscale(self, level: Any, x: Any, order: Any, n_vectors: int) -> NDArray[np.float64]:
        """Return sqrt(D) x for the first `n_vectors` columns of a block, on the host.

        If `order` is None, the rows are those of the level; else row ``order[p]`` is the level's
        row p.
        """
