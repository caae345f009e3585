"""A work queue, which workers share to go through the phases of a layout together.

The work of a phase is divided into pieces, which workers draw from the queue. A phase ends when all
its pieces are done, by any workers; it does not need all workers to arrive. So a worker that the
operating system has not started yet, or interrupts between two pieces, does not delay the others,
and one worker alone can do all the work. The worker that finishes the last piece opens the next
phase. Workers wait by polling, since a phase is shorter than the time in which a system wakes a
thread (waking threads for each phase would cost some 5 microseconds, this less than 1).

The state is an int64 array in which every number has two cache lines to itself. The numbers are the
phase that is open, how many of its pieces are done, a counter of drawn pieces for each worker's
share, and for each row of pulls the last phase in which a worker has claimed it. The upper half of
a counter holds the phase, so that a worker that is late cannot draw a piece of a phase that is
over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.atomics import (
    compare_exchange,
    fetch_add_in_order,
    load_in_order,
    store_in_order,
)
from umapcore._kit.jit import inline
from umapcore_numba.layout.waiting import pause, yield_processor

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Processors such as ARM's reorder memory operations unless a program forbids it. The order that a
# layout needs: all that is read or written in a phase comes before all that is in the next one. Two
# words establish it, and everything else that workers share is ordinary memory.
#
# done: Every worker adds its pieces when it has done them. The additions release what the worker
#   did, and acquire what those before it did, so the one that adds the last pieces has all of the
#   phase behind it. Nobody else can touch the word then: a worker adds only after drawing a piece
#   of the next phase, and these are handed out later. So an ordinary store sets it back to 0.
# open: The last one then stores the next phase, by a release. A worker acquires the word before it
#   does anything in that phase, and so has the phase before behind it, by whomever it was done.
# drawn pieces: Compare-and-swap gives a piece to one worker under any order. A worker that has
#   acquired the open phase also sees the counters set back, since they were stored before. They
#   have more order than they need: either they or `open` would be enough.
# rows of pulls: Compare-and-swap gives a row to one worker in a phase. A worker sees at least the
#   claims of all phases before, so a swap fails only if another worker has claimed the row in this
#   phase. With as many rows as workers one is left, therefore. Who adds the rows has acquired a
#   later phase, and so sees all claims. No order is needed here either.
# stop words: They say nothing of other memory, and no order is needed. NumPy sets them by ordinary
#   stores, which change one byte, from 0 to 1, so that no part of a value can be read. A worker
#   that has not seen its own word in time opens another phase, in which it sees it.
# pulls that several workers add to, totals of densities: Integers that are added to in one phase
#   and read in another, so the additions need no order.
#
# tests/layout/test_memory_order.py tries all that two workers, and parts of what three, can do.

#: Distance between the numbers of the state.
STRIDE = 16
_OPEN, _DONE, _DRAWN = 0, STRIDE, 2 * STRIDE
_HALF = 32
_LOWER_HALF = (1 << _HALF) - 1
#: A phase after all others.
_NEVER = 1 << 62
#: Index of the stop word in a worker's scratch `claims`: a word in a line that only this worker
#: reads, so that looking at it costs one load from the nearest cache.
STOP = 2
#: Pieces are divided into shares, one for each worker but no more than this: who finds no piece in
#: any share has read a cache line for each.
MOST_SHARES = 16
#: Number of polls before a waiting worker yields its processor: 2 to 5 microseconds. Where nobody
#: else wants it, yielding returns in less than one. Where there are more workers than processors,
#: a worker that polls may keep those that have work from running.
_LOOKS = 100


def queue_state_size(n_workers: int) -> int:
    """Return how many numbers are in the state of a queue; all of them begin at 0."""
    return (2 + 2 * n_workers) * STRIDE


def begin_at(queue: NDArray[np.int64], n_workers: int, phase: int) -> None:
    """Let a queue begin at a phase; no worker may run."""
    queue[:] = 0
    queue[_OPEN] = phase
    queue[_DRAWN : _DRAWN + STRIDE * n_workers : STRIDE] = phase << _HALF


@inline
def open_phase(queue: Any) -> Any:
    """Return the phase that is open."""
    return load_in_order(queue, _OPEN)


@inline
def is_stopped(claims: Any) -> Any:
    """Return whether another thread has asked this worker to leave its work unfinished."""
    return load_in_order(claims, STOP) != 0


@inline
def abandon(queue: Any) -> None:
    """Open a phase after all others, so that workers that wait for the end of a phase leave.

    A worker that ends its phase at the same time opens the next one instead; it then sees its own
    stop word and calls this function too.
    """
    store_in_order(queue, _OPEN, _NEVER)


@inline
def share_of(worker: Any, n_workers: Any, count: Any) -> Any:
    """Return the first piece of a worker's share of `count` pieces."""
    return worker * count // n_workers


