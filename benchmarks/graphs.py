"""The graphs of the benchmarks, each with its start positions.

Real data sets are read from a folder of AnnData files. Synthetic ones are generated once and kept
in a cache folder outside the checkout. All graphs are fuzzy graphs of 15 nearest neighbours.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

DATA_SETS = (
    "fashion_mnist70k",
    "mammoth50k",
    "shuttle58k",
    "letter20k",
    "pendigits11k",
    "cbmc8k",
)
N_NEIGHBORS = 15


@dataclass(frozen=True)
class BenchGraph:
    """A weighted graph and the start positions of its layout.

    Attributes
    ----------
    name
        Name of the graph in tables.
    graph
        Symmetric weights, float32, canonical CSR.
    start
        (n, 2) float32, each axis scaled to [0, 10], no two rows equal.
    """

    name: str
    graph: sp.csr_matrix
    start: NDArray[np.float32]

    @property
    def n_vertices(self) -> int:
        """Number of vertices."""
        return int(self.graph.shape[0])

    @property
    def n_epochs(self) -> int:
        """Default number of epochs, by umap-learn's rule."""
        return 500 if self.n_vertices <= 10_000 else 200

    def digest(self) -> str:
        """Return a hash of everything that a layout depends on."""
        h = hashlib.sha256()
        for part in (self.graph.indptr, self.graph.indices, self.graph.data, self.start):
            h.update(str(part.dtype).encode())
            h.update(np.ascontiguousarray(part).tobytes())
        return h.hexdigest()[:20]


def data_folder(given: str | None = None) -> Path:
    """Return the folder of the AnnData files: given, $UMAPCORE_DATA, or beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(given or os.environ.get("UMAPCORE_DATA") or beside)


def cache_folder() -> Path:
    """Return the folder for generated data: $UMAPCORE_BENCHMARK_CACHE or ~/.cache/..."""
    default = Path.home() / ".cache" / "umapcore-benchmarks"
    folder = Path(os.environ.get("UMAPCORE_BENCHMARK_CACHE") or default)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def names() -> tuple[str, ...]:
    """Return the names of the graphs of every benchmark, real ones first."""
    return (*DATA_SETS, "moons20k", "hubs15k", "clusters15k")


def load(name: str, *, data: str | None = None) -> BenchGraph:
    """Return a graph and its start positions; ``generated1000`` has 1,000 vertices.

    Raises
    ------
    ValueError
        If there is no such graph.
    FileNotFoundError
        If the file of a real data set is not in the data folder.
    """
    if name in GENERATORS:
        return _generated(name)
    if (size := name.removeprefix("generated")).isdigit():
        from benchmarks.generated import generated

        made = generated(int(size))
        return BenchGraph(name, sp.csr_matrix(made.graph), made.start)
    if name in DATA_SETS:
        return _read(name, data_folder(data) / f"{name}.h5ad")
    msg = f"graph {name!r} is unknown; known are {', '.join((*DATA_SETS, *GENERATORS))}"
    raise ValueError(msg)


def scaled_start(positions: NDArray[np.floating], *, seed: int = 0) -> NDArray[np.float32]:
    """Return positions scaled to [0, 10] in each axis; a little noise breaks ties."""
    x = np.asarray(positions, dtype=np.float64)
    x = x * (10.0 / np.abs(x).max())
    if len(np.unique(x.astype(np.float32), axis=0)) < len(x):
        x = x + np.random.default_rng(seed).normal(scale=1e-4, size=x.shape)
    low, high = x.min(axis=0), x.max(axis=0)
    result: NDArray[np.float32] = (10.0 * (x - low) / (high - low)).astype(np.float32, order="C")
    return result


def _read(name: str, path: Path) -> BenchGraph:
    if not path.is_file():
        msg = f"{path} does not exist: give the folder of the data by --data or $UMAPCORE_DATA"
        raise FileNotFoundError(msg)
    with h5py.File(path) as file:
        stored = file["obsp/connectivities"]
        n, _ = stored.attrs["shape"]
        graph = sp.csr_matrix(
            (stored["data"][:], stored["indices"][:], stored["indptr"][:]), shape=(n, n)
        )
        representation = file["obsm/X_pca"][:, :2]
    return BenchGraph(name, _canonical(graph), scaled_start(representation))


def _canonical(graph: Any) -> sp.csr_matrix:
    result: sp.csr_matrix = graph.tocsr().astype(np.float32)
    result.sum_duplicates()
    result.eliminate_zeros()
    return result


def _generated(name: str) -> BenchGraph:
    path = cache_folder() / f"graph-{name}.npz"
    if not path.exists():
        points, start = GENERATORS[name]()
        graph = fuzzy_graph(points)
        np.savez(
            path,
            data=graph.data,
            indices=graph.indices,
            indptr=graph.indptr,
            start=scaled_start(start),
        )
    with np.load(path) as stored:
        n = len(stored["indptr"]) - 1
        graph = sp.csr_matrix((stored["data"], stored["indices"], stored["indptr"]), shape=(n, n))
        return BenchGraph(name, graph, stored["start"])


def fuzzy_graph(points: NDArray[np.floating]) -> sp.csr_matrix:
    """Compute the fuzzy graph of the exact nearest neighbours of `points`, by umap-learn."""
    from sklearn.neighbors import NearestNeighbors
    from umap.umap_ import fuzzy_simplicial_set

    distances, indices = NearestNeighbors(n_neighbors=N_NEIGHBORS).fit(points).kneighbors(points)
    graph, *_ = fuzzy_simplicial_set(
        points,
        N_NEIGHBORS,
        random_state=np.random.RandomState(0),
        metric="euclidean",
        knn_indices=indices.astype(np.int32),
        knn_dists=distances.astype(np.float32),
    )
    return _canonical(graph)


Points = tuple[NDArray[np.floating], NDArray[np.floating]]


def moons() -> Points:
    """Return two noise-free half circles of 10,000 points each, and a random start."""
    from sklearn.datasets import make_moons

    points, _ = make_moons(n_samples=20_000, noise=None, shuffle=True, random_state=0)
    return points, np.random.default_rng(0).uniform(-10.0, 10.0, points.shape)


def hubs() -> Points:
    """Return 15,000 Gaussian points in 100-D; 20 are moved to the centre and become hubs."""
    points = np.random.default_rng(0).normal(size=(15_000, 100))
    points[:20] *= 0.3
    return points, principal_axes(points)


def clusters() -> Points:
    """Return 15,000 points in ten Gaussian clusters in 100-D."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(10, 100))
    points = centres[np.arange(15_000) % 10] + rng.normal(size=(15_000, 100))
    return points, principal_axes(points)


