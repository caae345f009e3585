"""umapcore's search for neighbours as a transformer in the manner of scikit-learn.

scikit-learn is not needed: what it and scanpy ask of a transformer are a few methods.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from umapcore._kit.arrays import in_memory, is_sparse
from umapcore._kit.checks import check_integer
from umapcore._kit.seeds import seed_from
from umapcore._kit.threads import thread_count
from umapcore.anndata_io.neighborhood import distance_matrix
from umapcore.anndata_io.representation import checked_points
from umapcore.device.select import check_method
from umapcore.errors import bad_type, did_you_mean
from umapcore.neighbors.query import nearest
from umapcore.neighbors.record import check_search
from umapcore.neighbors.search import find_neighbors

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator, RandomState
    from numpy.typing import ArrayLike, NDArray
    from scipy import sparse

    from umapcore.neighbors.knn import KNN
    from umapcore.neighbors.record import Search


class KNeighborsTransformer:
    """Transform points into the sparse matrix of the distances to their nearest neighbours.

    It has the methods of ``sklearn.neighbors.KNeighborsTransformer`` with ``mode='distance'`` and
    can take its place in ``scanpy.pp.neighbors`` and in scikit-learn's pipelines.

    Parameters
    ----------
    n_neighbors
        Number of neighbours of each point, itself not included. ``scanpy.pp.neighbors`` takes the
        weights from the first `n_neighbors` of a row, the point itself included.
    metric, metric_params
        As `metric` and `metric_kwds` of :func:`umapcore.pp.neighbors`.
    random_state, method, exact, accuracy, n_threads
        As there.

    Attributes
    ----------
    n_features_in_, n_samples_fit_
        Numbers of columns and rows of the points that it was fitted to.
    search_
        How :meth:`fit_transform` found the neighbours: kind, accuracy and measured recall.

    Examples
    --------
    >>> import scanpy as sc  # doctest: +SKIP
    >>> import umapcore as uc
    >>> search = uc.KNeighborsTransformer(n_neighbors=15, metric="cosine")
    >>> sc.pp.neighbors(adata, transformer=search)  # doctest: +SKIP
    """

    search_: Search

    def __init__(
        self,
        n_neighbors: int = 15,
        *,
        metric: str | Callable[[NDArray[Any], NDArray[Any]], float] = "euclidean",
        metric_params: Mapping[str, Any] | None = None,
        random_state: int | RandomState | Generator | None = 0,
        method: str = "umap",
        exact: bool | None = None,
        accuracy: float | None = None,
        n_threads: int | None = None,
    ) -> None:
        # As they are: scikit-learn's `clone` requires it. They are checked in `fit`.
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.metric_params = metric_params
        self.random_state = random_state
        self.method = method
        self.exact = exact
        self.accuracy = accuracy
        self.n_threads = n_threads

    def __repr__(self) -> str:
        parameters = inspect.signature(type(self)).parameters
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if value is not parameters[name].default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name; `deep` has no effect."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters, and return the transformer.

        Raises
        ------
        ValueError
            For a name that is none of them.
        """
        known = self.get_params()
        for name in parameters:
            if name not in known:
                msg = f"{name!r} is no parameter of {type(self).__name__}."
                raise ValueError(msg + did_you_mean(name, known))
        for name, value in parameters.items():
            setattr(self, name, value)
        return self

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Check the parameters and keep the points.

        Parameters
        ----------
        X
            (n, p), dense or sparse, real numbers; kept as float32.
        y
            Not used.

        Raises
        ------
        ValueError, TypeError
            The message names the parameter, its value and what is allowed.
        """
        check_method(self.method)
        thread_count(self.n_threads)
        check_search(self.exact, self.accuracy)
        if not (isinstance(self.metric, str) or callable(self.metric)):
            raise bad_type("metric", self.metric, "a name or a function of two points")
        if self.metric_params is not None and not isinstance(self.metric_params, Mapping):
            raise bad_type("metric_params", self.metric_params, "a dictionary or None")
        points = _points(X)
        check_integer("n_neighbors", self.n_neighbors, 1, points.shape[0] - 1)
        self._seed = seed_from(self.random_state)
        self._fitted = points
        self.n_samples_fit_, self.n_features_in_ = map(int, points.shape)
        return self

    def fit_transform(self, X: ArrayLike, y: object = None) -> sparse.csr_matrix[np.float32]:
        """Fit, and return the distances between the points.

        Returns
        -------
        float32 CSR, (n, n), with n_neighbors + 1 entries a row, by increasing distance: the first
        is the point itself, at distance 0.
        """
        self.fit(X, y)
        knn = self._neighbors(int(self.n_neighbors) + 1)
        return distance_matrix(*knn, self.n_samples_fit_)

    def transform(self, X: ArrayLike) -> sparse.csr_matrix[np.float32]:
        """Return the distances from other points to the fitted ones.

        Each point is compared with all fitted ones, for Euclidean, cosine and correlation
        distances and for SciPy's metrics; pynndescent searches by the others.

        Parameters
        ----------
        X
            (m, p), dense. A point that is also among the fitted ones is no special case.

        Returns
        -------
        float32 CSR, (m, n), with n_neighbors + 1 entries a row, by increasing distance.

        Raises
        ------
        ValueError, TypeError
            When it was not fitted, or the points are sparse or have other columns.
        """
        if not hasattr(self, "_fitted"):
            msg = f"This {type(self).__name__} has no points to search in: call fit first."
            raise ValueError(msg)
        points = _points(X)
        if is_sparse(points) or is_sparse(self._fitted):
            msg = "X: points to transform, and those of fit, must be dense: X.toarray()."
            raise ValueError(msg)
        if points.shape[1] != self.n_features_in_:
            msg = f"X has {points.shape[1]} columns, those of fit {self.n_features_in_}."
            raise ValueError(msg)
        metric: Any = self.metric
        indices, distances = nearest(
            self._fitted, points, int(self.n_neighbors) + 1, metric=metric,
            metric_kwds=self.metric_params, seed=self._seed, n_threads=self.n_threads,
        )  # fmt: skip
        return distance_matrix(indices, distances, self.n_samples_fit_)

    def _neighbors(self, k: int) -> KNN:
        """Search the k nearest points of each fitted one, itself included."""
        exact, accuracy = check_search(self.exact, self.accuracy)
        knn, self.search_ = find_neighbors(
            self._fitted,
            k,
            metric=self.metric,
            metric_kwds=self.metric_params,
            seed=self._seed,
            method=self.method,
            exact=exact,
            accuracy=accuracy,
            n_threads=self.n_threads,
        )
        self.search_.report(accuracy)
        return knn

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn, which is loaded when it asks, what it can expect."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="transformer",
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=["float32"]),
            input_tags=InputTags(sparse=True),
        )


def _points(X: Any) -> Any:
    """Return checked points: float32, dense in C order or canonical CSR."""
    given = in_memory(X)
    points = given if is_sparse(given) else np.asarray(given)
    if points.ndim != 2:
        msg = f"X has shape {points.shape}: it must be a matrix, one row a point."
        raise ValueError(msg)
    return checked_points(points, points.shape[0], "X")
