"""What the spectral start asks of a device: few operations on graphs and blocks of vectors.

A block is a float32 array, n × m, one vector a column; m is a multiple of :data:`BLOCK_COLUMNS`.
Every entry of every result is one expression or one sum in one written order, so that all devices
and numbers of threads give the same bits. Products with the graph's matrix are summed over a row's
edges in their order, :data:`RUN` edges at a time; dot products over blocks of :data:`BLOCK_ROWS`
rows, and these by a fixed tree; degrees one edge after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

#: Vectors that a device works on at a time: the number of columns is a multiple of it.
BLOCK_COLUMNS = 8
#: Rows of which a dot product first sums the terms.
BLOCK_ROWS = 1024
#: Edges of a row of which a sum first sums the terms: the row of a hub is no one long chain.
RUN = 256
#: Degrees can be so small that their inverse is no float32.
LARGEST_INVERSE = 1e38
#: No eigenvalue of 1 - P exceeds this times the largest share of a degree that leaves a vertex
#: (Gershgorin, and a little for rounding).
BOUND = 2.000001

#: Coarsening: vertices of which this much less leaves than is usual on their level are not
#: merged: they are clusters of their own, and vectors that tell them apart must survive.
SECLUDED = 0.1
#: Edges of less than this share of a vertex's heaviest weight are not proposed along.
STRONG = 0.25
#: Rounds of proposals; most graphs need fewer.
ROUNDS = 8
#: A round that matches less than this share of the vertices is the last one.
FEW = 0.02
#: Rounds in which coins are tossed for what is left.
TOSSES = 4


class Level(Protocol):
    """A weighted graph of the hierarchy, on the device.

    It has no self-loops: what is inside of a vertex that stands for several counts towards its
    degree only.
    """

    @property
    def n_vertices(self) -> int:
        """Number of vertices."""

    @property
    def bound(self) -> float:
        """No eigenvalue of 1 - P is above this."""


class HostLevel(NamedTuple):
    """A level on the host: CSR, and the float64 degrees."""

    indptr: NDArray[Any]
    indices: NDArray[Any]
    weights: NDArray[np.float32]
    degrees: NDArray[np.float64]


class SpectralOps(Protocol):
    r"""The operations. D holds the degrees, W the weights, P is D^-1 W.

    Levels, which are `Level`\ s, aggregates, orders and blocks are the device's own.
    """

    def components(self, graph: Any) -> tuple[int, NDArray[np.int32] | None]:
        """Count the connected components of a graph, and label them where there are several.

        Returns
        -------
        count
            How many there are.
        labels
            int32, (n,), on the host: component of every vertex, numbered by their first
            vertices. May be None where there is one.
        """

    def to_host(self, graph: Any) -> csr_array[Any, Any]:
        """Give a graph that may be on the device as SciPy's CSR."""

    def finest(self, graph: Any) -> Level:
        """Make a level of a graph: a CSR of the host's, or one that the device has."""

    def coarsen(self, level: Any) -> tuple[Level, Any]:
        """Make a level of about half as many vertices by heavy-edge matching.

        See :mod:`umapcore_numba.spectral.coarsen` for what exactly it is.

        Returns
        -------
        The smaller level, and its aggregates: which vertices of the level are one of it.
        """

    def bring(self, level: Any) -> HostLevel:
        """Copy a level to the host."""

    def unfold(self, aggregates: Any, order: Any, *, by_place: bool) -> tuple[Any, Any]:
        """Order the vertices of a level by their aggregates, and these by `order`.

        Parameters
        ----------
        aggregates
            Of the level.
        order
            Coarse vertices in their order; None: as they are numbered.
        by_place
            Whether blocks of the coarser level are in that order.

        Returns
        -------
        order
            Vertices in their order.
        source
            Row of a block of the coarser level that each row of an ordered block is prolonged
            from.
        """

    def reorder(self, level: Any, order: Any) -> Level:
        """Renumber the vertices of a level: place p gets vertex ``order[p]``."""

    def source(self, aggregates: Any) -> Any:
        """Rows of the coarser level that the rows of a block are prolonged from, without order."""

    def block(self, values: NDArray[np.float32]) -> Any:
        """Make a block of values of the host's."""

    def zeros_like(self, x: Any) -> Any:
        """Make a block of zeros."""

    def prolong(self, x: Any, source: Any) -> Any:
        """Make a block of the rows ``x[source]``."""

    def apply(
        self, level: Any, x: Any, y: Any, steps: Sequence[tuple[float, float, float]]
    ) -> tuple[Any, Any]:
        """Y = alpha (P - 1) x + beta x + gamma y, in float32, for each (alpha, beta, gamma).

        After each step x and y change places; y must be finite. (P - 1) x is summed as
        w_ij (x_j - x_i): where x is smooth nothing cancels, and edges within an aggregate need not
        be stored.

        Returns
        -------
        The block that was written last, and the other one.
        """

    def gram(self, level: Any, x: Any, y: Any) -> NDArray[np.float64]:
        """Give x'Dx and x'Dy, and in the first row of a third matrix x'D1, in float64.

        Returns
        -------
        float64, (3, m, m), on the host.
        """

    def rotate(
        self, x: Any, rotation: NDArray[np.float64], offset: NDArray[np.float64], out: Any
    ) -> None:
        """Out = x @ rotation - offset, in float64, rounded to float32."""

    def unscale(self, level: Any, x: Any, order: Any, n_vectors: int) -> NDArray[np.float64]:
        """Give sqrt(D) x of the first columns of a block, on the host.

        Rows are those of the level if `order` is None, else row ``order[p]`` is the level's p.
        """
