"""Answer umap-learn's ``nearest_neighbors``, with which ``umap.UMAP.fit`` searches many points.

umap-learn also gets an index from it, for new points. Ours is umap-learn's own, which is built when
something first asks for it: a model that never sees new points does without.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from umapcore._kit.arrays import is_sparse
from umapcore._kit.checks import check_integer
from umapcore._kit.seeds import seed_from
from umapcore.accel.route import (
    NoPartError,
    NotOfferedError,
    Options,
    arguments_of,
    global_random_state,
    rewound_on_failure,
    take_or_pass_on,
)
from umapcore.accel.umap_learn import threads_of_fit
from umapcore.anndata_io.representation import checked_points
from umapcore.neighbors.metrics import OWN_METRICS
from umapcore.neighbors.search import find_neighbors

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

#: All parameters from 0.5.0 to 0.5.12.
_KNOWN = frozenset(
    {
        "X", "n_neighbors", "metric", "metric_kwds", "angular", "random_state", "low_memory",
        "use_pynndescent", "n_jobs", "verbose",
    }
)  # fmt: skip


def call(original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer a call of ``umap.umap_.nearest_neighbors``."""
    return take_or_pass_on("umap.umap_.nearest_neighbors", _take, original, args, kwargs)


def _take(
    options: Options, original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[NDArray[np.int32], NDArray[np.float32], Any]:
    if not options.neighbors:
        msg = "neighbors=False"
        raise NoPartError(msg)
    given = arguments_of(original, args, kwargs, _KNOWN).arguments
    points, metric = given["X"], given["metric"]
    if isinstance(metric, str) and metric == "precomputed":
        msg = "the distances are known already."
        raise NoPartError(msg)
    if not isinstance(metric, str) or metric not in OWN_METRICS or is_sparse(points):
        what = "sparse data have" if is_sparse(points) else f"metric={metric!r} has"
        msg = f"{what} no search of umapcore's own."
        raise NotOfferedError(msg)
    checked = checked_points(points, len(points), "X")
    n_neighbors = check_integer("n_neighbors", given["n_neighbors"], 1, checked.shape[0])
    random_state = global_random_state(given["random_state"])
    for_index = dict(given) | {"random_state": deepcopy(random_state)}
    with rewound_on_failure(random_state):
        knn, search = find_neighbors(
            checked,
            n_neighbors,
            metric=metric,
            metric_kwds=given["metric_kwds"],
            seed=seed_from(random_state),
            method=options.method,
            n_threads=threads_of_fit(options),
        )
    search.report(None)
    return knn.indices, knn.distances, DeferredIndex(lambda: original(**for_index)[2])


class DeferredIndex:
    """Stands for a search index, ``pynndescent.NNDescent``, and builds it when it is first used.

    It passes for one where types are checked, and is pickled as the index itself, so that saved
    models do not need umapcore.

    Parameters
    ----------
    build
        Returns the index.
    """

    def __init__(self, build: Callable[[], Any]) -> None:
        self._build: Callable[[], Any] | None = build
        self._index: Any = None

    @property
    def __class__(self) -> type:
        from pynndescent import NNDescent

        found: type = NNDescent
        return found

    @__class__.setter
    def __class__(self, value: type) -> None:
        msg = f"{value} cannot be assigned."
        raise TypeError(msg)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # programs that look for abilities must not start a search
            raise AttributeError(name)
        return getattr(self._opened(), name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._opened().__reduce_ex__(protocol)

    def _opened(self) -> Any:
        if self._build is not None:
            self._index, self._build = self._build(), None
        return self._index
