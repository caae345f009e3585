"""Digests of what several threads compute, large enough that they share the work.

``NUMBA_NUM_THREADS=4 python -m tests.support.thread_digests`` computes every result on one, two and
four threads, and prints a table. ``--write FILE`` also writes it as JSON; ``--against FILE``
compares it with one that another machine has written. ``--only TEXT`` leaves out all results whose
names do not contain the text. Golden digests, of smaller inputs: :mod:`tests.support.golden`.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import scipy.sparse as sp

from tests.support import graphs
from tests.support.golden import digest, uniform
from umapcore import OptimizerSpec, place, simplicial_set_embedding
from umapcore.graph.csr import prepare_graph
from umapcore.init.positions import start_positions
from umapcore.init.rooms import centroid_targets, component_rooms
from umapcore.layout.plan import build_plan
from umapcore.neighbors.fuzzy_graph import fuzzy_graph
from umapcore.neighbors.query import nearest
from umapcore.neighbors.search import find_neighbors
from umapcore_numba import backend
from umapcore_numba.spectral.ops import NumbaSpectralOps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from umapcore.neighbors.knn import KNN

#: A case computes arrays on a number of threads.
Case = tuple[str, "Callable[[int], Any]"]

N_POINTS, N_FEATURES, K = 18_000, 12, 15
N_NEW = 3_000
EPOCHS = 5


@cache
def points() -> np.ndarray:
    """Give points near a curved surface; only additions and multiplications, so the same bits."""
    u = uniform(70, N_POINTS, 3)
    mixed = [u[:, i % 3] * u[:, (i + i // 3) % 3] for i in range(N_FEATURES)]
    noise = uniform(71, N_POINTS, N_FEATURES) * 0.05
    return np.asarray(np.stack(mixed, axis=1) + noise, np.float32)


@cache
def neighbours(n_threads: int) -> KNN:
    return find_neighbors(points(), K, exact=True, n_threads=n_threads).knn


@cache
def graph(name: str) -> Any:
    """Give a graph that several threads lay out."""
    if name == "points":
        made = prepare_graph(fuzzy_graph(neighbours(max_threads()), 15.0))
    else:  # three large components, and some small ones; more than one range of rows
        sheets = [graphs.grid(*size) for size in ((300, 200), (120, 90), (50, 40))]
        small = [graphs.star(9), graphs.path(1), graphs.path(40), graphs.grid(5, 7)]
        weights = sp.triu(sp.block_diag([*sheets, *small])).tocoo()
        weights.data = (0.01 + uniform(72, weights.nnz)).astype(np.float32)
        made = prepare_graph(sp.csr_array(weights + weights.T))
    assert build_plan(made, OptimizerSpec()).n_edges >= backend.SMALL_GRAPH_EDGES
    return made


def max_threads() -> int:
    return int(numba.config.NUMBA_NUM_THREADS)


def searches() -> Iterator[Case]:
    def find(n_threads: int, metric: str, **options: Any) -> Any:
        found = find_neighbors(points(), K, metric=metric, n_threads=n_threads, **options)
        weights = fuzzy_graph(found.knn, 15.0, n_threads=n_threads)
        return (*found.knn, weights.indptr, weights.indices, weights.data)

    yield "exact neighbours and weights", partial(find, metric="euclidean", exact=True)
    for metric in ("euclidean", "correlation"):
        some = partial(find, metric=metric, exact=False, accuracy=0.8)
        yield f"approximate neighbours and weights, {metric}", some


def starts() -> Iterator[Case]:
    def start(n_threads: int, name: str, d: int) -> Any:
        made = graph(name)
        with NumbaSpectralOps(n_threads) as ops:
            return start_positions(
                "spectral", made, n_components=d, seed=3, ops=ops, n_threads=n_threads
            )

    for d in (2, 5):
        yield f"spectral start, one component, {d}-D", partial(start, name="points", d=d)
    yield "spectral start, several components, 2-D", partial(start, name="sheets", d=2)


def rooms() -> Iterator[Case]:
    """Places of many components by their centroids, in plain NumPy: threads do not matter."""
    count = 300
    labels = (uniform(73, N_POINTS) * count).astype(np.int32)
    sizes = np.bincount(labels, minlength=count)
    dense = points().astype(np.float64) + 0.2 * uniform(74, count, N_FEATURES)[labels]
    forms = {"dense": dense, "sparse": sp.csr_array(np.where(dense > 0.4, dense, 0.0))}

    def arrange(_: int, form: str, metric: str) -> Any:
        targets = centroid_targets(forms[form], labels, sizes, 3, metric=metric)
        return component_rooms(sizes, 3, targets)

    for metric in ("euclidean", "cosine", "correlation"):
        for form in forms:
            case = partial(arrange, form=form, metric=metric)
            yield f"components placed by {form} coordinates, {metric}", case


def paga_starts() -> Iterator[Case]:
    from umapcore.init.paga import positions_from_paga

    groups = 40
    between = np.where(uniform(75, groups, groups) > 0.8, uniform(76, groups, groups), 0.0)
    between[:5] = between[:, :5] = 0.0  # groups that nothing is connected to
    paga = {
        "pos": uniform(77, groups, 2),
        "connectivities": sp.csr_array(np.triu(between, 1) + np.triu(between, 1).T),
        "groups": "group",
    }

    def start(_: int, d: int) -> Any:
        import pandas as pd

        column = pd.DataFrame({"group": pd.Categorical(np.arange(N_POINTS) % groups)})
        return positions_from_paga(paga, column, n_components=d, seed=3)

    for d in (2, 5):
        yield f"start by PAGA, {d}-D", partial(start, d=d)


def layouts() -> Iterator[Case]:
    def lay_out(n_threads: int, name: str, d: int, density: float = 0.0) -> Any:
        spec = OptimizerSpec(n_components=d, n_epochs=EPOCHS, seed=5, density_weight=density)
        wanted = None
        if density:
            edges = graph(name).tocoo()
            spread = 0.1 + uniform(78, graph(name).shape[0])
            wanted = sp.csr_array((spread[edges.row] * spread[edges.col], (edges.row, edges.col)))
        start = uniform(79, graph(name).shape[0], d) * 10.0
        return simplicial_set_embedding(
            graph(name), spec, init=start, distances=wanted, n_threads=n_threads, progress=False
        )

    for d in (2, 3, 5):
        yield f"layout, {d}-D", partial(lay_out, name="points", d=d)
        yield f"layout with densities, {d}-D", partial(lay_out, name="points", d=d, density=2.0)
    yield "layout, several components, 2-D", partial(lay_out, name="sheets", d=2)


def placements() -> Iterator[Case]:
    reference, others = points()[:-N_NEW], points()[-N_NEW:]
    indices, lengths = nearest(reference, others, 12)

    def new(n_threads: int, d: int) -> Any:
        at = uniform(80, reference.shape[0], d) * 10.0
        spec = OptimizerSpec(n_components=d, seed=9)
        options: dict[str, Any] = {"n_epochs": EPOCHS, "n_threads": n_threads, "progress": False}
        return place(at, indices, lengths, spec, **options)

    for d in (2, 3, 5):
        yield f"new points, {d}-D", partial(new, d=d)


SECTIONS = (searches, starts, rooms, paga_starts, layouts, placements)


def digests(threads: list[int], only: str, say: Callable[[str], object]) -> dict[str, str]:
    """Give the digest of every case; where threads differ, all of them."""
    found: dict[str, str] = {}
    for section in SECTIONS:
        for name, case in section():
            if only not in name:
                continue
            began = time.perf_counter()
            each = []
            for n_threads in threads:
                made = case(n_threads)
                each.append(digest(*(made if isinstance(made, tuple) else (made,))))
            found[name] = each[0] if len(set(each)) == 1 else " ".join(each)
            say(f"{name}: {found[name]}  ({time.perf_counter() - began:.1f} s)\n")
    return found


def main() -> str | None:
    """Compute, print and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--only", default="", metavar="TEXT")
    parser.add_argument("--write", type=Path, metavar="FILE")
    parser.add_argument("--against", type=Path, metavar="FILE")
    options = parser.parse_args()
    if max(options.threads) > max_threads():
        return (
            f"Set NUMBA_NUM_THREADS to {max(options.threads)}: numba has {max_threads()} threads."
        )
    # A layout would take no more threads than there are processors.
    backend.processors_to_use = lambda: (max_threads(), "the tests")
    found = digests(options.threads, options.only, sys.stderr.write)
    sys.stdout.write(f"| {platform.machine()} | digest on {options.threads} threads |\n|---|---|\n")
    sys.stdout.writelines(f"| {name} | `{value}` |\n" for name, value in found.items())
    if options.write is not None:
        options.write.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    wrong = [f"{name}: threads differ" for name, value in found.items() if " " in value]
    if options.against is not None:
        other = json.loads(options.against.read_text(encoding="utf-8"))
        names = [name for name in {**other, **found} if options.only in name]
        wrong += [f"{name}: not as there" for name in names if found.get(name) != other.get(name)]
    return "\n".join(wrong) or None


if __name__ == "__main__":
    sys.exit(main())
