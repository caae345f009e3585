"""Run umap-learn's optimisation alone, on the graph and start positions of a benchmark.

The steps are those of `umap.umap_.simplicial_set_embedding` (umap-learn 0.5.12) once it has start
positions: prune, epochs per sample, seed, optimise.
"""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.graphs import BenchGraph, cache_folder
from benchmarks.report import processor

if TYPE_CHECKING:
    from numpy.typing import NDArray


def umap_learn(
    bench: BenchGraph,
    *,
    a: float,
    b: float,
    seed: int,
    n_epochs: int | None = None,
    negative_sample_rate: int = 5,
    gamma: float = 1.0,
    alpha: float = 1.0,
    parallel: bool = False,
) -> tuple[NDArray[np.float32], float]:
    """Return umap-learn's layout and the seconds of its optimisation, without compilation.

    Parameters
    ----------
    parallel
        Use umap-learn's parallel mode, which has data races. umap-learn itself only uses it for
        runs without a seed.
    """
    _compiled(parallel)
    return _optimise(
        bench, bench.n_epochs if n_epochs is None else n_epochs, a, b, seed,
        negative_sample_rate, gamma, alpha, parallel,
    )  # fmt: skip


def _optimise(
    bench: BenchGraph,
    n_epochs: int,
    a: float,
    b: float,
    seed: int,
    negative_sample_rate: int,
    gamma: float,
    alpha: float,
    parallel: bool,
) -> tuple[NDArray[np.float32], float]:
    from umap.layouts import optimize_layout_euclidean
    from umap.umap_ import INT32_MAX, INT32_MIN, make_epochs_per_sample

    graph = bench.graph.tocoo(copy=True)
    graph.sum_duplicates()
    default_epochs = bench.n_epochs
    shortest = n_epochs if n_epochs > 10 else default_epochs
    graph.data[graph.data < graph.data.max() / float(shortest)] = 0.0
    graph.eliminate_zeros()
    epochs_per_sample = make_epochs_per_sample(graph.data, n_epochs)
    random_state = np.random.RandomState(seed)
    rng_state = random_state.randint(INT32_MIN, INT32_MAX, 3).astype(np.int64)
    embedding = bench.start.astype(np.float32, order="C", copy=True)
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        embedding = optimize_layout_euclidean(
            embedding,
            embedding,
            graph.row,
            graph.col,
            n_epochs,
            graph.shape[1],
            epochs_per_sample,
            a,
            b,
            rng_state,
            gamma,
            alpha,
            negative_sample_rate,
            parallel=parallel,
            verbose=False,
            move_other=True,
        )
    return embedding, time.perf_counter() - started


@cache
def _compiled(parallel: bool) -> None:
    """Compile umap-learn's loop on a small ring, so that no timed run includes it."""
    import scipy.sparse as sp

    n = 50
    around = np.arange(n)
    rows, columns = np.r_[around, around], np.r_[(around + 1) % n, (around - 1) % n]
    ring = sp.csr_matrix((np.ones(2 * n, np.float32), (rows, columns)), shape=(n, n))
    angle = np.linspace(0.0, 6.0, n)
    start = np.column_stack([np.cos(angle), np.sin(angle)]).astype(np.float32)
    _optimise(BenchGraph("ring", ring, start), 20, 1.0, 1.0, 0, 5, 1.0, 1.0, parallel)


def umap_learn_cached(
    bench: BenchGraph,
    *,
    a: float,
    b: float,
    seed: int,
    n_epochs: int | None = None,
    negative_sample_rate: int = 5,
) -> NDArray[np.float32]:
    """Return the layout of a serial `umap_learn`, from the cache folder if it is there.

    The key holds everything that a serial run depends on. This includes the processor, because
    umap-learn compiles with fastmath.
    """
    epochs = bench.n_epochs if n_epochs is None else n_epochs
    key: dict[str, Any] = {
        "digest": bench.digest(), "a": a, "b": b, "seed": seed, "epochs": epochs,
        "negative_sample_rate": negative_sample_rate, "umap-learn": version("umap-learn"),
        "numba": version("numba"), "processor": processor(),
    }  # fmt: skip
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:20]
    path = cache_folder() / f"umap-learn-{bench.name}-{name}.npz"
    if path.exists():
        with np.load(path) as stored:
            embedding: NDArray[np.float32] = stored["embedding"]
            return embedding
    embedding, _ = umap_learn(
        bench, a=a, b=b, seed=seed, n_epochs=epochs, negative_sample_rate=negative_sample_rate
    )
    np.savez(path, embedding=embedding, key=json.dumps(key))
    return embedding
