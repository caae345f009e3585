"""The work queue on processors with a weak memory order: all that workers can do is tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.memory_model import Explorer, RaceError, Words, run_as_python
from umapcore_numba.layout import work_queue
from umapcore_numba.layout.work_queue import queue_state_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OPEN, DONE, DRAWN, STRIDE = (
    getattr(work_queue, name) for name in ("_OPEN", "_DONE", "_DRAWN", "STRIDE")
)
#: Where the word of the first row of pulls of two workers is.
ROWS = DRAWN + 2 * STRIDE


class Layout:
    """Workers that go through phases as those of a layout do.

    A piece of a phase reads all data that the phase before has written, and overwrites a datum that
    the phase before has read. If they `can_be_stopped`, another thread asks all of them to stop.
    """

    def __init__(self, n_workers: int, counts: Sequence[int], *, can_be_stopped: bool) -> None:
        self.n_workers, self.counts, self.can_be_stopped = n_workers, counts, can_be_stopped
        self.threads: list[Any] = [(worker, "enter", 0, 0) for worker in range(n_workers)]
        if can_be_stopped:
            self.threads.append((n_workers, "stop", 0, 0))

    def words(self) -> dict[Any, int]:
        places = list(range(0, queue_state_size(self.n_workers), STRIDE))
        found: dict[Any, int] = {("queue", place): 0 for place in places}
        if self.can_be_stopped:
            found |= {(f"claims {worker}", work_queue.STOP): 0 for worker in range(self.n_workers)}
        return found

    def call(self, local: Any, script: Iterator[int]) -> int:
        worker, what, phase, done = local
        queue, claims = Words(script, "queue"), Words(script, f"claims {worker}")
        if what == "enter":
            return int(work_queue.open_phase(queue))
        if what == "stop":
            # A word that changes from 0 to 1 has no third value, however it is written.
            return Words(script, f"claims {done}").do("store_any_order", work_queue.STOP, 1)
        if self.can_be_stopped and work_queue.is_stopped(claims):
            if what == "end":
                work_queue.abandon(queue)
                return len(self.counts)
            return -1
        count = self.counts[phase]
        if what == "draw":
            return int(work_queue.next_piece(queue, worker, self.n_workers, phase, count))
        return int(work_queue.end_phase(queue, self.n_workers, phase, done, count))

    def after(self, local: Any, result: int) -> tuple[Any, Sequence[Any], Sequence[Any]]:
        worker, what, phase, done = local
        if what == "stop":
            return ((worker, what, 0, done + 1) if done + 1 < self.n_workers else None), (), ()
        if what in ("enter", "end"):
            going_on = result < len(self.counts)
            return ((worker, "draw", result, 0) if going_on else None), (), ()
        if result < 0:
            return (worker, "end", phase, done), (), ()
        before = range(self.counts[phase - 1]) if phase > 0 else ()
        reads = [((phase - 1) % 2, piece) for piece in before]
        return (worker, "draw", phase, done + 1), reads, [(phase % 2, result)]

    def check(self, words: dict[Any, int]) -> None:
        if not self.can_be_stopped:
            assert words["queue", OPEN] == len(self.counts)


def explore(layout: Layout, patch: pytest.MonkeyPatch, orders: dict[str, str] | None = None) -> int:
    """Visit all states; `orders` replaces orders: by function, ``@``, and word."""
    run_as_python(work_queue, patch)
    drawn = [DRAWN + STRIDE * worker for worker in range(layout.n_workers)]
    places = {"open": [OPEN], "done": [DONE], "drawn": drawn}
    weaker = {}
    for key, order in (orders or {}).items():
        function, word = key.split("@")
        weaker |= {(function, ("queue", place)): order for place in places[word]}
    return Explorer(layout, layout.words(), weaker).explore()


LOADS = {"load_in_order@drawn": "monotonic", "compare_exchange@drawn": "monotonic"}
STORES = {"store_in_order@drawn": "monotonic"}


@pytest.mark.parametrize(
    ("counts", "orders"),
    [
        ((3, 2), {}),
        pytest.param((2, 1, 2), {}, marks=pytest.mark.slow),
        # The word `open` and the counters: either is enough.
        ((2, 1), {"store_in_order@open": "monotonic", "load_in_order@open": "monotonic"}),
        ((2, 1), LOADS | STORES),
    ],
)
def test_phases_are_in_order(
    counts: tuple[int, ...], orders: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert explore(Layout(2, counts, can_be_stopped=False), monkeypatch, orders) > 500


@pytest.mark.parametrize(
    "orders",
    [
        {"fetch_add_in_order@done": "monotonic"},
        {"fetch_add_in_order@done": "acquire"},
        {"fetch_add_in_order@done": "release"},
        LOADS | {"load_in_order@open": "monotonic"},
        STORES | {"store_in_order@open": "monotonic"},
    ],
)
def test_weaker_orders_are_found(orders: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RaceError):
        explore(Layout(2, (2, 1), can_be_stopped=False), monkeypatch, orders)


def test_a_store_in_the_wrong_place_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def end_phase(queue: Any, n_workers: int, phase: int, done: int, count: int) -> int:
        found = int(right(queue, n_workers, phase, done, count))
        if done > 0 and found == phase + 1:
            queue[DONE] = 0
        return found

    right = work_queue.end_phase.function
    monkeypatch.setattr(work_queue, "end_phase", end_phase)
    with pytest.raises(RaceError):
        explore(Layout(2, (2, 1), can_be_stopped=False), monkeypatch)


def test_workers_that_are_stopped_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert explore(Layout(2, (1, 1), can_be_stopped=True), monkeypatch) > 1000


def test_a_worker_that_leaves_without_a_word_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_queue, "abandon", lambda queue: None)
    with pytest.raises(AssertionError, match="wait for ever"):
        explore(Layout(2, (1,), can_be_stopped=True), monkeypatch)


class Three:
    """Parts of what three workers do: they draw the two pieces of a phase, or end it together."""

    def __init__(self, what: str) -> None:
        self.what, self.threads = what, [(worker, False) for worker in range(3)]

    def call(self, local: Any, script: Iterator[int]) -> int:
        queue = Words(script, "queue")
        if self.what == "draw":
            return int(work_queue.next_piece(queue, local[0], 1, 0, 2))
        if not local[1]:
            return 0  # the piece
        return int(work_queue.end_phase(queue, 1, 0, 1, 3))

    def after(self, local: Any, result: int) -> tuple[Any, Sequence[Any], Sequence[Any]]:
        worker, is_done = local
        if self.what == "draw":
            return None, (), () if result < 0 else (result,)
        return (None, (0, 1, 2), ()) if is_done else ((worker, True), (), (worker,))

    def check(self, words: dict[Any, int]) -> None:
        if self.what == "draw":
            assert words["queue", DRAWN] == 2
        else:
            assert words["queue", OPEN] == 1


@pytest.mark.parametrize("what", ["draw", "end"])
def test_three_workers(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_as_python(work_queue, monkeypatch)
    words: dict[Any, int] = {("queue", place): 0 for place in (OPEN, DONE, DRAWN)}
    assert Explorer(Three(what), words).explore() > 20


@pytest.mark.parametrize(
    ("what", "weaker"), [("draw", "compare_exchange"), ("end", "fetch_add_in_order")]
)
def test_three_workers_with_less(what: str, weaker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter that is not advanced at once gives pieces twice; two data then overlap."""
    run_as_python(work_queue, monkeypatch)

    def in_two_steps(words: Words, place: int, expected: int, value: int) -> int:
        words.do("store_in_order", place, value)
        return expected

    orders = {(weaker, ("queue", DONE)): "monotonic"}
    if what == "draw":
        monkeypatch.setattr(work_queue, weaker, in_two_steps)
    words: dict[Any, int] = {("queue", place): 0 for place in (OPEN, DONE, DRAWN)}
    with pytest.raises(RaceError):
        Explorer(Three(what), words, orders).explore()


