"""umapcore as a backend of scanpy's dispatch: entry point ``umapcore`` of ``scanpy.backends``.

If scanpy dispatches through scverse-backends, ``sc.pp.neighbors(adata, backend="umapcore")``, the
same of ``sc.tl.umap``, and ``sc.settings.backend = "umapcore"`` call this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from umapcore.accel.scanpy_umap import from_rng, key_of_settings, store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike

    import numpy as np
    from anndata import AnnData
    from distributed import Client
    from numpy.typing import ArrayLike, NDArray

    from umapcore.runs.checkpoint import Checkpoint
    from umapcore.runs.snapshots import Snapshots


class ScanpyBackend:
    """Functions that replace scanpy's functions of the same names; all others stay scanpy's.

    The dispatch passes arguments by name, and only those that the caller gave. Parameters that
    scanpy's function lacks are added to its signature, with their descriptions from here.
    """

    name: ClassVar = "umapcore"
    aliases: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def neighbors(
        adata: AnnData,
        n_neighbors: int = 15,
        n_pcs: int | None = None,
        *,
        distances: Any = None,
        use_rep: str | None = None,
        knn: bool = True,
        method: str = "umap",
        transformer: Any = None,
        metric: str | Callable[[NDArray[Any], NDArray[Any]], float] | None = None,
        metric_kwds: Mapping[str, Any] | None = None,
        rng: Any = None,
        key_added: str | None = None,
        copy: bool = False,
        exact: bool | None = None,
        accuracy: float | None = None,
        n_threads: int | None = None,
        progress: bool | None = None,
    ) -> AnnData | None:
        """Find neighbours by :func:`umapcore.pp.neighbors`, which describes and checks parameters.

        Parameters
        ----------
        adata, n_neighbors, n_pcs, use_rep, method, metric, metric_kwds, key_added, copy
            See there.
        rng
            Object that scanpy makes from its `rng` or `random_state`. An integer `random_state` is
            the seed.
        distances, knn, transformer
            Only their defaults, None, True and None, are allowed.
        exact
            Whether all cells are compared with each other. None: yes while that is faster.
        accuracy
            Recall that an approximate search aims at, above 0 and at most 1. None: 0.99.
        n_threads
            Threads on the CPU. None uses ``umapcore.settings.n_threads``, else numba's number.
        progress
            Show a progress bar. None shows one for a long search.

        Returns
        -------
        None, or the new object when `copy` is true.
        """
        given = dict(locals())
        from umapcore.errors import bad_value
        from umapcore.pp import neighbors

        for name, allowed in (("distances", None), ("knn", True), ("transformer", None)):
            if given[name] is not allowed:
                raise bad_value(name, given[name], f"{allowed} with the backend umapcore")
            del given[name]
        random_state, _ = from_rng(given.pop("rng"))
        given["metric"] = "euclidean" if metric is None else metric
        return neighbors(random_state=random_state, **given)

    @staticmethod
    def umap(
        adata: AnnData,
        *,
        min_dist: float = 0.5,
        spread: float = 1.0,
        n_components: int = 2,
        maxiter: int | None = None,
        alpha: float = 1.0,
        gamma: float = 1.0,
        negative_sample_rate: int = 5,
        init_pos: str | ArrayLike | None = "spectral",
        rng: Any = None,
        a: float | None = None,
        b: float | None = None,
        method: str = "umap",
        key_added: Any = ...,
        neighbors_key: str | None = None,
        copy: bool = False,
        density_weight: float = 0.0,
        density_fraction: float = 0.3,
        density_shift: float = 0.1,
        n_threads: int | None = None,
        memory_limit: int | str | None = None,
        progress: bool | None = None,
        callback: Callable[[int, NDArray[np.float32]], bool | None] | None = None,
        callback_every: int = 1,
        snapshots: int | Snapshots | None = None,
        checkpoint: str | PathLike[str] | Checkpoint | None = None,
        devices: Sequence[int] | None = None,
        client: Client | None = None,
    ) -> AnnData | None:
        """Embed by :func:`umapcore.tl.umap`, which describes and checks the parameters.

        Parameters
        ----------
        adata, min_dist, spread, n_components, maxiter, alpha, gamma, negative_sample_rate
            See there, also for `init_pos`, `a`, `b`, `method`, `neighbors_key` and `copy`.
        rng
            Object that scanpy makes from its `rng` or `random_state`. An integer `random_state` is
            the seed.
        key_added
            If it is not given, scanpy's settings decide.
        density_weight
            Above 0, local densities of the data are preserved (densMAP). umap-learn uses 2.
        density_fraction
            Share of the epochs, counted from the end, that preserve densities.
        density_shift
            Added to the variance of the log radii in the embedding.
        n_threads
            Threads on the CPU. None uses ``umapcore.settings.n_threads``, else numba's number.
        memory_limit
            Most memory of the process, such as ``'6GB'``. None uses
            ``umapcore.settings.memory_limit``, else what the system can give.
        progress
            Show a progress bar. None shows one for a long run.
        callback
            Called as ``callback(epoch, positions)``. The run ends there when it returns True.
        callback_every
            Epochs between calls.
        snapshots
            Epochs between the positions that are kept, or a ``umapcore.Snapshots``.
        checkpoint
            File to save the run to and continue it from, or a ``umapcore.Checkpoint``.
        devices
            Numbers of the GPUs that share the epochs.
        client
            A ``distributed.Client``, whose workers share the epochs.

        Returns
        -------
        None, or the new object when `copy` is true.
        """
        given = dict(locals())
        from umapcore.tl import umap

        random_state, stored = from_rng(given.pop("rng"))
        if key_added is ...:
            given["key_added"] = key_added = key_of_settings()
        result = umap(random_state=random_state, **given)
        target = adata if result is None else result
        store(target, "umap" if key_added is None else key_added, stored)
        return result
