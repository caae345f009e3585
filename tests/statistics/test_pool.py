"""Negative samples are uniform and independent over vertices, buckets, epochs, seeds and fires."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from tests.support.significance import FALSE_ALARM, chi_square, independence, of_normals
from umapcore._kit.rng import mix64
from umapcore.layout.constants import GROUP, N_BUCKETS, SAMPLE_BITS, SAMPLES_A_WORD
from umapcore.layout.plan import pool_size

SHAPE = (12, 60, N_BUCKETS)  # seeds, epochs, buckets
#: Divides the number of entries of small pools evenly, and is prime to their size.
N_VERTICES = 37
SIZE = pool_size(N_VERTICES)


def keys(seeds: int = SHAPE[0], epochs: int = SHAPE[1], buckets: int = SHAPE[2]) -> np.ndarray:
    """Keys of buckets, as oracle.epoch has them: seeds × epochs × buckets."""
    seed, epoch, bucket = np.mgrid[0:seeds, 1 : epochs + 1, 0:buckets].astype(np.uint64)
    return mix64(mix64(seed) ^ ((epoch << np.uint64(32)) | bucket))


def pools(key: np.ndarray, n: int, size: int) -> np.ndarray:
    """Places in pools, as oracle.epoch has them: one more axis, of `size` entries."""
    hashes = mix64(key[..., None] + np.arange(size // 2, dtype=np.uint64))
    words = np.concatenate([hashes >> np.uint64(32), hashes & np.uint64(2**32 - 1)], axis=-1)
    return ((words * np.uint64(n)) >> np.uint64(32)).astype(np.int64)


def offsets(key: np.ndarray, fires: int) -> np.ndarray:
    """Offsets of samples, as oracle.epoch has them: two more axes, fires and samples."""
    hashes = mix64(mix64(~key)[..., None] + np.arange(fires, dtype=np.uint64))
    shifts = np.arange(SAMPLES_A_WORD, dtype=np.uint64) * np.uint64(SAMPLE_BITS)
    return ((hashes[..., None] >> shifts) & np.uint64(1023)).astype(np.int64)


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return pools(keys(), N_VERTICES, SIZE)


def test_kernel_draws_these_pools() -> None:
    from umapcore_numba.layout.bundles import Pool
    from umapcore_numba.layout.lanes import POOL_STRIDE
    from umapcore_numba.layout.sample_pool import POOL_PARTS, bucket_key, draw_pool

    @numba.njit  # type: ignore[untyped-decorator, unused-ignore]
    def draw(seed: Any, epoch: Any, bucket: Any, positions: Any, pool: Any) -> None:
        key = bucket_key(seed, epoch, bucket)
        for part in range(POOL_PARTS):
            draw_pool(part, (), 1, key, 0, 3, positions, pool)

    every = keys(2, 2, 2)
    positions = np.arange(N_VERTICES, dtype=np.float32)
    for seed, epoch, bucket in np.ndindex(2, 2, 2):
        pool = Pool(
            places=np.zeros(SIZE, np.int32),
            points=np.zeros(POOL_STRIDE, np.float32),
            own=np.zeros((POOL_PARTS, SIZE + 1), np.int32),
        )
        draw(np.uint64(seed), 1 + epoch, bucket, positions, pool)
        expected = pools(every[seed, epoch, bucket], N_VERTICES, SIZE)
        np.testing.assert_array_equal(pool.places, expected)
        np.testing.assert_array_equal(pool.points[:SIZE], expected)
        np.testing.assert_array_equal(pool.points[SIZE : SIZE + GROUP], expected[:GROUP])
        assert pool.own[:, -1].sum() == (expected < 3).sum()


@pytest.mark.parametrize("n", [2, 3, 5, N_VERTICES, 1000, 70_001, 2**31 - 1])
def test_every_vertex_is_drawn_equally_often(n: int) -> None:
    found = pools(keys(), n, pool_size(min(n, 2000))).ravel()
    assert found.min() >= 0
    assert found.max() < n
    cells = min(n, 4096)
    # Cells of equal numbers of vertices, but for one more or less.
    sizes = np.diff(-(-np.arange(cells + 1) * n // cells))
    counts = np.bincount(found * cells // n, minlength=cells)
    assert chi_square(counts, sizes / n * found.size) > FALSE_ALARM


def test_within_each_bucket_epoch_seed_and_entry(drawn: np.ndarray) -> None:
    for axis in range(4):
        for part in np.moveaxis(drawn, axis, 0):
            counts = np.bincount(part.ravel(), minlength=N_VERTICES)
            assert chi_square(counts) > FALSE_ALARM / SIZE, axis


@pytest.mark.parametrize("lag", [1, 2, 3])
def test_neighbouring_pools_are_independent(drawn: np.ndarray, lag: int) -> None:
    for axis in range(4):
        first = drawn.take(range(drawn.shape[axis] - lag), axis)
        second = drawn.take(range(lag, drawn.shape[axis]), axis)
        assert independence(first, second, N_VERTICES) > FALSE_ALARM, axis


def test_halves_of_a_hash_are_independent(drawn: np.ndarray) -> None:
    half = SIZE // 2
    assert independence(drawn[..., :half], drawn[..., half:], N_VERTICES) > FALSE_ALARM


def test_pools_hold_as_many_equal_entries_as_by_chance(drawn: np.ndarray) -> None:
    """The number of vertices that a pool lacks has the mean and the variance of the occupancy."""
    flat = drawn.reshape(-1, SIZE) + N_VERTICES * np.arange(drawn.size // SIZE)[:, None]
    counts = np.bincount(flat.ravel(), minlength=drawn.size // SIZE * N_VERTICES)
    of_pools = counts.reshape(-1, N_VERTICES)
    p = 1 / N_VERTICES
    # Within a pool, counts are multinomial: Pearson's statistic has these moments.
    pearson = ((of_pools - SIZE * p) ** 2 / (SIZE * p)).sum(axis=1)
    mean, variance = N_VERTICES - 1, 2 * (N_VERTICES - 1) * (1 - 1 / SIZE)
    z = (pearson.mean() - mean) / np.sqrt(variance / pearson.size)
    assert of_normals(np.array([z])) > FALSE_ALARM
    assert pearson.var() == pytest.approx(variance, rel=6.2 * np.sqrt(3 / pearson.size))


@pytest.mark.parametrize("bits", [8, 9, 10])
def test_offsets_are_uniform(bits: int) -> None:
    """The bits that pools of 256, 512 and 1024 entries use."""
    found = offsets(keys(), 8) & (2**bits - 1)
    for r in range(SAMPLES_A_WORD):
        assert chi_square(np.bincount(found[..., r].ravel(), minlength=2**bits)) > FALSE_ALARM


@pytest.mark.parametrize("shift", [0, 5])
def test_offsets_are_independent(shift: int) -> None:
    """Of samples of a fire, and of neighbouring fires, buckets, epochs and seeds."""
    found = (offsets(keys(), 8) >> shift) & 31
    for i in range(SAMPLES_A_WORD):
        for j in range(i):
            assert independence(found[..., i], found[..., j], 32) > FALSE_ALARM
    for axis in range(4):
        first = found.take(range(found.shape[axis] - 1), axis)
        second = found.take(range(1, found.shape[axis]), axis)
        assert independence(first, second, 32) > FALSE_ALARM, axis


def test_samples_of_a_walker() -> None:
    """What a head meets: entries of the pool of its bucket, which a hash of the same key chose."""
    key = keys(60, 60, N_BUCKETS)
    first = offsets(key, 1)[..., 0, :2] % SIZE
    pool = pools(key, N_VERTICES, SIZE)
    for turn in (0, 7, 255):
        # One fire of each bucket and epoch: several fires share a pool, and are not independent.
        met = np.take_along_axis(pool, (turn + first) % SIZE, axis=-1)
        for r in (0, 1):
            assert chi_square(np.bincount(met[..., r].ravel(), minlength=N_VERTICES)) > FALSE_ALARM
        assert independence(met[..., 0], met[..., 1], N_VERTICES) > FALSE_ALARM / SIZE
        # Its neighbour in the order of the ranks meets others.
        other = np.take_along_axis(pool, (turn + 1 + first) % SIZE, axis=-1)
        assert independence(met, other, N_VERTICES) > FALSE_ALARM
