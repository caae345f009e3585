"""Generated graphs, and the floor that the GPU's times are set beside."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from benchmarks.generated import generated
from benchmarks.gpu.lower_bound import (
    Rates,
    Work,
    attraction,
    bytes_of,
    floor,
    operations_of,
    repulsion,
)
from tests.support.nvrtc import needs_nvrtc
from umapcore.graph.csr import prepare_graph
from umapcore_cupy.host.compile import KERNELS, compile_program
from umapcore_cupy.host.programs import defines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RATES = Rates(copy=1e12, copy_in_cache=4e12, operations=1e13, launch=1e-6, cache_bytes=10_000_000)


# --- generated graphs


@pytest.mark.parametrize("n", [64, 500, 5000])
def test_generated_graph_is_as_a_prepared_one(n: int) -> None:
    graph = generated(n).graph
    prepared = prepare_graph(graph)
    assert graph.data.dtype == np.float32
    assert graph.indices.dtype == np.int32
    for mine, other in zip(
        (graph.data, graph.indices, graph.indptr),
        (prepared.data, prepared.indices, prepared.indptr),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, other)
    assert (graph != graph.T).nnz == 0
    assert not graph.diagonal().any()
    assert all((np.diff(graph.indices[a:b]) > 0).all()
               for a, b in zip(graph.indptr, graph.indptr[1:], strict=False))  # fmt: skip
    assert connected_components(graph)[0] == 1


def test_generated_graph_is_like_real_ones() -> None:
    bench = generated(20_000)
    graph = bench.graph
    degrees = np.diff(graph.indptr)
    assert 17 < degrees.mean() < 21
    assert 2 < degrees.std() < 11
    assert 0 < graph.data.min() < graph.data.max() <= 1
    assert 0.3 < graph.data.mean() / graph.data.max() < 0.5
    # Numbers say nothing of where a vertex is: neighbours are as far apart as any two.
    heads = np.repeat(np.arange(20_000), degrees)
    assert np.abs(heads - graph.indices).mean() == pytest.approx(20_000 / 3, rel=0.05)
    # Where it starts, neighbours are near, except round the torus.
    apart = np.linalg.norm(bench.start[heads] - bench.start[graph.indices], axis=1)
    assert np.median(apart) < 0.3
    assert bench.start.dtype == np.float32
    assert bench.start.min() == 0
    assert bench.start.max() == 10
    assert len(np.unique(bench.start, axis=0)) == 20_000


def test_generated_graph_is_decided_by_its_seed() -> None:
    one, same, other = generated(700), generated(700), generated(700, seed=1)
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(one.graph, part), getattr(same.graph, part))
    np.testing.assert_array_equal(one.start, same.start)
    assert (one.graph != other.graph).nnz > 1000
    with pytest.raises(ValueError, match="at least 64"):
        generated(63)


# --- the floor

WORK = Work(
    n_vertices=1000, n_edges=20_000, n_walkers=1000, n_buckets=16, n_blocks=16, n_components=2,
    n_samples=5, pool_size=256, fires=8000.0, launches=33,
)  # fmt: skip


def test_floor_of_a_case_worked_out_by_hand() -> None:
    moved = bytes_of(WORK)
    pulled = 16 * 1000 * (1 - np.exp(-0.5))
    assert moved == pytest.approx(
        {
            "rates": 80_000,
            "tails": 32_000,
            "walkers": 12_000 + 1000 * (8 + 8 + 8),
            "gathers": 256_000,
            "pulls": 512_000,
            "apply": 16 * 8000 + pulled * 24 + 16_000,
            "pool": 256 * (16 * (32 + 12) + 16 * 12),
        }
    )
    done = operations_of(WORK)
    assert done == {
        "tests": 80_000, "attractions": 8000 * 78, "repulsions": 40_000 * 68, "hashes": 8000 * 20,
    }  # fmt: skip
    # All of it fits into the cache; an epoch waits for its launches.
    least = floor(WORK, RATES, n_epochs=201)
    assert least["by"]["bytes"] == pytest.approx(200 * sum(moved.values()) / 4e12)
    assert least["by"]["operations"] == pytest.approx(200 * sum(done.values()) / 1e13)
    assert least["by"]["launches"] == pytest.approx(200 * 33e-6)
    assert least["seconds"] == least["by"]["launches"]
    assert least["bound_by"] == "launches"
    json.dumps(least)


def test_floor_of_what_does_not_fit_into_the_cache() -> None:
    moved = bytes_of(WORK)
    in_order = moved["rates"] + moved["tails"] + moved["walkers"]
    others = sum(moved.values()) - in_order
    for cache_bytes, seconds in (
        (30_000, in_order / 1e12 + others / 4e12),
        (20_000, (in_order + others) / 1e12),
    ):
        rates = Rates(1e12, 4e12, 1e20, 0.0, cache_bytes)
        assert floor(WORK, rates, n_epochs=2)["seconds"] == pytest.approx(seconds)


PROBE = """#include "walk.cu"
KERNEL probe(const float* in, float* out, Pull* pulls, int place) {
  Forces f = {in[0], in[1], in[2], in[3], in[4], in[5]};
  Samples s = {(const int*)in, out, (uint32)place, 1023, place};
  Point y = load_point(in, 10), other = load_point(in, 20);
  BODY
  store_point(out, 0, y);
}
"""
ATTRACT = "add_pull(pulls, place, attract<false>(y, other, f, {}, 0u));"
REPEL = "repel<1>(y, other, draw<1>((uint64)place * 77, s), f);"


@needs_nvrtc
@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize(
    ("body", "counted"), [(ATTRACT, attraction), (REPEL, repulsion)], ids=["attract", "repel"]
)
def test_operations_are_those_of_the_kernels(
    d: int, body: str, counted: Callable[[int], int], tmp_path: Path
) -> None:
    for path in KERNELS.iterdir():
        shutil.copy(path, tmp_path)
    (tmp_path / "probe.cu").write_text(PROBE.replace("BODY", body), encoding="utf-8")
    ptx = compile_program(("probe.cu",), defines("layout", d), 90, ptx=True, folder=tmp_path)
    entry = ptx.decode().partition(".entry probe")[2]
    opcodes = re.findall(r"^\s+(?:@\S+\s+)?([a-z]\w*)\.", entry, re.MULTILINE)
    none = {"ld", "st", "mov", "cvta", "reqntid", "maxntid"}
    instructions = sum(opcode not in none for opcode in opcodes)
    # Those of addresses, and the second of every select, are not counted.
    assert counted(d) <= instructions <= 1.25 * counted(d)
