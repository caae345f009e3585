"""Components on processors with a weak memory order: all that two threads can do is tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.support.memory_model import Explorer, Words, run_as_python
from umapcore.graph import components

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: A call: the name of a function, and its arguments beside the parents.
Call = tuple[str, int, int]


class Threads:
    """Threads that call functions one after another; `labels` are those of the components."""

    def __init__(self, calls: Sequence[tuple[Call, ...]], labels: list[int]) -> None:
        self.threads, self.labels = calls, labels

    def call(self, local: Any, script: Iterator[int]) -> None:
        (name, a, b), parent = local[0], Words(script)
        if name == "unite":
            components._unite(parent, a, b)
        else:
            components._flatten(a, b, parent)

    def after(self, local: Any, result: None) -> tuple[Any, Sequence[Any], Sequence[Any]]:
        return local[1:] or None, (), ()

    def check(self, words: dict[Any, int]) -> None:
        parent = np.array(list(words.values()), np.uint32)
        assert np.all(parent <= np.arange(parent.size))
        labels = np.empty(parent.size, np.int32)
        components._number(parent, labels)
        assert labels.tolist() == self.labels


def explore(program: Threads, parents: list[int], patch: pytest.MonkeyPatch) -> int:
    run_as_python(components, patch)
    return Explorer(program, {("", k): parent for k, parent in enumerate(parents)}).explore()


UNITED = [
    # Both take away the root of the other.
    ((("unite", 2, 1),), (("unite", 2, 0),), [0, 0, 0]),
    ((("unite", 1, 2), ("unite", 0, 3)), (("unite", 3, 2),), [0, 0, 0, 0]),
    ((("unite", 2, 4), ("unite", 1, 3)), (("unite", 4, 3),), [0, 1, 1, 1, 1]),
]


@pytest.mark.parametrize(("one", "other", "labels"), UNITED)
def test_joined_by_two_threads(
    one: tuple[Call, ...],
    other: tuple[Call, ...],
    labels: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = Threads((one, other), labels)
    assert explore(program, list(range(len(labels))), monkeypatch) > 30


def test_flattened_by_two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Threads(((("flatten", 0, 4),), (("flatten", 4, 6),)), [0] * 4 + [1, 0])
    assert explore(program, [0, 0, 1, 2, 4, 3], monkeypatch) > 30


def test_an_edge_that_is_lost_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    run_as_python(components, monkeypatch)

    def in_two_steps(words: Words, place: int, expected: int, value: int) -> int:
        found = words.do("load_in_order", place)
        if found == expected:
            words.do("store_in_order", place, value)
        return found

    monkeypatch.setattr(components, "compare_exchange", in_two_steps)
    one, other, labels = UNITED[0]
    with pytest.raises(AssertionError):
        explore(Threads((one, other), labels), [0, 1, 2], monkeypatch)
