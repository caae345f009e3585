"""Digests of what the library computes, for small inputs that are the same on every machine.

``python -m tests.support.golden`` compares them with ``tests/data/golden.json`` and says what
differs; ``--write`` writes the file anew, and refuses where a layout changed but
`umapcore.layout.spec.LAYOUT_VERSION` did not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from umapcore import OptimizerSpec, place, simplicial_set_embedding
from umapcore.graph.csr import prepare_graph
from umapcore.init.paga import positions_from_paga
from umapcore.init.positions import start_positions
from umapcore.layout.density import density_of
from umapcore.layout.plan import build_plan
from umapcore.layout.spec import LAYOUT_VERSION
from umapcore.neighbors.fuzzy_graph import fuzzy_graph
from umapcore.neighbors.knn import KNN, with_self_first
from umapcore.neighbors.query import nearest
from umapcore.neighbors.record import NEIGHBORS_VERSION
from umapcore.neighbors.search import find_neighbors, nearest_neighbors

if TYPE_CHECKING:
    from collections.abc import Callable


FILE = Path(__file__).resolve().parents[1] / "data" / "golden.json"

#: Graphs that layouts are digested of; ``large`` has enough edges for several threads.
GRAPHS = ("clusters", "hub", "sheet")
DIMENSIONS = (1, 2, 3, 5)
EPOCHS = 40


def digest(*arrays: Any) -> str:
    """Give 16 hexadecimal digits that stand for the shapes and bits of some arrays."""
    hashed = hashlib.blake2b(digest_size=8)
    for array in arrays:
        little = np.ascontiguousarray(array)
        little = little.astype(little.dtype.newbyteorder("<"), copy=False)
        hashed.update(f"{little.dtype.str}{little.shape}".encode())
        hashed.update(little.tobytes())
    return hashed.hexdigest()


def uniform(key: int, *shape: int) -> np.ndarray:
    """Draw numbers in [0, 1): a counter-based generator whose bits NumPy promises."""
    bits = np.random.Philox(key=key).random_raw(int(np.prod(shape)))
    return (bits >> np.uint64(11)).astype(np.float64).reshape(shape) * 2.0**-53


@cache
def points(name: str) -> np.ndarray:
    """Give float32 points; only multiplications and additions, so the same everywhere."""
    if name == "clusters":  # three components, and a few points that coincide
        found = uniform(1, 600, 6) + 8.0 * (np.arange(600) % 3)[:, None]
        found[30:36] = found[0]
    elif name == "large":
        found = uniform(2, 12_000, 4)
    else:
        u = uniform(3, 700, 2)
        found = np.c_[u, u[:, 0] * u[:, 1], u[:, 1] * u[:, 1]]
    return found.astype(np.float32)


@cache
def knn(name: str, k: int = 15, n_reference: int = 0) -> KNN:
    """Find neighbours in plain NumPy: digests of layouts do not change when the searches do.

    With a reference, those of the other points among its first ones.
    """
    p = points(name).shape[1]
    padded = np.zeros((len(points(name)), -(-p // 4) * 4), np.float32)
    padded[:, :p] = points(name)
    queries, others = padded[n_reference:], padded[: n_reference or None]
    indices = np.empty((len(queries), k), np.int32)
    lengths = np.empty((len(queries), k), np.float32)
    for first in range(0, len(queries), 500):
        some = slice(first, first + 500)
        squares = np.zeros((len(queries[some]), len(others)), np.float32)
        for c in range(0, padded.shape[1], 4):
            d = [queries[some, c + i, None] - others[None, :, c + i] for i in range(4)]
            squares += (d[0] * d[0] + d[1] * d[1]) + (d[2] * d[2] + d[3] * d[3])
        near = np.sort(np.argpartition(squares, k + 10, axis=1)[:, : k + 10], axis=1)
        found = np.take_along_axis(squares, near, axis=1)
        order = np.argsort(found, axis=1, kind="stable")[:, :k]
        indices[some] = np.take_along_axis(near, order, axis=1)
        lengths[some] = np.sqrt(np.take_along_axis(found, order, axis=1))
    found = KNN(indices, lengths)
    return found if n_reference else with_self_first(found, insert=True)


@cache
def graph(name: str) -> Any:
    """Give a graph; ``hub`` is the sheet with two vertices that nearly all others are joined to."""
    if name != "hub":
        return prepare_graph(fuzzy_graph(knn(name), 15.0))
    weights = graph("sheet").tolil()
    n = weights.shape[0]
    for h in (0, 1):
        others = np.flatnonzero((uniform(10 + h, n) < 0.9) & (np.arange(n) != h))
        weights[h, others] = weights[others, h] = uniform(20 + h, others.size) + 0.001
    both = sp.csr_array(weights.tocsr())
    return prepare_graph(sp.csr_array(both.maximum(both.T)))


@cache
def distances(name: str) -> Any:
    """Give distances for the edges of a graph, to preserve densities by."""
    edges = graph(name).tocoo()
    spread = 0.1 + uniform(30, graph(name).shape[0])
    return sp.csr_array((spread[edges.row] * spread[edges.col], (edges.row, edges.col)))


def neighbours(method: str) -> dict[str, str]:
    """Digest exact neighbours and the weights that follow from them."""
    found = {}
    for name in ("clusters", "sheet"):
        for metric in ("euclidean", "cosine", "correlation"):
            known = nearest_neighbors(points(name), 15, metric=metric, exact=True, method=method)
            found[f"{name} {metric}"] = digest(known.indices, known.distances)
            weights = fuzzy_graph(known, 15.0)
            found[f"{name} {metric} weights"] = digest(
                weights.indptr, weights.indices, weights.data
            )
    new = nearest(points("sheet")[:500], points("sheet")[500:], 12)
    found["sheet, new points"] = digest(*new)
    for name, metric, k in (("large", "euclidean", 15), ("large", "cosine", 40)):
        options: dict[str, Any] = {"metric": metric, "accuracy": 0.7, "seed": 2**63}
        near = find_neighbors(points(name), k, exact=False, method=method, **options)
        recall = near.search.recall
        assert recall is not None
        assert 0.7 < recall < 1  # found by partitions, and not by comparing all points
        found[f"{name} approximate {metric}"] = digest(*near.knn, np.array(recall))
    mixed = fuzzy_graph(knn("sheet"), 9.5, mix_ratio=0.25, local_connectivity=1.5)
    found["sheet mixed weights"] = digest(mixed.indptr, mixed.indices, mixed.data)
    return found


def plans(method: str) -> dict[str, str]:
    """Digest edge plans, and densities of the data."""
    found = {}
    for name in (*GRAPHS, "large"):
        for epochs in (10, 25, 200):
            plan = build_plan(graph(name), OptimizerSpec(n_epochs=epochs))
            found[f"{name} {epochs}"] = digest(
                plan.order, plan.bucket_offsets, plan.first_walkers, plan.heads, plan.row_offsets,
                plan.tails, plan.rates, np.int64([plan.pull_exponent, plan.pool_size]),
            )  # fmt: skip
    for name in GRAPHS:
        spec = OptimizerSpec(n_epochs=EPOCHS, density_weight=2.0)
        density = density_of(graph(name), distances(name), spec)
        counts = np.uint64([density.n_counted, density.total_rate])
        found[f"{name} densities"] = digest(density.radii, counts)
    return found


def starts(method: str) -> dict[str, str]:
    """Digest start positions."""
    found = {}
    for name in (*GRAPHS, "large"):
        for d in DIMENSIONS:
            spec = OptimizerSpec(n_components=d, n_epochs=0, seed=3)
            for init in ("spectral", "random"):
                made = simplicial_set_embedding(graph(name), spec, init=init, method=method)
                found[f"{name} {d}-D {init}"] = digest(made)
    by_centroids = start_positions(
        "spectral", graph("clusters"), n_components=2, seed=3, representation=points("clusters")
    )
    found["clusters 2-D centroids"] = digest(by_centroids)
    equal = np.repeat(uniform(40, 300, 2), 2, axis=0)
    found["clusters 2-D equal"] = digest(
        start_positions(equal, graph("clusters"), n_components=2, seed=3)
    )
    groups = np.arange(600) % 3
    between = sp.csr_array(np.array([[0, 2, 1], [2, 0, 3], [1, 3, 0]], np.float64))
    paga = {"pos": uniform(41, 3, 2), "connectivities": between, "groups": "group"}
    for d in (2, 3):
        made = positions_from_paga(paga, {"group": _Groups(groups)}, n_components=d, seed=3)
        found[f"clusters {d}-D paga"] = digest(made)
    return found


class _Groups:
    """A categorical column, without pandas."""

    dtype = "category"

    def __init__(self, codes: np.ndarray) -> None:
        self.codes, self.categories = codes, np.unique(codes)

    @property
    def array(self) -> _Groups:
        return self


def layouts(method: str) -> dict[str, str]:
    """Digest layouts, with and without densities, from two starts."""
    found = {}
    for name in GRAPHS:
        for d in DIMENSIONS:
            for init in ("spectral", "random"):
                spec = OptimizerSpec(n_components=d, n_epochs=EPOCHS, seed=5)
                found[f"{name} {d}-D {init}"] = _layout(name, spec, init, method)
            if d > 1:
                spec = spec.replace(density_weight=2.0)
                found[f"{name} {d}-D densities"] = _layout(name, spec, "random", method)
    odd = OptimizerSpec(n_epochs=EPOCHS, a=1.2, b=0.7, alpha=0.5, gamma=2.0, seed=2**63)
    for samples in (0, 1, 7):
        spec = odd.replace(negative_sample_rate=samples)
        found[f"hub 2-D {samples} samples"] = _layout("hub", spec, "random", method)
    found["large 2-D spectral"] = _layout(
        "large", OptimizerSpec(n_epochs=EPOCHS), "spectral", method
    )
    return found


def _layout(name: str, spec: OptimizerSpec, init: str, method: str) -> str:
    wanted = distances(name) if spec.density_weight > 0 else None
    return digest(
        simplicial_set_embedding(graph(name), spec, init=init, distances=wanted, method=method)
    )


def placements(method: str) -> dict[str, str]:
    """Digest the positions of new points among those of a reference."""
    found = {}
    for name in ("clusters", "sheet"):
        indices, lengths = knn(name, 12, 500)
        for d in DIMENSIONS:
            spec = OptimizerSpec(n_components=d, seed=9)
            at = uniform(50 + d, 500, d) * 10.0
            placed = place(at, indices, lengths, spec, n_epochs=EPOCHS, method=method)
            found[f"{name} {d}-D"] = digest(placed)
    return found


#: Every kind of result, and the function that digests it by a method.
SECTIONS: dict[str, Callable[[str], dict[str, str]]] = {
    "neighbours": neighbours,
    "plans": plans,
    "starts": starts,
    "layouts": layouts,
    "placements": placements,
}
#: They are raised when digests change on purpose: that of neighbours, and that of all else.
VERSIONS = {"layout_version": LAYOUT_VERSION, "neighbors_version": NEIGHBORS_VERSION}
#: Sections of which a GPU works something out.
ON_DEVICE = ("neighbours", "starts", "layouts", "placements")


def read() -> dict[str, Any]:
    """Read the committed digests."""
    stored: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return stored


def differences(section: str, method: str = "umap") -> list[str]:
    """Name the digests of a section that are not the committed ones."""
    stored, found = read()[section], SECTIONS[section](method)
    return [name for name in {**stored, **found} if stored.get(name) != found.get(name)]


def main() -> str | None:
    """Compare, or write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    if not parser.parse_args().write:
        wrong = [f"{name}: {case}" for name in SECTIONS for case in differences(name)]
        return "\n".join(wrong) or None
    found: dict[str, Any] = dict(VERSIONS)
    found |= {name: section("umap") for name, section in SECTIONS.items()}
    before = read() if FILE.exists() else {}
    for name in SECTIONS:
        changed = [
            case
            for case, value in before.get(name, {}).items()
            if found[name].get(case, value) != value
        ]
        version = "neighbors_version" if name == "neighbours" else "layout_version"
        if changed and before.get(version) == VERSIONS[version]:
            return f"Digests changed ({name}: {changed[0]}): raise {version} first, on purpose."
    FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return None


if __name__ == "__main__":
    sys.exit(main())