@inline
def owner_of(piece: Any, n_workers: Any, count: Any) -> Any:
    """Return the worker in whose share one of `count` pieces is."""
    return ((piece + 1) * n_workers - 1) // count


@inline
def next_piece(queue: Any, worker: Any, n_workers: Any, phase: Any, count: Any) -> Any:
    """Draw the next of the `count` pieces of a phase: -1 if none is left or the phase is over.

    `worker` is the one whose share comes first.
    Every worker begins with its own share. The share is the same part of the vertices in every
    bucket, so most of what it reads is in its own cache. Then it draws from the other shares.
    """
    for turn in range(n_workers):
        owner = (worker + turn) % n_workers
        place = _DRAWN + STRIDE * owner
        first = share_of(owner, n_workers, count)
        size = share_of(owner + 1, n_workers, count) - first
        drawn = load_in_order(queue, place)
        while drawn >> _HALF == phase and drawn & _LOWER_HALF < size:
            before = compare_exchange(queue, place, drawn, drawn + 1)
            if before == drawn:
                return first + (drawn & _LOWER_HALF)
            drawn = before
    return np.int64(-1)


@inline
def claim_row(queue: Any, worker: Any, n_workers: Any, n_rows: Any, phase: Any) -> Any:
    """Return a row of pulls in which to write in a phase, which must not be 0.

    The row is the worker's own until the phase ends. If there are fewer rows than workers, the last
    one is for all who find the others taken. A worker calls this when it has drawn a piece. So only
    rows are in use, and have to be added, whose workers were running.
    """
    private = n_rows if n_rows >= n_workers else n_rows - 1
    for turn in range(private):
        row = (worker + turn) % private
        place = _DRAWN + STRIDE * (n_workers + row)
        before = load_in_order(queue, place)
        if before != phase and compare_exchange(queue, place, before, phase) == before:
            return row
    store_in_order(queue, _DRAWN + STRIDE * (n_workers + n_rows - 1), phase)
    return n_rows - 1


@inline
def claimed_rows(queue: Any, n_workers: Any, n_rows: Any, phase: Any) -> Any:
    """Return the rows that were claimed in a phase, which must be over: bit k is set for row k."""
    rows = 0
    for row in range(n_rows):
        if load_in_order(queue, _DRAWN + STRIDE * (n_workers + row)) == phase:
            rows |= 1 << row
    return rows


@inline
def end_phase(queue: Any, n_workers: Any, phase: Any, done: Any, count: Any) -> Any:
    """Report `done` pieces of a phase, wait for its end, and return the phase that is then open.

    `count`, the number of pieces of the phase, must be at least 1, or the phase would never end.
    """
    if done > 0 and fetch_add_in_order(queue, _DONE, done) + done == count:
        queue[_DONE] = 0
        for worker in range(n_workers):
            store_in_order(queue, _DRAWN + STRIDE * worker, (phase + 1) << _HALF)
        store_in_order(queue, _OPEN, phase + 1)
        return phase + 1
    looks = 0
    while True:
        now = load_in_order(queue, _OPEN)
        if now != phase:
            return now
        if looks < _LOOKS:
            looks += 1
            pause()
        else:
            yield_processor()
