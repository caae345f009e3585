"""The multilevel spectral start, level by level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from style import bare, figure

from tests.support import graphs
from umapcore.init import multilevel
from umapcore_numba.spectral.ops import NumbaSpectralOps

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_POINTS = 20_000


def draw() -> Figure:
    """Two eigenvectors on six of the levels; the colour is where on the sheet a vertex is."""
    # As `graphs.surface` draws them.
    place = np.random.default_rng(0).random((_POINTS, 2))
    found = _levels(graphs.surface(_POINTS), place)
    shown = [found[i] for i in np.linspace(0, len(found) - 1, 6).round().astype(int)]
    drawn = figure(8.4, 5.2)
    for ax, (block, where) in zip(drawn.subplots(2, 3).flat, shown, strict=True):
        # Signs mean nothing: those that make all panels alike are taken.
        along = where[:, 0] - 0.5
        alike = np.column_stack([along, 0.25 - np.abs(along)])
        points = block * np.sign((block * alike).sum(axis=0))
        colours = np.column_stack([where[:, 0], 0.35 + 0.3 * where[:, 1], 1 - where[:, 1]])
        ax.scatter(*points.T, s=np.clip(4000 / len(where), 0.8, 40), c=colours, linewidths=0)
        bare(ax, f"{len(where):,} vertices")
        ax.set_aspect("auto")
    return drawn


def _levels(graph: Any, place: NDArray[Any]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Run the solver and write down, coarsest first, what it has on each level.

    Returns
    -------
    Blocks of two vectors, and the mean places of the vertices of each level.
    """
    places, sizes = [place], [np.ones(len(place))]
    blocks: list[NDArray[Any]] = []
    coarsen, improve = NumbaSpectralOps.coarsen, multilevel._improve
    coarsest = multilevel._coarsest_vectors

    def watched_coarsen(ops: Any, level: Any) -> Any:
        smaller, aggregates = coarsen(ops, level)
        n, of = smaller.n_vertices, aggregates.coarse
        size = np.bincount(of, sizes[-1], n)
        summed = [np.bincount(of, sizes[-1] * places[-1][:, k], n) for k in range(2)]
        places.append(np.stack(summed, axis=1) / size[:, None])
        sizes.append(size)
        return smaller, aggregates

    def watched_improve(*arguments: Any) -> Any:
        improved = improve(*arguments)
        blocks.append(np.array(improved[0][:, :2]))
        return improved

    def watched_coarsest(*arguments: Any) -> Any:
        solved = coarsest(*arguments)
        blocks.append(np.array(solved[0][:, :2]))
        return solved

    with (
        mock.patch.object(NumbaSpectralOps, "coarsen", watched_coarsen),
        mock.patch.object(multilevel, "_improve", watched_improve),
        mock.patch.object(multilevel, "_coarsest_vectors", watched_coarsest),
        NumbaSpectralOps(1) as ops,
    ):
        multilevel.smallest_eigenvectors(graph, 2, ops)
    return list(zip(blocks, places[: len(blocks)][::-1], strict=True))
