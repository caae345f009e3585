"""All ways in which threads can run on a processor with a weak memory order.

The functions under test are run as Python, with stand-ins for the words that threads share. Each
thread goes on until its next operation on such a word; an explorer then tries every thread, and
every value that the memory model lets it read. A function is run anew from its beginning with the
values that it has read so far, so it need not know of any of this.

The model is that of release and acquire in C11 and LLVM, as an abstract machine (Kang and others, A
promising semantics for relaxed-memory concurrency, POPL 2017, without promises). A word has the
list of all values that were ever written to it. A thread has a view: for every word, the oldest
value that it may still read. It may read any value from there on, and write a value anywhere after
it. A value that was written by a release holds the writer's view, and who reads it by an acquire
adopts that view. Plain accesses must be ordered by such views; if they are not, that is a race.
What has no race here has none on ARM, whose compilers and processors keep to this model.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from umapcore._kit import atomics
from umapcore._kit.jit import Compilable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    import pytest

View = tuple[int, ...]

#: The order of each function of `atomics`; `tests/kit/test_atomics.py` compares them with LLVM's.
ORDERS = {
    "load_in_order": "acquire",
    "load_any_order": "monotonic",
    "store_in_order": "release",
    "store_any_order": "monotonic",
    "fetch_add": "monotonic",
    "fetch_add_in_order": "acq_rel",
    "compare_exchange": "acq_rel",
}
_ACQUIRES, _RELEASES = ("acquire", "acq_rel"), ("release", "acq_rel")


class RaceError(Exception):
    """Two accesses, one of them plain and one of them a write, are not ordered."""


class _Pending(Exception):  # noqa: N818
    """A thread's next operation, which has not been carried out yet."""


class _Waits(Exception):  # noqa: N818
    """A thread waits for another: what it read last it will read again."""


class Operation(NamedTuple):
    """An operation on a word: the function of `atomics`, or ``write`` for a plain one."""

    name: str
    word: Hashable
    value: int = 0
    expected: int = 0


class Words:
    """Stand-in for an array of words that threads share; `script` gives what is read."""

    def __init__(self, script: Iterator[int], name: str = "") -> None:
        self.script, self.name = script, name

    def do(self, name: str, place: int, value: int = 0, expected: int = 0) -> int:
        for result in self.script:
            return result
        raise _Pending(Operation(name, (self.name, int(place)), int(value), int(expected)))

    def __setitem__(self, place: int, value: int) -> None:
        self.do("write", place, value)


def run_as_python(module: Any, patch: pytest.MonkeyPatch) -> None:
    """Replace a module's compiled functions by their Python, and atomic operations by stand-ins."""

    def waits() -> None:
        raise _Waits

    def stand_in(name: str) -> Callable[..., int]:
        if name == "compare_exchange":
            return lambda words, place, expected, value: words.do(name, place, value, expected)
        return lambda words, place, value=0: words.do(name, place, value)

    for name, value in vars(module).copy().items():
        if name in ORDERS and value is getattr(atomics, name):
            patch.setattr(module, name, stand_in(name))
        elif name in ("pause", "yield_processor"):
            patch.setattr(module, name, waits)
        elif isinstance(value, Compilable):
            patch.setattr(module, name, value.function)


class Program(Protocol):
    """What threads do: calls of functions, one after another."""

    #: What each thread begins with.
    threads: Sequence[Hashable]

    def call(self, local: Any, script: Iterator[int]) -> Any:
        """Carry out a thread's next call."""

    def after(self, local: Any, result: Any) -> tuple[Any, Sequence[Any], Sequence[Any]]:
        """Give what the thread goes on with (None: it ends), and plain data that it has accessed.

        These are data that it has read and that it has written.
        """

    def check(self, words: dict[Hashable, int]) -> None:
        """Check the words' last values when all threads have ended."""


class _Returned(NamedTuple):
    """What a call has returned."""

    result: Any


class _Value(NamedTuple):
    """One of the values of a word; `of_update`: nothing can come between it and the one before."""

    value: int
    view: View
    of_update: bool = False
    is_plain: bool = False


