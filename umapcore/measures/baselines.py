"""Other installed programs that can lay out the same graph from the same start."""

from __future__ import annotations

import time
import warnings
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import scipy.sparse as sp
    from numpy.typing import NDArray

    from umapcore.layout.spec import OptimizerSpec

    #: Returns a layout and the seconds of its stages.
    Run = Callable[[], tuple[NDArray[np.float32], dict[str, float]]]


def installed_baselines(
    graph: sp.csr_array, start: NDArray[np.float32], spec: OptimizerSpec
) -> dict[str, Run]:
    """Return the installed programs.

    Parameters
    ----------
    graph
        Symmetric, canonical, float32.
    start
        Start positions, (n, d), scaled as in umap-learn.
    spec
        Its `n_epochs` must be set.

    Returns
    -------
    By name and version: functions that run a program once. Their kernels are compiled already.
    """
    found: dict[str, Run] = {}
    if find_spec("umap") is not None:
        run = _umap_learn(graph, start, spec)
        _umap_learn(*_ring(spec.n_components), spec.replace(n_epochs=20))()
        found[f"umap-learn {version('umap-learn')}, 1 thread"] = run
    if find_spec("scanpy") is not None:
        run = _scanpy(graph, start, spec)
        _scanpy(*_ring(spec.n_components), spec.replace(n_epochs=20))()
        found[f"scanpy {version('scanpy')}, tl.umap"] = run
    return found


def _umap_learn(graph: Any, start: NDArray[np.float32], spec: OptimizerSpec) -> Run:
    """Return a function that runs only umap-learn's optimisation, serially as with a seed."""
    layouts, umap_ = import_module("umap.layouts"), import_module("umap.umap_")
    n_epochs = spec.epochs_for(graph.shape[0])
    a, b = spec.curve()

    def run() -> tuple[NDArray[np.float32], dict[str, float]]:
        began = time.perf_counter()
        edges = graph.tocoo(copy=True)
        kept = edges.data >= edges.data.max() / float(n_epochs if n_epochs > 10 else 500)
        heads, tails = (part[kept].astype(np.int32) for part in (edges.row, edges.col))
        epochs = umap_.make_epochs_per_sample(edges.data[kept], n_epochs)
        # Draw the generator's state from the seed as umap-learn's estimator does.
        generator = np.random.RandomState(spec.seed % 2**32)
        state = generator.randint(umap_.INT32_MIN, umap_.INT32_MAX, 3).astype(np.int64)
        positions = start.copy()
        planned = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layout = layouts.optimize_layout_euclidean(
                positions,
                positions,
                heads,
                tails,
                n_epochs,
                graph.shape[0],
                epochs,
                a,
                b,
                state,
                spec.gamma,
                spec.alpha,
                spec.negative_sample_rate,
                parallel=False,
                verbose=False,
                move_other=True,
            )
        ended = time.perf_counter()
        return layout, {"plan": planned - began, "optimise": ended - planned}

    return run


def _scanpy(graph: Any, start: NDArray[np.float32], spec: OptimizerSpec) -> Run:
    """Return a function that runs scanpy's whole call, which includes umap-learn's optimisation."""
    import anndata
    import scipy.sparse as sp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        umap = import_module("scanpy.tools").umap
    a, b = spec.curve()
    n_epochs = spec.epochs_for(graph.shape[0])
    adata = anndata.AnnData(shape=(graph.shape[0], 0))
    # Copies, because umap-learn writes into its input arrays.
    arrays = (part.copy() for part in (graph.data, graph.indices, graph.indptr))
    adata.obsp["connectivities"] = sp.csr_matrix(tuple(arrays), shape=graph.shape)
    # scanpy reads the data that the graph was made from, although it does not use them here.
    adata.obsm["X_start"] = start
    params = {"method": "umap", "use_rep": "X_start"}
    adata.uns["neighbors"] = {"connectivities_key": "connectivities", "params": params}

    def run() -> tuple[NDArray[np.float32], dict[str, float]]:
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            umap(
                adata,
                init_pos="X_start",
                a=a,
                b=b,
                maxiter=n_epochs,
                n_components=spec.n_components,
                alpha=spec.alpha,
                gamma=spec.gamma,
                negative_sample_rate=spec.negative_sample_rate,
                random_state=spec.seed % 2**32,
            )
        return np.asarray(adata.obsm["X_umap"]), {"whole call": time.perf_counter() - began}

    return run


def _ring(dimensions: int) -> tuple[sp.csr_array, NDArray[np.float32]]:
    """Return a small graph and a start, to compile the kernels before the timed runs."""
    import scipy.sparse as sp

    n = 50
    around = np.arange(n)
    rows, columns = np.r_[around, around], np.r_[(around + 1) % n, (around - 1) % n]
    ring = sp.csr_array((np.ones(2 * n, np.float32), (rows, columns)), shape=(n, n))
    start = np.random.default_rng(0).random((n, dimensions)).astype(np.float32)
    return ring, start
