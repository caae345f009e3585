"""What is laid out (`Job`), and how (`Run`): both are checked on creation, before any work."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.checks import check_integer
from umapcore._kit.threads import thread_count
from umapcore.device.select import check_method
from umapcore.errors import bad_type, bad_value
from umapcore.layout.spec import OptimizerSpec
from umapcore.runs.checkpoint import Keeper, check_checkpoint
from umapcore.runs.snapshots import check_snapshots
from umapcore.settings import memory_size

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from distributed import Client
    from numpy.typing import NDArray

    from umapcore.runs.checkpoint import Checkpoint
    from umapcore.runs.provenance import Origin
    from umapcore.runs.snapshots import Snapshots

    #: Called with the number of finished epochs and a copy of the positions; True stops the run.
    Callback = Callable[[int, NDArray[np.float32]], bool | None]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is laid out: see :func:`umapcore.simplicial_set_embedding`.

    Attributes
    ----------
    graph, spec, init, distances, representation, metric
        As there; `spec` may be None for the defaults.
    graph_name, distances_name
        Their names in messages.
    n_vertices
        Number of vertices that the graph must have, if known.

    Raises
    ------
    ValueError, TypeError
        For errors that do not depend on the graph; the message names the parameter.
    """

    graph: Any
    spec: OptimizerSpec = field(default_factory=OptimizerSpec)
    init: Any = "spectral"
    distances: Any = None
    representation: Any = None
    metric: str = "euclidean"
    graph_name: str = "graph"
    distances_name: str = "distances"
    n_vertices: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.spec, OptimizerSpec):
            raise bad_type("spec", self.spec, "an OptimizerSpec or None")
        if not isinstance(self.metric, str):
            raise bad_type("metric", self.metric, "the name of a metric")
        if self.spec.density_weight > 0 and self.distances is None:
            msg = (
                f"density_weight={self.spec.density_weight:g} needs distances: those between "
                "neighbours in the data, a sparse matrix of the graph's shape."
            )
            raise ValueError(msg)


@dataclass(frozen=True, kw_only=True)
class Run:
    """How a job is run; nothing here has an effect on the bits of the result.

    Attributes
    ----------
    method, n_threads, memory_limit, progress, callback, callback_every, start_epoch, stop_epoch
        As for :func:`umapcore.simplicial_set_embedding`.
    snapshots, checkpoint, timings
        Likewise; the run writes to each of them.
    client, devices
        Likewise: the workers of a ``distributed.Client``, or the GPUs that run the epochs.
    origin
        Receives the digests of graph and start.
    keeper
        Made from `checkpoint`; reads and writes its file.

    Raises
    ------
    ValueError, TypeError, OSError
        For errors that do not depend on the graph; the message names the parameter.
    """

    method: str = "umap"
    n_threads: int | None = None
    memory_limit: int | str | None = None
    progress: bool | None = None
    callback: Callback | None = None
    callback_every: int = 1
    start_epoch: int = 0
    stop_epoch: int | None = None
    timings: dict[str, float] | None = None
    snapshots: Snapshots | None = None
    checkpoint: str | os.PathLike[str] | Checkpoint | None = None
    client: Client | None = None
    devices: Sequence[int] | None = None
    origin: Origin | None = None
    keeper: Keeper | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        thread_count(self.n_threads)
        object.__setattr__(self, "memory_limit", memory_size("memory_limit", self.memory_limit))
        if self.progress is not None:
            if not isinstance(self.progress, (bool, np.bool_)):
                raise bad_type("progress", self.progress, "True, False or None")
            object.__setattr__(self, "progress", bool(self.progress))
        if self.callback is not None and not callable(self.callback):
            raise bad_type("callback", self.callback, "a function or None")
        every = check_integer("callback_every", self.callback_every, 1)
        object.__setattr__(self, "callback_every", every)
        if self.timings is not None and not isinstance(self.timings, dict):
            raise bad_type("timings", self.timings, "a dictionary or None")
        check_snapshots(self.snapshots)
        checkpoint = check_checkpoint(self.checkpoint)
        check_method(self.method)
        if self.client is not None:
            _check_client(self.client)
            if self.method == "rapids":
                raise bad_value("method", self.method, "'umap' for the workers of a client")
        if self.devices is not None:
            object.__setattr__(self, "devices", _checked_devices(self.devices, self.method))
            if self.client is not None:
                raise bad_value("devices", self.devices, "None for the workers of a client")
        if checkpoint is not None:
            object.__setattr__(self, "keeper", Keeper(checkpoint))

    def close(self) -> None:
        """Remove the checkpoint of a complete run; call this when the result has been stored."""
        if self.keeper is not None:
            self.keeper.close()

    def epochs(self, n_epochs: int) -> tuple[int, int]:
        """Return the first epoch and the epoch to stop at.

        Raises
        ------
        ValueError, TypeError
            When they are not in order, or larger than the number of epochs.
        """
        start = check_integer("start_epoch", self.start_epoch, 0, n_epochs)
        stop = n_epochs if self.stop_epoch is None else self.stop_epoch
        return start, check_integer("stop_epoch", stop, start, n_epochs)


def _check_client(client: Any) -> None:
    """Check that `client` is a client that functions can wait for.

    Raises
    ------
    ValueError, TypeError
        If it is not.
    """
    allowed = "a distributed.Client (of the extra umapcore[dask]) or None"
    distributed = sys.modules.get("distributed")  # whoever has a client has loaded it
    if distributed is None or not isinstance(client, distributed.Client):
        raise bad_type("client", client, allowed)
    if client.asynchronous:
        raise bad_value("client", client, allowed + ", and not asynchronous")
    if client.status != "running":
        raise bad_value("client", client, allowed + ", and connected")


def _checked_devices(devices: object, method: str) -> tuple[int, ...]:
    """Return the numbers of GPUs.

    Raises
    ------
    ValueError, TypeError
        If they are not different integers from 0 on, or if the method does not use a GPU.
    """
    allowed = "None, or a list of different numbers of GPUs, such as [0, 1]"
    if isinstance(devices, str) or not isinstance(devices, Iterable):
        raise bad_type("devices", devices, allowed)
    numbers = tuple(check_integer("devices", each, 0) for each in devices)
    if not numbers or len(set(numbers)) < len(numbers):
        raise bad_value("devices", devices, allowed)
    if method == "umap":
        raise bad_value("devices", devices, "None for method='umap', which uses the CPU")
    return numbers