def principal_axes(points: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the first two principal components."""
    centred = points - points.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    # The sign of a singular vector is arbitrary; fix it.
    for axis in axes[:2]:
        if axis[np.argmax(np.abs(axis))] < 0:
            axis *= -1.0
    result: NDArray[np.floating] = centred @ axes[:2].T
    return result


def branching(n: int, n_branches: int = 12) -> Points:
    """Return a noisy branching surface in 5-D: strips of equal width that start on each other.

    Each strip is the product of a bent line, which starts on an earlier one, and an interval that
    all strips share.
    """
    rng = np.random.default_rng(0)
    starts = np.zeros((n_branches, 4))
    directions = rng.normal(size=(n_branches, 2, 4))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)

    def along(branch: Any, t: NDArray[np.floating]) -> NDArray[np.floating]:
        bend = 0.2 * np.sin(2.0 * t)[:, None] * directions[branch, 1]
        line: NDArray[np.floating] = starts[branch] + t[:, None] * directions[branch, 0] + bend
        return line

    for branch in range(1, n_branches):
        parent = int(rng.integers(branch))
        starts[branch] = along(parent, rng.uniform(0.2, 1.0, 1))[0]
    branches = rng.integers(n_branches, size=n)
    points = np.column_stack([along(branches, rng.random(n)), rng.uniform(0.0, 0.15, n)])
    # The noise is a tenth of the distance between neighbours.
    points += rng.normal(scale=0.1 * np.sqrt(0.15 * n_branches / n), size=points.shape)
    return points, principal_axes(points)


GENERATORS: dict[str, Callable[[], Points]] = {
    "moons20k": moons,
    "hubs15k": hubs,
    "clusters15k": clusters,
    "branching10k": lambda: branching(10_000),
    "branching100k": lambda: branching(100_000),
    "branching1m": lambda: branching(1_000_000),
}