class _Thread(NamedTuple):
    local: Any
    script: tuple[int, ...]
    view: View


class _State(NamedTuple):
    """Values of all words, the threads, and for all data by whom and when they were accessed."""

    words: tuple[tuple[_Value, ...], ...]
    threads: tuple[_Thread, ...]
    data: tuple[tuple[Any, tuple[int, ...]], ...]


class Explorer:
    """Explores all states of a program.

    Parameters
    ----------
    program
        What is run.
    words
        All words, with their values at the beginning.
    orders
        Weaker orders than the usual ones, by function and word.
    """

    def __init__(
        self,
        program: Program,
        words: dict[Hashable, int],
        orders: dict[tuple[str, Hashable], str] | None = None,
    ) -> None:
        self.program = program
        self.index = {word: k for k, word in enumerate(words)}
        self.orders = orders or {}
        self._next: dict[Any, Any] = {}
        n = len(program.threads)
        nothing = (0,) * (len(words) + n)  # a view of the words, and clocks of the threads
        self.first = _State(
            tuple((_Value(value, nothing),) for value in words.values()),
            tuple(_Thread(local, (), nothing) for local in program.threads),
            (),
        )

    def explore(self) -> int:
        """Visit all states, and return their number.

        Raises
        ------
        RaceError
            When plain accesses are not ordered.
        AssertionError
            When a thread can wait for ever, or the program's own check fails.
        """
        before: dict[_State, list[_State]] = {self.first: []}
        ended, left = [], deque([self.first])
        while left:
            state = left.pop()
            if all(thread.local is None for thread in state.threads):
                values = [values[-1].value for values in state.words]
                self.program.check(dict(zip(self.index, values, strict=True)))
                ended.append(state)
            for k in self._who(state):
                for following in map(self._tidy, self._steps(state, k)):
                    if following not in before:
                        before[following] = []
                        left.append(following)
                    before[following].append(state)
        # Where every value is read in the end, threads must be able to end from any state.
        can_end, left = set(ended), deque(ended)
        while left:
            for state in before[left.pop()]:
                if state not in can_end:
                    can_end.add(state)
                    left.append(state)
        assert len(can_end) == len(before), "threads wait for ever"
        return len(before)

    def _who(self, state: _State) -> list[int]:
        """Give the threads that may be next; one alone if it returns from a call meanwhile."""
        live = [k for k, thread in enumerate(state.threads) if thread.local is not None]
        for k in live:
            if isinstance(self._run(*state.threads[k][:2]), _Returned):
                return [k]
        return live

    def _tidy(self, state: _State) -> _State:
        """Forget what no thread can read any more: states that differ in nothing else are one."""
        n_words = len(self.index)
        views = [thread.view for thread in state.threads if thread.local is not None]
        if not views:
            return state
        least = tuple(map(min, zip(*views, strict=True)))
        gone = (*least[:n_words], *(0,) * len(state.threads))

        def moved(view: View) -> View:
            return tuple(max(x, low) - by for x, low, by in zip(view, least, gone, strict=True))

        words = tuple(
            tuple(
                value._replace(
                    view=moved(value.view),
                    of_update=value.of_update and k > 0,
                    is_plain=value.is_plain and k > 0,
                )
                for k, value in enumerate(row[first:])
            )
            for row, first in zip(state.words, gone, strict=False)
        )
        threads = tuple(thread._replace(view=moved(thread.view)) for thread in state.threads)
        return _State(words, threads, state.data)

    def _steps(self, state: _State, k: int) -> Iterator[_State]:
        """Give all states to which the next operation of thread `k` leads."""
        thread = state.threads[k]
        operation = self._run(thread.local, thread.script)
        if isinstance(operation, _Returned):
            yield self._returned(state, k, operation.result)
            return
        word = self.index[operation.word]
        for values, threads, view, result in self._carried_out(state, k, operation, word):
            script = (*thread.script, result)
            following = self._run(thread.local, script)
            if following is _Waits:
                script = script[:-1]
            changed = _replaced(threads, k, _Thread(thread.local, script, view))
            yield _State(values, changed, state.data)

    def _run(self, local: Any, script: tuple[int, ...]) -> Any:
        """Run a call with a script: give its next operation, its result, or that it waits."""
        key = (local, script)
        if key not in self._next:
            try:
                self._next[key] = _Returned(self.program.call(local, iter(script)))
            except _Pending as pending:
                self._next[key] = pending.args[0]
            except _Waits:
                self._next[key] = _Waits
        return self._next[key]

    def _returned(self, state: _State, k: int, result: Any) -> _State:
        """Go on after a call, with the data that are accessed then."""
        thread = state.threads[k]
        local, reads, writes = self.program.after(thread.local, result)
        view, data = thread.view, dict(state.data)
        if reads or writes:
            n_words, n = len(self.index), len(state.threads)
            now = view[n_words + k] + 1
            view = _replaced(view, n_words + k, now)
            for cell, kinds in [(c, (1,)) for c in reads] + [(c, (0, 1)) for c in writes]:
                # When each thread has last read and last written the datum.
                known = data.get(cell, (0,) * 2 * n)
                for other in range(n):
                    for kind in kinds:
                        if known[2 * other + kind] > view[n_words + other]:
                            raise RaceError(cell)
                data[cell] = _replaced(known, 2 * k + (len(kinds) - 1), now)
        if local is None:  # what it has seen does not matter any more
            view = (0,) * len(view)
        threads = _replaced(state.threads, k, _Thread(local, (), view))
        return _State(state.words, threads, tuple(sorted(data.items())))

    def _carried_out(
        self, state: _State, k: int, operation: Operation, word: int
    ) -> Iterator[tuple[Any, tuple[_Thread, ...], View, int]]:
        """Give words, threads, the thread's view and what it has read, for all possibilities."""
        values, view = state.words[word], state.threads[k].view
        name = operation.name
        unseen = values[view[word] + 1 :]
        if name == "write":
            if unseen:
                raise RaceError(operation)
        elif any(value.is_plain for value in unseen):
            raise RaceError(operation)
        order = self.orders.get((name, operation.word), ORDERS.get(name, "plain"))
        for place in range(view[word], len(values)):
            read = values[place]
            seen = _replaced(view, word, place)
            if name.startswith("store") or name == "write":
                if place + 1 < len(values) and values[place + 1].of_update:
                    continue
                new = _Value(operation.value, seen, is_plain=name == "write")
            else:
                if order in _ACQUIRES:
                    seen = _joined(seen, read.view)
                if name.startswith("load") or (
                    name == "compare_exchange" and read.value != operation.expected
                ):
                    yield state.words, state.threads, seen, read.value
                    continue
                if place + 1 < len(values) and values[place + 1].of_update:
                    continue
                total = operation.value + (read.value if name.startswith("fetch") else 0)
                new = _Value(total, seen, of_update=True)
            words, threads, seen = _inserted(state, word, place + 1, seen)
            at = _replaced((0,) * len(seen), word, place + 1)
            shown = seen if order in _RELEASES else at
            if new.of_update:  # who reads it also sees what the value before shows
                shown = _joined(shown, words[word][place].view)
            new = new._replace(view=_replaced(shown, word, place + 1))
            row = (*words[word][: place + 1], new, *words[word][place + 1 :])
            yield _replaced(words, word, row), threads, _replaced(seen, word, place + 1), read.value


def _inserted(
    state: _State, word: int, place: int, view: View
) -> tuple[Any, tuple[_Thread, ...], View]:
    """Renumber the values of a word from `place` on, in all views."""
    if place == len(state.words[word]):
        return state.words, state.threads, view

    def moved(view: View) -> View:
        return _replaced(view, word, view[word] + (view[word] >= place))

    words = tuple(tuple(v._replace(view=moved(v.view)) for v in row) for row in state.words)
    threads = tuple(thread._replace(view=moved(thread.view)) for thread in state.threads)
    return words, threads, moved(view)


def _replaced(row: Any, k: int, value: Any) -> Any:
    return (*row[:k], value, *row[k + 1 :])


def _joined(a: View, b: View) -> View:
    return tuple(map(max, a, b))
