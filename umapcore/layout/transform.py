"""Place new cells in an existing embedding, which does not change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.arrays import given_points
from umapcore._kit.blocks import by_blocks, is_lazy
from umapcore._kit.checks import check_integer
from umapcore._kit.progress import ProgressBar
from umapcore.device.select import fall_back, resolve_backend
from umapcore.errors import GPUUnavailableError, bad_type
from umapcore.layout.spec import OptimizerSpec
from umapcore.layout.transform_plan import build_transform, transform_epochs, transform_steps
from umapcore.logs import logger
from umapcore.neighbors.query import checked_neighbours
from umapcore.runs.job import Run

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from umapcore.device.protocol import Backend, Transform

#: Heads that are placed in one call; the progress bar and Ctrl-C are handled between calls.
_CHUNK = 32_768


def place(
    reference_embedding: ArrayLike,
    knn_indices: ArrayLike,
    knn_distances: ArrayLike,
    spec: OptimizerSpec | None = None,
    *,
    n_epochs: int | None = None,
    method: str = "umap",
    n_threads: int | None = None,
    progress: bool | None = None,
) -> NDArray[np.float32]:
    """Place new points in an existing embedding, which does not change.

    This is what ``umap.UMAP.transform`` does once the neighbours are known. Each new point starts
    at the mean of its neighbours' positions, weighted by their memberships. Its neighbours then
    attract it, and random points of the reference repel it.

    The position of a point depends only on the reference, its own neighbours and the
    specification. It does not depend on the number or order of the other new points, on threads
    or on the method. The bits are the same on every processor.

    If `knn_indices` or `knn_distances` is a Dask array, so is the result. Its blocks are computed
    when they are asked for, each from the same block of neighbours, by any of Dask's schedulers,
    and with the same bits as in memory. Values are checked then too; the row that an error names is
    counted from the first one of its block.

    Parameters
    ----------
    reference_embedding
        (n_reference, d): positions of the reference, finite; converted to float32.
    knn_indices
        (n, k), integers: the nearest reference points of each new point, in order of increasing
        distance. Rows with fewer neighbours end in -1.
    knn_distances
        (n, k): their distances, at least 0, in the space in which the reference's graph was
        built; converted to float32.
    spec
        The specification of the reference's layout. The curve, step size, gamma, negative
        samples and seed are taken from it. None: the defaults.
    n_epochs
        Number of epochs. None: a third of ``spec.n_epochs``, or 100 if that is None. 0 returns
        the weighted means.
    method
        ``'umap'``, ``'rapids'`` or ``'auto'``: see :func:`umapcore.tl.umap`.
    n_threads
        Threads on the CPU; None takes ``umapcore.settings.n_threads``, then numba's number. For
        each block of Dask arrays, None takes one, because Dask computes several at a time.
    progress
        True or False shows or hides a progress bar. None shows it on a terminal or in a notebook,
        for long runs. With Dask arrays there is none.

    Returns
    -------
    float32, n × d: an array in memory, or a Dask array with as many rows in each block as
    `knn_indices`, or else `knn_distances`, has. A point without neighbours gets NaN as its
    position, as in umap-learn; the number of such points is logged.

    Raises
    ------
    ValueError, TypeError
        For bad input; the message names the parameter, its value and what is allowed.
    GPUUnavailableError
        When a GPU is requested but not usable, and ``umapcore.settings.gpu_fallback`` is False.

    Examples
    --------
    >>> import numpy as np, umapcore
    >>> square = np.array([[0, 0], [0, 9], [9, 0], [9, 9]])
    >>> umapcore.place(square, [[0, 1], [3, 2]], [[1.0, 1.0], [0.0, 2.0]], n_epochs=0)
    array([[0. , 4.5],
           [9. , 9. ]], dtype=float32)
    """
    if spec is None:
        spec = OptimizerSpec()
    elif not isinstance(spec, OptimizerSpec):
        raise bad_type("spec", spec, "an OptimizerSpec or None")
    if n_epochs is not None:
        n_epochs = check_integer("n_epochs", n_epochs, 0, or_none=True)
    run = Run(method=method, n_threads=n_threads, progress=progress)
    reference = checked_reference(reference_embedding, "reference_embedding")
    spec = spec.replace(n_components=reference.shape[1])
    indices, distances = checked_neighbours(knn_indices, knn_distances, reference.shape[0])
    n_epochs = transform_epochs(spec, n_epochs)
    if not is_lazy(indices):
        return _Placement(reference, spec, n_epochs, run)(indices, distances)
    run = Run(method=method, n_threads=n_threads or 1, progress=False)
    placement, d = _Placement(reference, spec, n_epochs, run), reference.shape[1]
    placed: NDArray[np.float32] = by_blocks("place", placement, [indices, distances], d, np.float32)
    return placed


def checked_reference(embedding: Any, name: str) -> NDArray[np.float32]:
    """Check the positions of a reference, and return them as float32, C order.

    Raises
    ------
    ValueError, TypeError
        When they are not a matrix of finite real numbers.
    """
    allowed = "a matrix of finite real numbers, one row a point of the reference"
    return np.ascontiguousarray(given_points(embedding, name, allowed), np.float32)


@dataclass(frozen=True)
class _Placement:
    """Places points of which the neighbours are known and checked."""

    reference: NDArray[np.float32]
    spec: OptimizerSpec
    n_epochs: int
    run: Run

    def __call__(
        self, indices: NDArray[np.int32], distances: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        # As blocks of Dask arrays, they are fields of one array.
        indices, distances = np.ascontiguousarray(indices), np.ascontiguousarray(distances)
        backend = resolve_backend(self.run.method)
        try:
            try:
                return _place(backend, self, indices, distances)
            except GPUUnavailableError as error:
                cpu = fall_back(self.run.method, str(error))
            return _place(cpu, self, indices, distances)
        finally:
            backend.close()


def _place(
    backend: Backend,
    placement: _Placement,
    indices: NDArray[np.int32],
    distances: NDArray[np.float32],
) -> NDArray[np.float32]:
    reference, spec, run = placement.reference, placement.spec, placement.run
    n_epochs = placement.n_epochs
    n, d = indices.shape[0], reference.shape[1]
    placed = np.empty((n, d), np.float32)
    running: Transform | None = None
    with ProgressBar(n, run.progress, unit="cell") as bar:
        for first in range(0, n, _CHUNK):
            rows = slice(first, first + _CHUNK)
            plan = build_transform(
                indices[rows], distances[rows], reference, spec.seed, n_threads=run.n_threads
            )
            if n_epochs > 1:
                if running is None:
                    steps = transform_steps(spec, n_epochs)
                    running = backend.begin_transform(
                        reference, steps, spec, n_threads=run.n_threads
                    )
                placed[rows] = running.place(plan)
            else:
                placed[rows] = plan.start
            bar.update(plan.start.shape[0])
    lonely = int((indices[:, 0] < 0).sum())
    if lonely:
        logger.warning("%d new points have no neighbours: their positions are NaN", lonely)
    return placed
