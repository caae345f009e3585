"""Positions kept while a layout runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.support import graphs
from umapcore import OptimizerSpec, Snapshots, simplicial_set_embedding

if TYPE_CHECKING:
    from collections.abc import Callable

    from umapcore.device.protocol import Backend

SPEC = OptimizerSpec(n_epochs=20)


def run(seen: Snapshots, spec: OptimizerSpec = SPEC, n: int = 300, **more: Any) -> np.ndarray:
    return simplicial_set_embedding(graphs.surface(n), spec, init="random", snapshots=seen, **more)


def test_start_every_kth_and_result(
    open_backend: Callable[[], Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("umapcore.layout.embed.resolve_backend", lambda method, **_: open_backend())
    seen = Snapshots(6)
    embedding = run(seen)
    assert seen.epochs.tolist() == [0, 6, 12, 18, 20]
    assert seen.epochs.dtype == np.int64
    assert seen.positions.shape == (5, 300, 2)
    assert seen.positions.dtype == np.float32
    for epoch, positions in seen:
        expected = simplicial_set_embedding(
            graphs.surface(300), SPEC, init="random", stop_epoch=epoch
        )
        np.testing.assert_array_equal(positions, expected)
    np.testing.assert_array_equal(seen.positions[-1], embedding)


def test_they_are_copies_and_change_no_bit() -> None:
    seen = Snapshots(3)
    embedding = run(seen)
    np.testing.assert_array_equal(embedding, run(Snapshots(1)))
    embedding[:] = np.nan
    assert np.isfinite(seen.positions).all()


def test_beside_a_callback_that_does_as_it_likes_and_stops() -> None:
    seen, calls = Snapshots(4), []

    def callback(epoch: int, positions: np.ndarray) -> bool:
        calls.append(epoch)
        positions[:] = np.nan
        return epoch == 15

    run(seen, callback=callback, callback_every=5)
    assert calls == [5, 10, 15]
    assert seen.epochs.tolist() == [0, 4, 8, 12, 15]
    assert np.isfinite(seen.positions).all()


def test_as_a_callback() -> None:
    seen = Snapshots(5)
    simplicial_set_embedding(graphs.surface(300), SPEC, init="random", callback=seen)
    assert seen.epochs.tolist() == [5, 10, 15, 20]


def test_used_again_it_begins_anew() -> None:
    seen = Snapshots(10)
    run(seen, n=200)
    run(seen, SPEC.replace(n_epochs=10))
    assert seen.epochs.tolist() == [0, 10]
    assert seen.positions.shape == (2, 300, 2)


@pytest.mark.parametrize(("n_epochs", "epochs"), [(0, [0]), (1, [0, 1]), (3, [0, 3])])
def test_few_epochs(n_epochs: int, epochs: list[int]) -> None:
    seen = Snapshots(7)
    embedding = run(seen, SPEC.replace(n_epochs=n_epochs))
    assert seen.epochs.tolist() == epochs
    np.testing.assert_array_equal(seen.positions[-1], embedding)


def test_one_vertex() -> None:
    seen = Snapshots(10)
    simplicial_set_embedding(np.zeros((1, 1)), SPEC, snapshots=seen)
    assert seen.positions.shape == (3, 1, 2)


def test_part_of_a_run() -> None:
    seen = Snapshots(4)
    middle = run(Snapshots(), stop_epoch=6)
    simplicial_set_embedding(
        graphs.surface(300), SPEC, init=middle, start_epoch=6, stop_epoch=14, snapshots=seen
    )
    assert seen.epochs.tolist() == [8, 12, 14]


def test_to_and_from_dictionaries() -> None:
    seen = Snapshots(8)
    assert seen.positions.shape == (0, 0, 0)
    assert "empty" in repr(seen)
    run(seen)
    again = Snapshots.from_dict(seen.to_dict())
    np.testing.assert_array_equal(again.epochs, seen.epochs)
    np.testing.assert_array_equal(again.positions, seen.positions)
    assert "4 up to epoch 20, of 300 x 2" in repr(again)
    with pytest.raises(ValueError, match=r"epochs of shape \(2,\)"):
        Snapshots.from_dict({"epochs": [0, 1], "positions": np.zeros((3, 5, 2))})


@pytest.mark.parametrize(
    ("every", "error"), [(0, ValueError), (-3, ValueError), (2.5, ValueError), ("3", TypeError)]
)
def test_bad_values(every: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="every="):
        Snapshots(every)
    with pytest.raises(TypeError, match=r"snapshots=.*umapcore\.Snapshots"):
        simplicial_set_embedding(graphs.surface(30), SPEC, snapshots=every)
