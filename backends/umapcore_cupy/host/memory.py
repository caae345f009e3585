"""Estimates of the device memory that a layout needs, before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from umapcore.layout.constants import LONGEST_WALK, N_BUCKETS

#: Where the parts of a layout are.
Place = Literal["all on the device", "the plan on the host", "the edges on the host"]

# Bytes per vertex while the plan is made. 8 each: row offsets of the graph and of the walkers,
# first walkers, keys, the sort's second copy of the keys; 4 each: degrees, ranks, order, places,
# heads; 1: the bucket. Not all exist at the same time, but a pool cannot reuse all gaps.
_PLANNING = 5 * 8 + 5 * 4 + 1
#: Bytes per vertex that remain afterwards: row offsets, first walkers, heads, order.
_PLANNED = 2 * 8 + 2 * 4
# Log radii of data and embedding, and two terms; then two sums per walker.
_DENSITY = 4 * 4
_DENSITY_WALKER = 2 * 4
# Bytes per edge of the graph (column and weight), and of the plan (tail and rate).
_EDGE = 8
#: Edges per buffer; two buffers stream the edges that stay on the host.
CHUNK_EDGES = 4 << 20
# Pools, step sizes, scratch memory of sums, and rounding by the allocator.
_SMALL_CHANGE = 8 << 20


@dataclass(frozen=True)
class Needs:
    """Peak device memory of a layout in bytes, by where its parts are.

    Attributes
    ----------
    all_on_device
        The plan is made on the device: at most 16 bytes per edge and, in two dimensions, 64 per
        vertex.
    plan_on_host
        The plan is made on the host and copied: 8 bytes per edge.
    edges_on_host
        Edges are streamed in every epoch: no bytes per edge.
    """

    all_on_device: int
    plan_on_host: int
    edges_on_host: int

    def by_place(self) -> dict[Place, int]:
        """Return the bytes by place, the fastest place first."""
        return {
            "all on the device": self.all_on_device,
            "the plan on the host": self.plan_on_host,
            "the edges on the host": self.edges_on_host,
        }


def estimate(
    n_vertices: int,
    n_edges: int,
    n_components: int,
    *,
    graph_there: bool,
    density: bool = False,
) -> Needs:
    """Estimate what a layout needs at its peak.

    Parameters
    ----------
    n_vertices, n_edges
        Sizes of the graph.
    n_components
        Dimensions of the layout.
    graph_there
        Whether the graph is already on the device.
    density
        Whether densities are preserved.
    """
    # Positions and pulls; a second copy of the positions when they are copied in or out; and where
    # the heads of one bucket walked to, with room for twice the average bucket.
    moving = 4 * n_components * (3 * n_vertices + 2 * n_vertices // N_BUCKETS)
    if density:
        most_walkers = n_vertices + n_edges // LONGEST_WALK
        moving += _DENSITY * n_vertices + _DENSITY_WALKER * most_walkers
    graph = 0 if graph_there else _EDGE * n_edges
    planning = _PLANNING * n_vertices + graph + _EDGE * n_edges
    planned = _PLANNED * n_vertices + _EDGE * n_edges
    return Needs(
        all_on_device=max(planning, planned + moving) + _SMALL_CHANGE,
        plan_on_host=planned + moving + _SMALL_CHANGE,
        edges_on_host=(
            planned - _EDGE * n_edges + moving
            + 2 * _EDGE * min(n_edges, CHUNK_EDGES) + _SMALL_CHANGE
        ),
    )  # fmt: skip


def in_words(n_bytes: int) -> str:
    """Format a number of bytes: ``'1.5 GiB'``."""
    size = float(n_bytes)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
