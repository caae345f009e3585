"""Metrics: which ones the exact searches know, and what they are functions of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: Metrics of the kernels, and what distance they are a function of: |x - y|² of the points, or
#: of the points scaled to length 1, of which it is twice the cosine distance.
OWN_METRICS = {
    "euclidean": "euclidean",
    "l2": "euclidean",
    "sqeuclidean": "sqeuclidean",
    "cosine": "cosine",
    "correlation": "correlation",
}
#: Names that scikit-learn and pynndescent have for metrics of SciPy.
_ALIASES = {
    "manhattan": "cityblock",
    "l1": "cityblock",
    "taxicab": "cityblock",
    "linf": "chebyshev",
    "linfinity": "chebyshev",
    "linfty": "chebyshev",
}
_SCIPY_METRICS = frozenset(
    {
        "braycurtis", "canberra", "chebyshev", "cityblock", "dice", "hamming", "jaccard",
        "jensenshannon", "mahalanobis", "minkowski", "rogerstanimoto", "russellrao", "seuclidean",
        "sokalsneath", "yule",
    }
)  # fmt: skip
METRICS = frozenset({*OWN_METRICS, *_ALIASES, *_SCIPY_METRICS})


def has_exact(metric: object, *, is_sparse: bool) -> bool:
    """Whether :func:`exact_knn` knows a metric; of sparse points it knows its own ones alone."""
    if not isinstance(metric, str):
        return callable(metric) and not is_sparse
    return metric in OWN_METRICS or (metric in METRICS and not is_sparse)


def from_squares(squares: NDArray[np.float32], own: str) -> NDArray[np.float32]:
    """Turn squared Euclidean distances of points, or of their directions, into a metric's."""
    if own == "euclidean":
        return np.sqrt(squares)
    return squares if own == "sqeuclidean" else squares * np.float32(0.5)


def scipy_metric(
    metric: Any, metric_kwds: Mapping[str, Any], points: NDArray[Any]
) -> tuple[Any, dict[str, Any]]:
    """Name and parameters of a metric of SciPy's, those that it takes from the points included."""
    name: Any = _ALIASES.get(metric, metric) if isinstance(metric, str) else metric
    options = dict(metric_kwds)
    if name == "seuclidean":  # of all points, not of those in a block
        options.setdefault("V", np.var(points, axis=0, ddof=1, dtype=np.float64))
    elif name == "mahalanobis" and "VI" not in options:
        options["VI"] = np.linalg.inv(np.atleast_2d(np.cov(points.T.astype(np.float64))))
    return name, options


def metric_name(metric: Any) -> str:
    """Name of a metric, as it can be stored in a file."""
    return metric if isinstance(metric, str) else getattr(metric, "__name__", repr(metric))


def unknown_metric(metric: Any, known: Any) -> ValueError:
    """Make the error for a metric that no search knows."""
    msg = f"metric={metric!r} is unknown: metric must be one of "
    msg += ", ".join(map(repr, sorted(known))) + ", or a function of two points."
    return ValueError(msg + did_you_mean(str(metric), known))
