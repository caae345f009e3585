"""Answer umap-learn's ``simplicial_set_embedding`` with :func:`umapcore.simplicial_set_embedding`.

``umap.UMAP.fit`` calls it. Its parameters are the same in umap-learn 0.5.0 to 0.5.12.
"""

from __future__ import annotations

import sys
from math import gcd
from typing import TYPE_CHECKING, Any

from umapcore.accel.route import (
    NotOfferedError,
    Options,
    arguments_of,
    global_random_state,
    rewound_on_failure,
    take_or_pass_on,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

#: All parameters since 0.5.0.
_KNOWN = (
    "data",
    "graph",
    "n_components",
    "initial_alpha",
    "a",
    "b",
    "gamma",
    "negative_sample_rate",
    "n_epochs",
    "init",
    "random_state",
    "metric",
    "metric_kwds",
    "densmap",
    "densmap_kwds",
    "output_dens",
    "output_metric",
    "output_metric_kwds",
    "euclidean_output",
    "parallel",
    "verbose",
    "tqdm_kwds",
)
#: Methods of ``UMAP`` that call what is rerouted, and more stack frames than lie between.
_FITS = frozenset({"fit", "_fit_embed_data"})
_FRAMES = 12


def call(original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer a call of ``umap.umap_.simplicial_set_embedding``."""
    return take_or_pass_on("umap.umap_.simplicial_set_embedding", _take, original, args, kwargs)


def _take(
    options: Options, original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    given = arguments_of(original, args, kwargs, _KNOWN).arguments
    if not given.get("euclidean_output", True):
        msg = "an output metric other than Euclidean is not offered by umapcore."
        raise NotOfferedError(msg)

    from umapcore._kit.seeds import seed_from
    from umapcore.layout.embed import simplicial_set_embedding
    from umapcore.layout.spec import OptimizerSpec

    n_epochs = given["n_epochs"]
    wanted = sorted({int(epoch) for epoch in n_epochs}) if isinstance(n_epochs, list) else None
    random_state = global_random_state(given["random_state"])
    with rewound_on_failure(random_state):
        init = _start(given, random_state)
        spec = OptimizerSpec(
            n_components=given["n_components"],
            n_epochs=n_epochs if wanted is None else wanted[-1],
            alpha=given["initial_alpha"],
            gamma=given["gamma"],
            negative_sample_rate=given["negative_sample_rate"],
            a=given["a"],
            b=given["b"],
            seed=seed_from(random_state),
            **_density(given),
        )
        n_neighbors = _option(given, "n_neighbors") if given.get("output_dens") else None
        wants_distances = spec.density_weight > 0 or n_neighbors is not None
        distances = _option(given, "graph_dists") if wants_distances else None
        if given.get("densmap") and spec.n_epochs is None:
            # densMAP runs more epochs, whatever its weight.
            more = spec.replace(density_weight=spec.density_weight or 1.0)
            spec = spec.replace(n_epochs=more.epochs_for(given["graph"].shape[0]))
        snapshots = _Snapshots(wanted)
        embedding = simplicial_set_embedding(
            given["graph"],
            spec,
            init=init,
            distances=distances,
            representation=_representation(given["data"], given["metric"]),
            metric=_name_of(given["metric"]),
            method=options.method,
            n_threads=threads_of_fit(options),
            progress=_progress(given),
            callback=snapshots if wanted else None,
            callback_every=snapshots.every,
        )
        auxiliary: dict[str, Any] = {}
        if n_neighbors is not None:
            from umapcore.accel.radii import radii_of_data, radii_of_embedding

            n_threads = threads_of_fit(options)
            auxiliary["rad_orig"] = radii_of_data(given["graph"], distances, spec, n_threads)
            auxiliary["rad_emb"] = radii_of_embedding(embedding, n_neighbors, n_threads)
    if wanted is not None:
        auxiliary["embedding_list"] = [*snapshots.taken, embedding.copy()]
    return embedding, auxiliary


class _Snapshots:
    """Positions after the epochs of a list, which umap-learn counts from 0.

    The last entry is always the end of the run, even if the list holds the largest epoch twice.
    """

    def __init__(self, wanted: list[int] | None) -> None:
        self._finished = {epoch + 1 for epoch in (wanted or [])[:-1]}
        self.every = gcd(*self._finished) or 1
        self.taken: list[NDArray[np.float32]] = []

    def __call__(self, epoch: int, positions: NDArray[np.float32]) -> None:
        if epoch in self._finished:
            self.taken.append(positions)


def _start(given: Mapping[str, Any], random_state: Any) -> Any:
    """Translate umap-learn's `init` to umapcore's."""
    init = given["init"]
    if not isinstance(init, str):
        return init
    if init == "tswspectral":
        # Another solver for the same eigenvectors, for graphs on which 'spectral' is slow.
        return "spectral"
    if init != "pca":
        return init
    from scipy.sparse import issparse
    from sklearn.decomposition import PCA, TruncatedSVD

    solver = TruncatedSVD if issparse(given["data"]) else PCA
    fitted = solver(n_components=given["n_components"], random_state=random_state)
    return fitted.fit_transform(given["data"])


def _density(given: Mapping[str, Any]) -> dict[str, Any]:
    """Translate umap-learn's parameters of densMAP to umapcore's."""
    if not given.get("densmap"):
        return {}
    return {
        "density_weight": _option(given, "lambda"),
        "density_fraction": _option(given, "frac"),
        "density_shift": _option(given, "var_shift"),
    }


def _option(given: Mapping[str, Any], name: str) -> Any:
    """Return an option of densMAP; the distances between neighbours are one of them."""
    value = (given["densmap_kwds"] or {}).get(name)
    if value is None:
        msg = f"densmap_kwds lacks {name!r}."
        raise NotOfferedError(msg)
    return value


def _representation(data: Any, metric: Any) -> Any:
    """Return the coordinates that place the components of a graph, or None."""
    import numpy as np
    from scipy.sparse import issparse

    if data is None:
        return None
    if issparse(data):
        # A sparse matrix lacks most distances. A row of a dense one holds the distances of a
        # vertex from all others, and these can serve as its coordinates.
        return None if _name_of(metric) == "precomputed" else data
    array = np.asarray(data)
    return array if array.ndim == 2 and array.dtype.kind in "buif" else None


def _name_of(metric: Any) -> str:
    """Return the name of a metric; ``UMAP`` passes a metric as a function."""
    name = metric if isinstance(metric, str) else getattr(metric, "__name__", "")
    return str(name).removeprefix("sparse_")


def threads_of_fit(options: Options) -> int | None:
    """Return the number of threads of a run; None: numba's number.

    With a seed, ``UMAP.fit`` sets numba to one thread, because its own layout is reproducible
    only then. This layout always is, so it uses the number from before ``fit``.
    """
    from umapcore.settings import settings

    if options.n_threads is not None or settings.n_threads is not None:
        return options.n_threads
    frame = sys._getframe(1)
    for _ in range(_FRAMES):
        if frame.f_back is None:
            break
        frame = frame.f_back
        model = frame.f_locals.get("self") if frame.f_code.co_name in _FITS else None
        before = getattr(model, "_original_n_threads", None)
        if before:
            return int(before) if getattr(model, "random_state", None) is not None else None
    return None


def _progress(given: Mapping[str, Any]) -> bool:
    """Return whether umap-learn would show a progress bar."""
    bar = given.get("tqdm_kwds") or {}
    return not bar.get("disable", not given.get("verbose", False))
