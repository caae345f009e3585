"""The edge plan, made on the device: the same arrays as :func:`umapcore.layout.plan.build_plan`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from umapcore.layout.constants import N_BUCKETS, N_PHASES
from umapcore.layout.plan import least_weight, longest_step, pool_size, pull_exponent
from umapcore_cupy.host.scan import sum_up
from umapcore_cupy.layout.graph import heaviest_weight

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore.layout.plan import EdgePlan
    from umapcore.layout.spec import OptimizerSpec
    from umapcore_cupy.host.device import Array, Device
    from umapcore_cupy.layout.graph import DeviceGraph


@dataclass(frozen=True)
class DevicePlan:
    """An edge plan whose arrays are on a device: see :class:`umapcore.layout.plan.EdgePlan`.

    Attributes
    ----------
    n_vertices, n_edges, n_walkers
        Sizes.
    bucket_walkers
        int64, (buckets + 1,), on the host like `bucket_offsets`: first walker of each bucket.
    own_walkers, own_places
        int64, on the host.
    tails, rates
        None if edges stay on the host.
    """

    n_epochs: int
    n_vertices: int
    n_edges: int
    n_walkers: int
    bucket_offsets: NDArray[np.int64]
    bucket_walkers: NDArray[np.int64]
    own_walkers: NDArray[np.int64]
    own_places: NDArray[np.int64]
    order: Array
    first_walkers: Array
    heads: Array
    row_offsets: Array
    tails: Array | None
    rates: Array | None
    pull_exponent: int
    pool_size: int


def build_on_device(device: Device, graph: DeviceGraph, spec: OptimizerSpec) -> DevicePlan:
    """Prune, schedule and bucket a graph that is on the device."""
    device.compile("plan")
    n = graph.n_vertices
    size = np.int64(n)
    n_epochs = spec.epochs_for(n)
    rows = (graph.indptr, graph.indices, graph.weights)

    heaviest = heaviest_weight(device, graph)
    pruning = (np.float64(heaviest), np.float64(least_weight(spec, n)))
    degrees = device.empty(n, np.int32)
    ranks = device.empty(n, np.int32)
    device.launch(
        "count_rows", n, size, graph.indptr, graph.weights, *pruning, degrees, ranks
    )  # fmt: skip
    buckets = device.empty(n, np.uint8)
    for phase in range(N_PHASES):
        device.launch(
            "part_neighbours", -(-n // N_PHASES), np.int32(phase), size, *rows, buckets
        )  # fmt: skip

    keys = device.empty(n, np.uint64)
    device.launch("make_keys", n, size, buckets, ranks, keys)
    del ranks
    device.sort(keys)
    order, places = device.empty(n, np.int32), device.empty(n, np.int32)
    first_walkers = device.empty(n + 1, np.int64)
    # The first places of the buckets, and their first walkers.
    firsts = device.empty(2 * (N_BUCKETS + 1), np.int64)
    device.launch(
        "place_vertices", n, size, keys, degrees, order, places, first_walkers, firsts
    )  # fmt: skip
    del keys
    sum_up(device, first_walkers, n + 1)
    device.launch("take_firsts", N_BUCKETS + 1, first_walkers, firsts)
    bucket_offsets, bucket_walkers = device.download(firsts).reshape(2, -1)

    n_walkers = int(bucket_walkers[-1])
    heads = device.empty(n_walkers, np.int32)
    row_offsets = device.empty(n_walkers + 1, np.int64)
    device.launch("deal_out", n, size, order, degrees, first_walkers, heads, row_offsets)
    del degrees
    sum_up(device, row_offsets, n_walkers + 1)
    n_kept = int(device.download(row_offsets, 1, start=n_walkers)[0])
    tails, rates = device.empty(n_kept, np.int32), device.empty(n_kept, np.uint32)
    crowd = device.zeros(1, np.int32)
    device.launch(
        "fill_rows", n, size, *rows, *pruning, order, places, buckets, first_walkers,
        row_offsets, tails, rates, crowd,
    )  # fmt: skip
    return DevicePlan(
        n_epochs=n_epochs,
        n_vertices=n,
        n_edges=n_kept,
        n_walkers=n_walkers,
        bucket_offsets=bucket_offsets,
        bucket_walkers=bucket_walkers,
        own_walkers=np.stack([bucket_walkers[:-1], bucket_walkers[1:]], axis=1),
        own_places=np.array([0, n]),
        order=order,
        first_walkers=first_walkers,
        heads=heads,
        row_offsets=row_offsets,
        tails=tails,
        rates=rates,
        pull_exponent=pull_exponent(int(device.download(crowd)[0]), longest_step(spec)),
        pool_size=pool_size(n),
    )


def bring(device: Device, plan: EdgePlan, *, with_edges: bool) -> DevicePlan:
    """Copy a plan that was made on the host, with or without its edges."""
    return DevicePlan(
        n_epochs=plan.n_epochs,
        n_vertices=plan.n_vertices,
        n_edges=plan.n_edges,
        n_walkers=plan.heads.shape[0],
        bucket_offsets=plan.bucket_offsets,
        bucket_walkers=plan.first_walkers[plan.bucket_offsets],
        own_walkers=plan.own_walkers,
        own_places=plan.own_places,
        order=device.upload(plan.order),
        first_walkers=device.upload(plan.first_walkers),
        heads=device.upload(plan.heads),
        row_offsets=device.upload(plan.row_offsets),
        tails=device.upload(plan.tails) if with_edges else None,
        rates=device.upload(plan.rates) if with_edges else None,
        pull_exponent=plan.pull_exponent,
        pool_size=plan.pool_size,
    )
