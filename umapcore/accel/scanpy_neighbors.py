"""Give ``scanpy.pp.neighbors`` our search: from scanpy 1.10 on it takes a transformer.

All else stays scanpy's, the weights of the graph included. scanpy 1.9 has no transformers; its
search among many cells is umap-learn's ``nearest_neighbors``, which is rerouted itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from umapcore._kit.arrays import in_memory, is_sparse
from umapcore._kit.checks import check_integer
from umapcore.accel.route import (
    NoPartError,
    NotOfferedError,
    Options,
    arguments_of,
    global_random_state,
    rewound_on_failure,
    take_or_pass_on,
)
from umapcore.accel.scanpy_umap import from_rng
from umapcore.accel.transformer import KNeighborsTransformer
from umapcore.anndata_io.neighborhood import distances_to_others
from umapcore.neighbors.metrics import OWN_METRICS

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import ArrayLike
    from scipy import sparse

_KNOWN = frozenset(
    {
        "adata", "n_neighbors", "n_pcs", "distances", "use_rep", "knn", "method", "transformer",
        "metric", "metric_kwds", "random_state", "rng", "key_added", "copy",
    }
)  # fmt: skip


def call(original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer a call of ``scanpy.pp.neighbors``."""
    return take_or_pass_on("scanpy.pp.neighbors", _take, original, args, kwargs)


def _take(options: Options, original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not options.neighbors:
        msg = "neighbors=False"
        raise NoPartError(msg)
    bound = arguments_of(original, args, kwargs, _KNOWN)
    given = bound.arguments
    if "transformer" not in given:
        msg = "this scanpy leaves the search to umap-learn."
        raise NoPartError(msg)
    if given.get("distances") is not None:
        msg = "the distances are given."
        raise NoPartError(msg)
    asked = given["transformer"]
    if asked is not None and not (isinstance(asked, str) and asked == "pynndescent"):
        msg = "another transformer is asked for."
        raise NoPartError(msg)
    for name, offered in (("method", "umap"), ("knn", True)):
        if given.get(name, offered) != offered:
            msg = f"{name}={given[name]!r} is not offered by umapcore."
            raise NotOfferedError(msg)
    metric = "euclidean" if given["metric"] is None else given["metric"]  # None: scanpy 1.12
    if not isinstance(metric, str) or metric not in OWN_METRICS:
        msg = f"metric={metric!r} has no search of umapcore's own."
        raise NotOfferedError(msg)
    random_state = global_random_state(given.get("random_state", 0))
    if "rng" in given:
        random_state, _ = from_rng(given["rng"])
    with rewound_on_failure(random_state):
        given["transformer"] = _Search(
            given["n_neighbors"],
            metric=metric,
            metric_params=given.get("metric_kwds"),
            random_state=random_state,
            method=options.method,
            n_threads=options.n_threads,
        )
        return original(*bound.args, **bound.kwargs)


class _Search(KNeighborsTransformer):
    """What scanpy documents, and :func:`umapcore.pp.neighbors` writes: the n_neighbors - 1 others.

    scanpy adds the cells themselves where a transformer leaves them out, as cuML's does.
    """

    def fit_transform(self, X: ArrayLike, y: object = None) -> sparse.csr_matrix[np.float32]:
        """Return the distances, of which scanpy computes the weights."""
        if is_sparse(in_memory(X)):
            msg = "sparse data have no search of umapcore's own."
            raise NotOfferedError(msg)
        self.fit(X, y)
        k = check_integer("n_neighbors", self.n_neighbors, 2)
        return distances_to_others(self._neighbors(k))
