"""The hash of counters is as good as random, for every way in which layouts count.

A layout never draws at random: it hashes seeds, epochs, buckets, fires and streams, which are small
and neighbouring numbers. Each of these sequences has to pass, and generators that are known to be
weak have to fail, so that the tests are known to see something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support import oracle
from tests.support.significance import (
    FALSE_ALARM,
    chi_square,
    independence,
    of_normals,
    poisson,
)
from umapcore._kit.rng import mix64, stream_key, uniform

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = 2**16
NUMBERS = np.arange(COUNT, dtype=np.uint64)
#: Bits of a hash that `uniform` drops.
DROPPED_BITS = 11
#: Number of bits that are set in each byte.
ONES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint16)


def keys(seed: np.ndarray | int, epoch: np.ndarray | int, bucket: np.ndarray | int) -> np.ndarray:
    """Keys of buckets, as oracle.epoch has them."""
    seed, epoch, bucket = (np.atleast_1d(np.asarray(x, np.uint64)) for x in (seed, epoch, bucket))
    return mix64(mix64(seed) ^ ((epoch << np.uint64(32)) | bucket))


def sample_words(key: np.ndarray, fire: int) -> np.ndarray:
    """The hash that gives the offsets of a fire's samples."""
    return mix64(mix64(~key) + np.uint64(fire))


SEQUENCES: dict[str, Callable[[], np.ndarray]] = {
    "counters from 0": lambda: mix64(NUMBERS),
    "counters of a stream": lambda: mix64(stream_key(7, 0x72616E64) + NUMBERS),
    "even counters": lambda: mix64(2 * NUMBERS),
    "high counters": lambda: mix64(NUMBERS << np.uint64(40)),
    "streams": lambda: mix64(mix64(np.zeros(1, np.uint64)) ^ NUMBERS),  # stream_key
    "seeds": lambda: keys(NUMBERS, 1, 0),
    "large seeds": lambda: keys(~NUMBERS, 1, 0),
    "epochs": lambda: keys(0, NUMBERS, 0),
    "buckets and epochs": lambda: keys(0, NUMBERS >> np.uint64(4), NUMBERS & np.uint64(15)),
    "buckets of one epoch, seeds": lambda: keys(
        NUMBERS >> np.uint64(4), 1, NUMBERS & np.uint64(15)
    ),
    "first entry of pools": lambda: mix64(
        keys(0, NUMBERS >> np.uint64(4), NUMBERS & np.uint64(15))
    ),
    "samples of epochs": lambda: sample_words(keys(0, NUMBERS, 3), 0),
    "samples of fires": lambda: mix64(mix64(~keys(0, 5, 3)) + NUMBERS),
    "samples of seeds": lambda: sample_words(keys(NUMBERS, 5, 3), 2),
    "seeds that are hashes": lambda: keys(mix64(NUMBERS), 1, 0),
}

WEAK: dict[str, Callable[[], np.ndarray]] = {
    "counters": lambda: NUMBERS,
    "multiples": lambda: NUMBERS * np.uint64(0x9E3779B97F4A7C15),
    "congruences": lambda: np.frombuffer(_congruences(), np.uint64),
    "shifted once": lambda: (
        (NUMBERS * np.uint64(0x9E3779B97F4A7C15))
        ^ (NUMBERS * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32))
    ),
}


def _congruences() -> bytes:
    state, out = 1, []
    for _ in range(COUNT):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out.append(state)
    return np.array(out, np.uint64).tobytes()


def bytes_are_uniform(words: np.ndarray) -> float:
    columns = words.view(np.uint8).reshape(-1, 8)
    return min(chi_square(np.bincount(columns[:, k], minlength=256)) for k in range(8))


def neighbours_are_independent(words: np.ndarray) -> float:
    """Parts of a word and of the next ones: the highest, the lowest and the middle bits."""
    least = 1.0
    for lag in (1, 2, 16, 256):
        for shift in (59, 30, 0):
            part = (words >> np.uint64(shift)) & np.uint64(31)
            least = min(least, independence(part[:-lag], part[lag:], 32))
    return least


def half_of_the_bits_change(words: np.ndarray) -> float:
    changed = words[1:] ^ words[:-1]
    bits = np.unpackbits(changed.view(np.uint8).reshape(-1, 8), axis=1)
    n = bits.shape[0]
    return of_normals((2.0 * bits.sum(axis=0) - n) / np.sqrt(n))


def correlations_of_bits(words: np.ndarray) -> np.ndarray:
    """Correlations of the bits of a word with those of it and of the next word, 64 × 128."""
    bits = np.unpackbits(words.view(np.uint8).reshape(-1, 8), axis=1, bitorder="little").T
    columns = np.packbits(np.vstack([bits[:, :-1], bits[:, 1:]]), axis=1)
    differ = np.stack([ONES[column ^ columns].sum(axis=1) for column in columns[:64]])
    return 1.0 - 2.0 * differ / (words.size - 1)


def bits_are_independent(words: np.ndarray) -> float:
    """All pairs of bits but the few of `test_a_weakness_of_long_runs`."""
    correlations = correlations_of_bits(words)
    first, second = np.triu_indices(64, 1, 128)
    known = (second - first == 31) & (first % 64 < DROPPED_BITS)
    z = correlations[first[~known], second[~known]] * np.sqrt(words.size - 1)
    return of_normals(z)


