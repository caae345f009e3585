"""Metrics that the exact searches support, and how their distances are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.mapped import empty_beside
from umapcore.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: Metrics of the kernels, and how they are computed: from |x - y|² of the points, or of the points
#: scaled to length 1, for which it is twice the cosine distance.
OWN_METRICS = {
    "euclidean": "euclidean",
    "l2": "euclidean",
    "sqeuclidean": "sqeuclidean",
    "cosine": "cosine",
    "correlation": "correlation",
}
#: Names of SciPy's metrics in scikit-learn and pynndescent.
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
    """Return whether :func:`exact_knn` has a metric; for sparse points, only its own metrics."""
    if not isinstance(metric, str):
        return callable(metric) and not is_sparse
    return metric in OWN_METRICS or (metric in METRICS and not is_sparse)


def refuse_parameters(metric: Any, metric_kwds: Mapping[str, Any] | None) -> None:
    """Raise ValueError if one of our own metrics is given parameters."""
    if metric_kwds:
        msg = f"metric_kwds={dict(metric_kwds)!r}: metric={metric!r} has no parameters."
        raise ValueError(msg)


def from_squares(squares: NDArray[np.float32], own: str) -> NDArray[np.float32]:
    """Convert squared Euclidean distances of points, or of their directions, to a metric."""
    if own == "sqeuclidean":
        return squares
    found = empty_beside(squares, squares.shape, np.float32)
    if own == "euclidean":
        np.sqrt(squares, out=found)
    else:
        np.multiply(squares, np.float32(0.5), out=found)
    return found


def scipy_metric(
    metric: Any, metric_kwds: Mapping[str, Any], points: NDArray[Any]
) -> tuple[Any, dict[str, Any]]:
    """Return SciPy's name and parameters of a metric, including those computed from the points."""
    name: Any = _ALIASES.get(metric, metric) if isinstance(metric, str) else metric
    options = dict(metric_kwds)
    if name == "seuclidean":  # of all points, not of those in a block
        options.setdefault("V", np.var(points, axis=0, ddof=1, dtype=np.float64))
    elif name == "mahalanobis" and "VI" not in options:
        options["VI"] = np.linalg.inv(np.atleast_2d(np.cov(points.T.astype(np.float64))))
    return name, options


def metric_name(metric: Any) -> str:
    """Return the name of a metric, in a form that can be stored in a file."""
    return metric if isinstance(metric, str) else getattr(metric, "__name__", repr(metric))


def unknown_metric(metric: Any, known: Any) -> ValueError:
    """Make the error for a metric that no search supports."""
    msg = f"metric={metric!r} is unknown: metric must be one of "
    msg += ", ".join(map(repr, sorted(known))) + ", or a function of two points."
    return ValueError(msg + did_you_mean(str(metric), known))
