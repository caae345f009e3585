"""Layouts, transforms and starts can be interrupted within an epoch, however long that is."""

from __future__ import annotations

import _thread
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support import graphs
from umapcore import OptimizerSpec, place, simplicial_set_embedding
from umapcore.init.jacobi import _diagonalise
from umapcore.layout.plan import build_plan
from umapcore_numba.layout.layout import NumbaLayout

if TYPE_CHECKING:
    from collections.abc import Callable

#: One epoch with so many negative samples would take hours.
ENDLESS = OptimizerSpec(n_epochs=3, negative_sample_rate=2**31 - 1)


@pytest.mark.parametrize(("n_workers", "n_components"), [(1, 2), (2, 2), (1, 4)])
def test_workers_leave_their_work_unfinished(n_workers: int, n_components: int) -> None:
    graph = graphs.surface(300)
    spec = ENDLESS.replace(n_components=n_components)
    start = graphs.random_start(300, n_components)
    layout = NumbaLayout(build_plan(graph, spec), start, spec, n_workers)
    timer = threading.Timer(0.2, layout.stop)
    timer.start()
    layout.advance(1, 2)
    timer.join()
    assert np.isfinite(layout.positions()).all()


def _lay_out() -> None:
    simplicial_set_embedding(graphs.surface(300), ENDLESS, init="random")


def _transform() -> None:
    place(graphs.random_start(30, 2), [[0, 1]] * 9, [[1.0, 2.0]] * 9, ENDLESS, n_epochs=9)


@pytest.mark.parametrize("call", [_lay_out, _transform])
def test_keyboard_interrupt_during_an_epoch(call: Callable[[], None]) -> None:
    assert threading.current_thread() is threading.main_thread()
    timer = threading.Timer(0.2, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        call()
    timer.join()


def test_rotations_end_when_they_are_asked_to() -> None:
    matrix = np.add.outer(np.arange(5.0), np.arange(5.0))
    before = matrix.copy()
    _diagonalise(matrix, np.empty_like(matrix), np.ones(1, np.int64))
    np.testing.assert_array_equal(matrix, before)