def spacings_of_birthdays(words: np.ndarray) -> float:
    """Marsaglia's test: equal spacings among 2048 birthdays in a year of 2**30 days."""
    people, least = 2**11, 1.0
    for shift in (34, 17, 0):
        days = (words >> np.uint64(shift)) & np.uint64(2**30 - 1)
        spaced = np.sort(np.diff(np.sort(days.reshape(-1, people), axis=1), axis=1), axis=1)
        equal = int((np.diff(spaced, axis=1) == 0).sum())
        least = min(least, poisson(equal, days.size / people * people**3 / 2**32))
    return least


def collisions(words: np.ndarray) -> float:
    """Equal 28-bit parts."""
    least = 1.0
    for shift in (36, 18, 0):
        parts = (words >> np.uint64(shift)) & np.uint64(2**28 - 1)
        equal = parts.size - np.unique(parts).size
        least = min(least, poisson(equal, parts.size**2 / 2**29))
    return least


BATTERY = [
    bytes_are_uniform,
    neighbours_are_independent,
    half_of_the_bits_change,
    bits_are_independent,
    spacings_of_birthdays,
    collisions,
]


@pytest.mark.parametrize("name", SEQUENCES)
def test_hashes_of_what_layouts_count(name: str) -> None:
    words = SEQUENCES[name]()
    assert np.unique(words).size == COUNT
    found = {test.__name__: test(words) for test in BATTERY}
    assert min(found.values()) > FALSE_ALARM, found


@pytest.mark.parametrize("name", WEAK)
def test_weak_generators_are_found_out(name: str) -> None:
    words = WEAK[name]()
    assert min(test(words) for test in BATTERY) < FALSE_ALARM


def test_it_is_the_hash_of_the_oracle() -> None:
    some = [0, 1, 2**32, 2**63, 2**64 - 1, *range(1000, 1100)]
    expected = [oracle.mix64(x) for x in some]
    np.testing.assert_array_equal(mix64(np.array(some, np.uint64)), np.array(expected, np.uint64))


def test_one_bit_of_the_counter_changes_half_of_the_hash() -> None:
    start = mix64(NUMBERS[:4096])  # counters without a pattern
    for bit in range(64):
        changed = mix64(start) ^ mix64(start ^ np.uint64(2**bit))
        ones = np.unpackbits(changed.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=0)
        assert of_normals((2.0 * ones - 4096) / 64) > FALSE_ALARM, bit


def test_a_weakness_of_long_runs() -> None:
    """Of many consecutive counters, a few low bits k and k + 31 are correlated, by up to 0.07.

    The last step of the hash adds the higher one of them to the lower one. No layout is touched by
    it: uniform numbers do not have the lower bit, and pools and samples hash short runs, where
    nothing can be seen.
    """
    words = mix64(stream_key(7, 11) + NUMBERS)
    bits = np.arange(64 - 31)
    assert np.abs(correlations_of_bits(words)[bits, bits + 31]).max() < 0.1
    runs = mix64(mix64(NUMBERS[:2048])[:, None] + NUMBERS[:512])
    for k in range(DROPPED_BITS):
        equal = ((runs >> np.uint64(k)) ^ (runs >> np.uint64(k + 31))) & np.uint64(1)
        z = (2.0 * equal.sum(axis=1) - 512) / np.sqrt(512)
        assert of_normals(np.array([z.mean() * np.sqrt(z.size)])) > FALSE_ALARM
        assert z.std() < 1.3


def test_no_two_buckets_share_counters() -> None:
    """Counters of pools and of samples, for ten seeds, do not meet.

    A bucket hashes up to 512 counters for its pool, and one for each fire for its samples: fewer
    than 2**17 for ever so long a row. The ranges would meet by chance with a probability of 0.02;
    of the pools alone, 4e-5.
    """
    seed, epoch, bucket = (x.ravel() for x in np.mgrid[0:10, 1:501, 0:16].astype(np.uint64))
    key = keys(seed, epoch, bucket)
    starts = np.sort(np.concatenate([key, mix64(~key)]))
    assert np.diff(starts).min() > 2**17


@pytest.mark.parametrize("seed", [0, 1, 2**63, 2**64 - 1])
def test_uniform_numbers(seed: int) -> None:
    drawn = uniform(seed, 11, COUNT)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert (drawn * 2**53 == np.floor(drawn * 2**53)).all()
    assert chi_square(np.bincount((drawn * 1000).astype(int), minlength=1000)) > FALSE_ALARM
    finest = (drawn * 2**53).astype(np.uint64) & np.uint64(1023)
    assert chi_square(np.bincount(finest.astype(int), minlength=1024)) > FALSE_ALARM
    # Coordinates of a vertex are consecutive numbers.
    for d in (2, 3):
        cells = (drawn[: COUNT // d * d].reshape(-1, d) * 10).astype(int)
        counts = np.bincount(cells @ 10 ** np.arange(d), minlength=10**d)
        assert chi_square(counts) > FALSE_ALARM


def test_streams_and_seeds_are_unrelated() -> None:
    draws = [uniform(seed, stream, COUNT) for seed in (0, 1, 2) for stream in (0, 1, 0x70616761)]
    correlations = np.corrcoef(draws)[np.triu_indices(len(draws), 1)]
    assert of_normals(correlations * np.sqrt(COUNT)) > FALSE_ALARM
