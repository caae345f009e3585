"""The programs that search for neighbours, and their settings.

Nothing is imported here before it is needed: the time of a first call includes its imports.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

#: Neighbours in a row, the point itself included, as scanpy counts them.
K = 15
#: Our search by aim, and our search among all points.
OURS, EXACT = "umapcore", "umapcore exact"
SCANPY = "scanpy"
RIVALS = ("pynndescent", "hnswlib", "faiss-ivf", "faiss-hnsw", "usearch")
#: What each program imports, and what is installed to have it.
MODULES = {
    OURS: "umapcore.neighbors.search",
    EXACT: "umapcore.neighbors.search",
    "pynndescent": "pynndescent",
    "hnswlib": "hnswlib",
    "faiss-ivf": "faiss",
    "faiss-hnsw": "faiss",
    "usearch": "usearch.index",
    SCANPY: "scanpy",
}
PACKAGES = {"faiss-ivf": "faiss-cpu", "faiss-hnsw": "faiss-cpu"}
#: Programs that keep compiled code on disk.
COMPILED = (OURS, EXACT, "pynndescent", SCANPY)
#: Place, among a program's settings, of the one that is used where only one is.
USUAL = 2


@dataclass(frozen=True)
class Contender:
    """A program with its settings and its number of threads; 0 are as many as it takes."""

    program: str
    threads: int
    settings: Mapping[str, float] = field(default_factory=dict)

    @property
    def setting(self) -> str:
        """Return the settings as text."""
        return ", ".join(f"{key} {value:g}" for key, value in self.settings.items())

    @property
    def name(self) -> str:
        """Return program, settings and threads as text."""
        threads = f"threads {self.threads}" if self.threads else ""
        return ", ".join(filter(None, [self.program, self.setting, threads]))

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


@dataclass(frozen=True)
class Neighbours:
    """Found neighbours: indices, Euclidean distances, and the recall that the program claims."""

    indices: NDArray[Any]
    distances: NDArray[np.float32]
    claimed: float | None = None


def problem(program: str) -> str | None:
    """Return why a program cannot run here; None if it can."""
    if find_spec(MODULES[program].partition(".")[0]):
        return None
    return f"{PACKAGES.get(program, program)} is not installed."


def default_settings(program: str, n: int) -> tuple[dict[str, float], ...]:
    """Return settings of a rival, in the order of the recall that they are likely to reach."""
    lists = round(2 * math.sqrt(n))
    found: dict[str, tuple[dict[str, float], ...]] = {
        # As scanpy calls it: nothing to choose.
        "pynndescent": ({},),
        "hnswlib": (
            {"M": 8, "ef_construction": 40, "ef": 30},
            {"M": 12, "ef_construction": 60, "ef": 40},
            {"M": 16, "ef_construction": 100, "ef": 60},
            {"M": 16, "ef_construction": 200, "ef": 120},
        ),
        "faiss-ivf": tuple({"nlist": lists, "nprobe": nprobe} for nprobe in (4, 8, 16, 32)),
        "faiss-hnsw": (
            {"M": 8, "efConstruction": 40, "efSearch": 30},
            {"M": 12, "efConstruction": 60, "efSearch": 40},
            {"M": 16, "efConstruction": 100, "efSearch": 60},
            {"M": 16, "efConstruction": 200, "efSearch": 120},
        ),
        "usearch": (
            {"connectivity": 8, "expansion_add": 40, "expansion_search": 30},
            {"connectivity": 12, "expansion_add": 60, "expansion_search": 40},
            {"connectivity": 16, "expansion_add": 100, "expansion_search": 60},
            {"connectivity": 16, "expansion_add": 200, "expansion_search": 120},
        ),
    }
    return found[program]


def rivals(
    names: Sequence[str], n: int, threads: Sequence[int], chosen: Mapping[str, Any] | None = None
) -> list[Contender]:
    """Return every rival with all its settings, `chosen` ones instead of the defaults.

    scanpy calls pynndescent on one thread, so this is always among its numbers of threads.
    """
    chosen = chosen or {}
    return [
        Contender(name, count, settings)
        for name in names
        for settings in chosen.get(name) or default_settings(name, n)
        for count in (sorted({1, *threads}) if name == "pynndescent" else threads)
    ]


def load(program: str) -> None:
    """Import a program and, for ours, its backend."""
    module = importlib.import_module(MODULES[program])
    if program in (OURS, EXACT):
        module.cpu_backend()


def search(contender: Contender, points: NDArray[np.float32]) -> Neighbours:
    """Find the neighbours of all points; what a program builds for this is included."""
    return _SEARCHES[contender.program](contender, points)


def _umapcore(contender: Contender, points: NDArray[np.float32]) -> Neighbours:
    from umapcore.neighbors.search import find_neighbors

    exact = contender.program == EXACT
    found = find_neighbors(
        points, K, seed=0, exact=exact, accuracy=contender.settings.get("accuracy"),
        n_threads=contender.threads,
    )  # fmt: skip
    return Neighbours(found.knn.indices, found.knn.distances, found.search.recall)


def _pynndescent(contender: Contender, points: NDArray[np.float32]) -> Neighbours:
    from pynndescent import NNDescent

    n = len(points)
    # Trees, iterations and the additional neighbour as in scanpy, which uses one job.
    index = NNDescent(
        points, metric="euclidean", n_neighbors=min(K + 1, n),
        n_trees=min(64, 5 + round(math.sqrt(n) / 20.0)), n_iters=max(5, round(math.log2(n))),
        random_state=np.random.RandomState(0), n_jobs=contender.threads,
    )  # fmt: skip
    indices, distances = index.neighbor_graph
    return Neighbours(indices[:, :K], distances[:, :K])


def _hnswlib(contender: Contender, points: NDArray[np.float32]) -> Neighbours:
    import hnswlib

    settings = {key: int(value) for key, value in contender.settings.items()}
    ef = settings.pop("ef")
    index = hnswlib.Index("l2", points.shape[1])
    index.init_index(max_elements=len(points), random_seed=0, **settings)
    index.add_items(points, num_threads=contender.threads)
    index.set_ef(ef)
    indices, squared = index.knn_query(points, k=K, num_threads=contender.threads)
    return Neighbours(indices, np.sqrt(squared))


def _faiss_ivf(contender: Contender, points: NDArray[np.float32]) -> Neighbours:
    import faiss

    # faiss clusters on at most 256 points a list; fewer than 39 a list make it warn.
    nlist = min(int(contender.settings["nlist"]), max(1, len(points) // 39))
    faiss.omp_set_num_threads(contender.threads)
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(points.shape[1]), points.shape[1], nlist)
    index.train(points)
    index.add(points)
    index.nprobe = int(contender.settings["nprobe"])
    squared, indices = index.search(points, K)
    return Neighbours(indices, np.sqrt(np.maximum(squared, 0.0)))


def _faiss_hnsw(contender: Contender, points: NDArray[np.float32]) -> Neighbours:
    import faiss

    settings = {key: int(value) for key, value in contender.settings.items()}
    faiss.omp_set_num_threads(contender.threads)
    index = faiss.IndexHNSWFlat(points.shape[1], settings["M"])
    index.hnsw.efConstruction = settings["efConstruction"]
    index.add(points)
    index.hnsw.efSearch = settings["efSearch"]
    squared, indices = index.search(points, K)
    return Neighbours(indices, np.sqrt(np.maximum(squared, 0.0)))


def _usearch(contender: Contender, points: NDArray[np.float32]) -> Neighbours:
    from usearch.index import Index

    settings = {key: int(value) for key, value in contender.settings.items()}
    index = Index(ndim=points.shape[1], metric="l2sq", dtype="f32", **settings)
    index.add(np.arange(len(points)), points, threads=contender.threads)
    found = index.search(points, K, threads=contender.threads)
    return Neighbours(found.keys.astype(np.int64), np.sqrt(found.distances))


_SEARCHES: dict[str, Callable[[Contender, NDArray[np.float32]], Neighbours]] = {
    OURS: _umapcore,
    EXACT: _umapcore,
    "pynndescent": _pynndescent,
    "hnswlib": _hnswlib,
    "faiss-ivf": _faiss_ivf,
    "faiss-hnsw": _faiss_hnsw,
    "usearch": _usearch,
}