class Rows:
    """Two workers that walk, add and walk, with rows of pulls that they claim when they walk."""

    KINDS, COUNTS = ("draw", "walk", "add", "walk"), (1, 2, 1, 1)

    def __init__(self, n_rows: int) -> None:
        self.n_rows = n_rows
        self.threads = [(worker, "enter", 0, 0, -1) for worker in range(2)]

    def words(self) -> dict[Any, int]:
        return {("queue", place): 0 for place in range(0, queue_state_size(2), STRIDE)}

    def call(self, local: Any, script: Iterator[int]) -> int:
        worker, what, phase, done, _ = local
        queue = Words(script, "queue")
        calls = {
            "enter": lambda: work_queue.open_phase(queue),
            "draw": lambda: work_queue.next_piece(queue, worker, 2, phase, self.COUNTS[phase]),
            "claim": lambda: work_queue.claim_row(queue, worker, 2, self.n_rows, phase),
            "add": lambda: work_queue.claimed_rows(queue, 2, self.n_rows, phase - 1),
            "end": lambda: work_queue.end_phase(queue, 2, phase, done, self.COUNTS[phase]),
        }
        return int(calls[what]())

    def after(self, local: Any, result: int) -> tuple[Any, Sequence[Any], Sequence[Any]]:
        worker, what, phase, done, row = local
        if what in ("enter", "end"):
            row = row if done and self.KINDS[phase] == "walk" else -1
            return ((worker, "draw", result, 0, row) if result < 4 else None), (), ()
        if what == "draw":
            following = "end" if result < 0 else "draw"
            writes: Sequence[int] = ()
            if result >= 0 and self.KINDS[phase] == "add":
                following = "add"
            elif result >= 0 and self.KINDS[phase] == "walk":
                following = "draw" if done else "claim"
                writes = self._own(row) if done else ()
            return (worker, following, phase, done + (result >= 0), row), (), writes
        if what == "claim":
            return (worker, "draw", phase, done, result), (), self._own(result)
        rows = [k for k in range(self.n_rows) if result >> k & 1]
        assert rows
        assert row < 0 or row in rows  # what the worker itself has claimed is added
        return (worker, "draw", phase, done, row), (), rows

    def _own(self, row: int) -> Sequence[int]:
        """Give the row as one that is written by ordinary stores, unless it is for all."""
        return () if self.n_rows < 2 and row == self.n_rows - 1 else (row,)

    def check(self, words: dict[Any, int]) -> None:
        assert words["queue", OPEN] == 4


@pytest.mark.parametrize("n_rows", [1, 2])
def test_rows_of_pulls(n_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    run_as_python(work_queue, monkeypatch)
    rows = Rows(n_rows)
    assert Explorer(rows, rows.words()).explore() > 1000


def test_a_row_that_two_workers_claim_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    run_as_python(work_queue, monkeypatch)

    def claim_row(queue: Words, worker: int, n_workers: int, n_rows: int, phase: int) -> int:
        queue.do("store_in_order", ROWS, phase)
        return 0

    monkeypatch.setattr(work_queue, "claim_row", claim_row)
    rows = Rows(2)
    with pytest.raises(RaceError):
        Explorer(rows, rows.words()).explore()
