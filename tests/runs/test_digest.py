"""Digests: of the numbers, not of how they are stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from tests.support import graphs
from umapcore.graph.csr import prepare_graph
from umapcore.runs.digest import graph_digest, positions_digest, representation_digest


def digest(graph: Any) -> str:
    return graph_digest(prepare_graph(graph))


@pytest.mark.parametrize(
    "form",
    [
        sp.csc_matrix,
        sp.coo_array,
        lambda g: g.toarray(),
        lambda g: g.astype(np.float64),
        lambda g: sp.csc_array(g.astype(np.float64)),
        lambda g: sp.csr_array(
            (g.data, g.indices.astype(np.int64), g.indptr.astype(np.int64)), shape=g.shape
        ),
        lambda g: g + 0 * sp.eye_array(g.shape[0]),
    ],
)
def test_of_the_graph_as_it_is_laid_out(form: Any) -> None:
    graph = graphs.clusters(300)
    assert digest(form(graph)) == digest(graph)


def test_of_graphs_known_to_differ() -> None:
    graph = graphs.surface(200)
    other = graph.copy()
    last = np.nextafter(other.data[0], np.float32(9))
    i, j = 0, other.indices[0]
    other[i, j] = other[j, i] = last
    relabelled = graph[::-1][:, ::-1]
    larger = sp.block_diag([graph, np.zeros((1, 1), np.float32)], format="csr")
    empty = [sp.csr_array((n, n), dtype=np.float32) for n in (1, 2)]
    found = [digest(each) for each in (graph, other, relabelled, larger, *empty)]
    assert len(set(found)) == len(found)
    assert all(len(each) == 32 for each in found)


def test_a_known_value() -> None:
    """What is stored in files must not change with the code."""
    assert digest(graphs.path(5)) == "ac73039574a5c324d4107583177bedc6"


def test_number_of_threads_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = prepare_graph(graphs.path(200_000))
    positions = np.random.default_rng(0).random((200_000, 3), np.float32)
    for function, value in ((graph_digest, graph), (positions_digest, positions)):
        assert len({function(value, n_threads=threads) for threads in (1, 2, 3)}) == 1


def test_of_positions() -> None:
    positions = graphs.random_start(50, 2)
    expected = positions_digest(positions)
    assert positions_digest(np.asfortranarray(positions)) == expected
    assert positions_digest(positions[::-1][::-1].astype(">f4")) == expected
    others = [positions.reshape(25, 4), positions[::-1], positions[:, ::-1], -positions]
    assert len({expected, *map(positions_digest, others)}) == 5


def test_of_representations() -> None:
    dense = np.random.default_rng(0).random((40, 3))
    found = [
        representation_digest(dense, "euclidean"),
        representation_digest(dense, "cosine"),
        representation_digest(dense[:, :2], "euclidean"),
        representation_digest(sp.csr_array(dense), "euclidean"),
        representation_digest(None, "euclidean"),
    ]
    assert len(set(found)) == 5
    assert representation_digest(sp.csc_array(dense), "euclidean") == found[3]
