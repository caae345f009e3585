"""Points of the data sets, generated points, and the recall of found neighbours.

*Recall* is counted over the 14 nearest others of a point: of 15 neighbours, as scanpy counts them,
one is the point itself. A found point counts if it is not farther than the 14th nearest other, so
that ties count whichever of them was found. What is true is computed in float64 for a fixed sample
of points, and kept in the cache folder.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import graphs
from benchmarks.neighbors.programs import K

if TYPE_CHECKING:
    from numpy.typing import NDArray

GENERATED = "generated:"
#: Points whose neighbours are checked.
SAMPLE = 10_000
#: Squared distances that agree to this share are ties: programs compute them in float32.
TIE = 1e-6
# Numbers in a block of squared distances.
_BLOCK = 20_000_000


@dataclass(frozen=True)
class Judge:
    """What recall needs: a sample of the points, and how far the last true neighbour of each is.

    Attributes
    ----------
    points
        (n, p) float32.
    rows
        Indices of the sample, increasing.
    squared_radii
        Squared distance of each to its 14th nearest other (its last other, if it has fewer).
    """

    points: NDArray[np.float32]
    rows: NDArray[np.int64]
    squared_radii: NDArray[np.float64]

    def recall(self, indices: NDArray[Any]) -> float:
        """Return the recall of the sample's found neighbours, (sample, any number)."""
        found = np.sort(np.asarray(indices).astype(np.int64), axis=1)
        counts = (found >= 0) & (found != self.rows[:, None])
        counts[:, 1:] &= found[:, 1:] != found[:, :-1]
        origin = self.points[self.rows].astype(np.float64)
        right = np.zeros(len(found), np.int64)
        for column in range(found.shape[1]):
            squared = ((origin - self.points[found[:, column]]) ** 2).sum(axis=1)
            right += counts[:, column] & (squared <= self.squared_radii * (1.0 + TIE))
        others = _others(len(self.points))
        return float(np.minimum(right, others).mean() / others)


def load(name: str, data: str | None = None) -> NDArray[np.float32]:
    """Return the points of a data set, or generated ones: ``generated:1e5`` has 100,000.

    Raises
    ------
    FileNotFoundError
        If the data set is not in the data folder.
    """
    if name.startswith(GENERATED):
        return generated(int(float(name.removeprefix(GENERATED))))
    path = graphs.data_folder(data) / f"{name}.h5ad"
    if not path.is_file():
        msg = f"{path} does not exist: give the folder of the data by --data or $UMAPCORE_DATA"
        raise FileNotFoundError(msg)
    import h5py

    with h5py.File(path) as file:
        return np.ascontiguousarray(file["obsm/X_pca"][:], np.float32)


def generated(n: int) -> NDArray[np.float32]:
    """Return points of 200 clusters in 12 of 50 dimensions, with a little noise in all."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(200, 12)) * 4
    labels = rng.integers(0, 200, n)
    inner = centres[labels] + rng.normal(size=(n, 12))
    axes = np.linalg.qr(rng.normal(size=(50, 12)))[0].T
    return np.asarray(inner @ axes + 0.3 * rng.normal(size=(n, 50)), np.float32)


def judge(points: NDArray[np.float32], sample: int = SAMPLE) -> Judge:
    """Compare a sample of the points with all points, or read what that gave before."""
    n = len(points)
    rows = np.sort(np.random.default_rng(0).choice(n, min(n, sample), replace=False))
    digest = hashlib.sha256(f"{points.shape} {len(rows)} {K}".encode())
    digest.update(points.data)
    path = graphs.cache_folder() / f"radii-{digest.hexdigest()[:20]}.npy"
    if not path.exists():
        np.save(path, _squared_radii(points, rows))
    return Judge(points, rows, np.load(path))


def _others(n: int) -> int:
    return min(K, n) - 1


def _squared_radii(points: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    # Centred, so that little is lost in the sum of three terms.
    exact = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    norms = (exact**2).sum(axis=1)
    last = _others(len(points)) - 1
    size = max(1, _BLOCK // len(points))

    def block(begin: int) -> NDArray[np.float64]:
        some = rows[begin : begin + size]
        squared = exact[some] @ exact.T
        squared *= -2.0
        squared += norms
        squared += norms[some, None]
        squared[np.arange(len(some)), some] = np.inf
        squared.partition(last, axis=1)
        radii: NDArray[np.float64] = np.maximum(squared[:, last], 0.0)
        return radii

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.concatenate(list(pool.map(block, range(0, len(rows), size))))
