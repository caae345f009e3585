"""The search for neighbours in plain NumPy: slow, obvious, and right by inspection.

It is the specification in executable form: the searches have to give its bits. It shares no code
with them, and knows nothing of the integers by which they choose what to compare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.support.oracle import MASK, mix64

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

SAMPLE_STREAM, TREE_STREAM = 0x6B6E6EFF, 0x6B6E6E00
Key = tuple[np.float32, int]
Lists = list[list[Key]]


def padded(points: NDArray[np.float32]) -> NDArray[np.float32]:
    n, p = points.shape
    rows = np.zeros((n, -(-p // 16) * 16), np.float32)
    rows[:, :p] = points
    return rows


def summed(terms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sum the last axis, a multiple of 16: sixteen sums, of which halves are added."""
    sums = np.zeros((*terms.shape[:-1], 16), np.float32)
    for block in range(0, terms.shape[-1], 16):
        sums = sums + terms[..., block : block + 16]
    while sums.shape[-1] > 1:
        half = sums.shape[-1] // 2
        sums = sums[..., :half] + sums[..., half:]
    return sums[..., 0]


def squares(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    differences = a - b
    return summed(differences * differences)


def nearest(rows: NDArray[np.float32], i: int, others: Iterable[int], k: int) -> list[Key]:
    """The k nearest of some points, by distance and number, without the point itself."""
    found = sorted(set(others) - {i})
    lengths = squares(rows[found], rows[i]) if found else []
    return sorted(zip(lengths, found, strict=True))[:k]


def exact(points: NDArray[np.float32], k: int) -> Lists:
    rows = padded(points)
    return [nearest(rows, i, range(len(rows)), k) for i in range(len(rows))]


def stream(seed: int, number: int) -> int:
    return mix64(mix64(seed) ^ number)


def leaves(rows: NDArray[np.float32], size: int, seed: int, number: int) -> list[list[int]]:
    """The leaves of a tree, each in the order of the points' numbers."""
    nodes = [(list(range(len(rows))), -(-len(rows) // size))]
    key, depth = stream(seed, TREE_STREAM + number), 0
    while any(count > 1 for _, count in nodes):
        below = []
        for node, (members, count) in enumerate(nodes):
            if count == 1:
                below.append((members, 1))
                continue
            draw = mix64((mix64((key + depth) & MASK) + node) & MASK)
            a = members[draw % len(members)]
            b = members[mix64(draw) % len(members)]
            products = summed(rows[members] * (rows[a] - rows[b]))
            # Python's sort is stable: equal products stay in the order of the points.
            order = sorted(range(len(members)), key=lambda j, by=products: by[j])
            cut = len(members) * (count // 2) // count
            left = set(order[:cut])
            below += [
                ([p for j, p in enumerate(members) if (j in left) == side], part)
                for side, part in ((True, count // 2), (False, count - count // 2))
            ]
        nodes, depth = below, depth + 1
    return [members for members, _ in nodes]


def with_tree(rows: NDArray[np.float32], lists: Lists, tree: list[list[int]], k: int) -> Lists:
    """The lists after all pairs of points within the leaves of a tree have been compared."""
    found = list(lists)
    for members in tree:
        for i in members:
            found[i] = nearest(rows, i, {*members, *(j for _, j in lists[i])}, k)
    return found


def with_pass(rows: NDArray[np.float32], lists: Lists, reach: int, k: int) -> Lists:
    """The lists after every point has been compared with the neighbours of its neighbours."""
    return [
        nearest(
            rows,
            i,
            {j for _, j in own} | {b for _, a in own[:reach] for _, b in lists[a][:reach]},
            k,
        )
        for i, own in enumerate(lists)
    ]


def sample(n: int, seed: int, most: int) -> list[int]:
    count = min(n, most)
    first = stream(seed, SAMPLE_STREAM)
    draws = [(mix64((first + i) & MASK) >> 11) * 2.0**-53 for i in range(count)]
    return [min(n - 1, int((i + draw) * (n / count))) for i, draw in enumerate(draws)]


def recall(rows: NDArray[np.float32], lists: Lists, of: list[int], k: int) -> float:
    """The share of the nearest neighbours of some points that are in their lists."""
    right = 0
    for i in of:
        farthest = nearest(rows, i, range(len(rows)), k)[-1][0]
        right += sum(length <= farthest for length, _ in lists[i])
    return right / (k * len(of))
