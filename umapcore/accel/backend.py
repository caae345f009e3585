"""umapcore as a backend of scanpy's dispatch: entry point ``umapcore`` of ``scanpy.backends``.

With a scanpy that dispatches by scverse-backends, ``sc.tl.umap(adata, backend="umapcore")`` and
``sc.settings.backend = "umapcore"`` come here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from umapcore.accel.scanpy_umap import from_rng, key_of_settings, store

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    import numpy as np
    from anndata import AnnData
    from numpy.typing import ArrayLike, NDArray

    from umapcore.runs.checkpoint import Checkpoint
    from umapcore.runs.snapshots import Snapshots


class ScanpyBackend:
    """Functions that answer for scanpy's of the same names; for all others scanpy's own run.

    The dispatch hands arguments over by name and leaves out those that the caller left out. The
    parameters that scanpy's function lacks join its signature, with what is said of them here.
    """

    name: ClassVar = "umapcore"
    aliases: ClassVar[tuple[str, ...]] = ()

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
        progress: bool | None = None,
        callback: Callable[[int, NDArray[np.float32]], bool | None] | None = None,
        callback_every: int = 1,
        snapshots: int | Snapshots | None = None,
        checkpoint: str | PathLike[str] | Checkpoint | None = None,
    ) -> AnnData | None:
        """Embed by :func:`umapcore.tl.umap`, which describes and checks the parameters.

        Parameters
        ----------
        adata, min_dist, spread, n_components, maxiter, alpha, gamma, negative_sample_rate
            See there, as for `init_pos`, `a`, `b`, `method`, `neighbors_key` and `copy`.
        rng
            What scanpy makes of its `rng` or `random_state`. An integer `random_state` is the seed.
        key_added
            Left out, scanpy's settings decide.
        density_weight
            Above 0, local densities of the data are preserved (densMAP), 2 in umap-learn.
        density_fraction
            Share of the epochs, the last ones, that preserve densities.
        density_shift
            Added to the variance of the log radii in the embedding.
        n_threads
            Threads on the CPU. None takes ``umapcore.settings.n_threads``, then numba's number.
        progress
            Show a progress bar. None shows one for a run that lasts.
        callback
            Called as ``callback(epoch, positions)``. When it returns True the run ends there.
        callback_every
            Epochs between calls.
        snapshots
            Epochs between positions that are kept, or a ``umapcore.Snapshots``.
        checkpoint
            File that a run is saved to as it goes and continued from, or a ``umapcore.Checkpoint``.

        Returns
        -------
        None, or the new object when `copy` is true.
        """
        from umapcore.tl import umap

        random_state, stored = from_rng(rng)
        if key_added is ...:
            key_added = key_of_settings()
        result = umap(
            adata,
            min_dist=min_dist,
            spread=spread,
            n_components=n_components,
            maxiter=maxiter,
            alpha=alpha,
            gamma=gamma,
            negative_sample_rate=negative_sample_rate,
            init_pos=init_pos,
            random_state=random_state,
            a=a,
            b=b,
            method=method,
            key_added=key_added,
            neighbors_key=neighbors_key,
            copy=copy,
            density_weight=density_weight,
            density_fraction=density_fraction,
            density_shift=density_shift,
            n_threads=n_threads,
            progress=progress,
            callback=callback,
            callback_every=callback_every,
            snapshots=snapshots,
            checkpoint=checkpoint,
        )
        target = adata if result is None else result
        store(target, "umap" if key_added is None else key_added, stored)
        return result
