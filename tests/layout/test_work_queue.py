"""Teams of workers that go through phases together, on any number of threads."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest

from umapcore_numba.layout.work_queue import (
    claim_row,
    claimed_rows,
    end_phase,
    next_piece,
    open_phase,
    owner_of,
    queue_state_size,
    share_of,
)

#: Pieces of a phase: of one, of fewer than there are workers, and of many.
COUNTS = np.array([1, 2, 50, 3, 1, 17])


@numba.njit(nogil=True)
def toil(
    worker: int, n_workers: int, queue: np.ndarray, counts: np.ndarray, done: np.ndarray
) -> int:
    """Do pieces of every phase, each of which must find all of the phase before done."""
    faults = 0
    phase = open_phase(queue)
    while phase < done.shape[0]:
        count = counts[phase % counts.shape[0]]
        mine = 0
        owner = worker
        while True:
            piece = next_piece(queue, owner, n_workers, phase, count)
            if piece < 0:
                break
            owner = owner_of(piece, n_workers, count)
            if phase > 0:
                before = counts[(phase - 1) % counts.shape[0]]
                faults += done[phase - 1, :before].sum() != before
            done[phase, piece] += 1
            mine += 1
        phase = end_phase(queue, n_workers, phase, mine, count)
    return faults


def check(done: np.ndarray) -> None:
    for phase, row in enumerate(done):
        count = COUNTS[phase % COUNTS.size]
        assert np.all(row[:count] == 1)
        assert np.all(row[count:] == 0)


def fresh(n_workers: int, n_phases: int) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(queue_state_size(n_workers), np.int64), np.zeros((n_phases, 50), np.int64)


@pytest.mark.parametrize("n_workers", [1, 2, 5])
def test_every_piece_is_done_once_and_after_the_phase_before(n_workers: int) -> None:
    queue, done = fresh(n_workers, 3000)
    with ThreadPoolExecutor(n_workers) as pool:
        parts = [pool.submit(toil, w, n_workers, queue, COUNTS, done) for w in range(n_workers)]
        assert [part.result() for part in parts] == [0] * n_workers
    check(done)


@pytest.mark.parametrize("present", [0, 3])
def test_one_of_four_does_all_the_work_where_nobody_else_comes(present: int) -> None:
    queue, done = fresh(4, 40)
    assert toil(present, 4, queue, COUNTS, done) == 0
    check(done)
    # Whoever comes late finds nothing to do, and does not wait.
    assert toil(1, 4, queue, COUNTS, done) == 0
    check(done)


def test_one_that_comes_late_joins_the_others() -> None:
    queue, done = fresh(2, 200_000)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(toil, 0, 2, queue, COUNTS, done)
        while open_phase_of(queue) == 0:
            time.sleep(0)
        second = pool.submit(toil, 1, 2, queue, COUNTS, done)
        assert (first.result(), second.result()) == (0, 0)
    check(done)


@numba.njit
def open_phase_of(queue: np.ndarray) -> int:
    return open_phase(queue)


@numba.njit
def piece_of(queue: np.ndarray, phase: int) -> int:
    return next_piece(queue, 0, 2, phase, 4)


def test_no_piece_of_a_phase_that_is_not_open() -> None:
    queue, _ = fresh(2, 1)
    assert [piece_of(queue, 1), piece_of(queue, 0), piece_of(queue, 0)] == [-1, 0, 1]
    assert [piece_of(queue, 0) for _ in range(3)] == [2, 3, -1]


@numba.njit
def shares(n_workers: int, count: int) -> list[int]:
    return [share_of(w, n_workers, count) for w in range(n_workers + 1)]


def test_shares_are_all_pieces() -> None:
    assert shares(3, 10) == [0, 3, 6, 10]
    assert shares(4, 2) == [0, 0, 1, 1, 2]


@numba.njit
def owners(n_workers: int, count: int) -> list[int]:
    return [owner_of(piece, n_workers, count) for piece in range(count)]


@pytest.mark.parametrize(("n_workers", "count"), [(1, 4), (3, 10), (4, 2), (64, 17), (7, 7)])
def test_owners_of_pieces(n_workers: int, count: int) -> None:
    bounds = shares(n_workers, count)
    expected = [worker for worker in range(n_workers) for _ in range(*bounds[worker:][:2])]
    assert owners(n_workers, count) == expected


@numba.njit(nogil=True)
def rows_of(workers: np.ndarray, n_workers: int, n_rows: int, phase: int, queue: np.ndarray) -> int:
    for i in range(workers.shape[0]):
        workers[i] = claim_row(queue, workers[i], n_workers, n_rows, phase)
    return claimed_rows(queue, n_workers, n_rows, phase)


def test_rows_are_claimed_for_a_phase() -> None:
    queue, _ = fresh(6, 1)
    workers = np.array([4, 1])
    # Five workers have rows of their own: each gets its number's, if it is free.
    assert rows_of(workers, 5, 5, 7, queue) == 0b10010
    assert workers.tolist() == [4, 1]
    # Three rows for six workers: two find rows of their own, all others share the third.
    workers = np.array([5, 3, 0, 2])
    assert rows_of(workers, 6, 3, 8, queue) == 0b111
    assert workers.tolist() == [1, 0, 2, 2]
    assert rows_of(np.array([2]), 6, 3, 9, queue) == 0b001
    assert rows_of(np.array([], np.int64), 6, 3, 8, queue) == 0b110


def test_rows_are_claimed_by_one_worker_each() -> None:
    with ThreadPoolExecutor(4) as pool:
        queue, _ = fresh(4, 1)
        for phase in range(1, 300):
            taken = [np.array([worker % 2]) for worker in range(4)]
            done = [pool.submit(rows_of, own, 4, 4, phase, queue) for own in taken]
            assert max(part.result() for part in done) == 0b1111
            assert sorted(int(own[0]) for own in taken) == [0, 1, 2, 3]
