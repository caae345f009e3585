"""Tasks over blocks of rows of Dask arrays; nothing is computed before the result is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.arrays import REAL, check_form, given_array, package_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import DTypeLike


def is_lazy(value: object) -> bool:
    """Return whether a value is a Dask array."""
    return package_of(value) == "dask" and hasattr(value, "chunks")


def whole_rows(
    array: Any, name: str, allowed: str, *, kinds: str = REAL, like: tuple[str, Any] | None = None
) -> Any:
    """Return a Dask array with blocks of whole rows; its values are not checked.

    Parameters
    ----------
    array
        A Dask array, or with `like` any other array.
    name, allowed, kinds
        As for :func:`umapcore._kit.arrays.given_array`.
    like
        Name of another Dask array with blocks of whole rows, and that array. The result has as
        many rows in each of its blocks.

    Raises
    ------
    ValueError, TypeError
        When it is not a matrix of such numbers, or blocks of unknown length cannot be those of the
        other array.
    """
    if not is_lazy(array):
        array = given_array(array, name, allowed, kinds=kinds)
    check_form(array, name, allowed, kinds=kinds)
    if is_lazy(array):
        if np.isnan(array.shape[1]):
            msg = f"{name} has an unknown number of columns: it must be {allowed}."
            raise ValueError(msg)
        array = array.rechunk({1: -1})
    if like is None:
        return array
    other_name, other = like
    lengths = other.chunks[0]
    if is_lazy(array) and array.numblocks == other.numblocks and _unknown(array, other):
        return array
    if _unknown(other) or (is_lazy(array) and _unknown(array)):
        msg = f"{name} and {other_name} have blocks of unknown lengths that cannot be matched: "
        msg += "call compute_chunk_sizes() of the Dask arrays first."
        raise ValueError(msg)
    if array.shape[0] != other.shape[0]:
        msg = f"{name} has {array.shape[0]} rows and {other_name} {other.shape[0]}: "
        msg += "they must be equal."
        raise ValueError(msg)
    if is_lazy(array):
        return array.rechunk({0: lengths})
    return import_module("dask.array").from_array(array, chunks=(lengths, -1))


def by_blocks(
    name: str, task: Callable[..., Any], arrays: Sequence[Any], n_columns: int, dtype: DTypeLike
) -> Any:
    """Map a task over blocks of rows.

    Parameters
    ----------
    name
        What the task is called on Dask's pages.
    task
        Called with a block of each array; returns as many rows. It is in the graph once, however
        many blocks there are, so it may hold a large reference.
    arrays
        Dask arrays with the same blocks, of whole rows.
    n_columns, dtype
        Of the result.
    """
    shared = import_module("dask").delayed(task, pure=True, traverse=False)
    operands = [operand for array in arrays for operand in (array, "ij")]
    return import_module("dask.array").blockwise(
        _call, "ij", *operands, task=shared, token=name, adjust_chunks={"j": (n_columns,)},
        dtype=dtype, meta=np.empty((0, 0), dtype), align_arrays=False,
    )  # fmt: skip


def computed(*values: Any) -> tuple[Any, ...]:
    """Compute Dask arrays, and what they share once; other values stay as they are."""
    found: tuple[Any, ...] = import_module("dask").compute(*values)
    return found


def _call(*blocks: Any, task: Callable[..., Any]) -> Any:
    return task(*blocks)


def _unknown(*arrays: Any) -> bool:
    """Return whether arrays have blocks of unknown length."""
    return any(np.isnan(length) for array in arrays for length in array.chunks[0])
