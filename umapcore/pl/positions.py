"""Find the positions of a picture, and the columns that its panels show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.arrays import in_memory
from umapcore.errors import bad_type, bad_value, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

_UPPER = {"umap", "pca", "tsne"}
_PROJECTIONS = {"2d": 2, "3d": 3}
#: A figure of more panels could not be looked at, nor be written by matplotlib.
_MOST_PANELS = 200


@dataclass(frozen=True)
class Embedding:
    """Positions of all points, in all columns that are stored."""

    #: Shape (n, columns).
    values: NDArray[np.floating[Any]]
    #: Key in `obsm`.
    key: str

    @property
    def name(self) -> str:
        """The key without its leading ``X_``."""
        return self.key.removeprefix("X_")

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.values.shape[1])

    def axis_names(self, columns: Sequence[int]) -> list[str]:
        """Return what is written at the axes that show these columns."""
        name = self.name.upper() if self.name.lower() in _UPPER else self.name
        return [f"{name} {i + 1}" for i in columns]


def read_embedding(adata: AnnData, basis: str) -> Embedding:
    """Return the positions in ``obsm[basis]``, with or without the leading ``X_``.

    Raises
    ------
    ValueError, TypeError
        If there are none, or if they are no real numbers in at least two columns.
    """
    if not isinstance(basis, str):
        raise bad_type("basis", basis, "a key of obsm")
    key = basis if basis in adata.obsm else f"X_{basis}"
    if key not in adata.obsm:
        hint = did_you_mean(basis, adata.obsm.keys()) or " Run `umapcore.tl.umap` first."
        msg = f"Did not find .obsm[{basis!r}].{hint}"
        raise ValueError(msg)
    stored = in_memory(adata.obsm[key])
    values = np.asarray(stored.toarray() if hasattr(stored, "toarray") else stored)
    if values.ndim != 2 or values.dtype.kind not in "fiub":
        msg = f".obsm[{key!r}] must have real numbers in columns: it is {values.dtype}, "
        msg += f"with the shape {values.shape}."
        raise ValueError(msg)
    if values.shape[1] < 2:
        msg = f".obsm[{key!r}] has {values.shape[1]} columns: a picture needs at least two."
        raise ValueError(msg)
    return Embedding(values.astype(np.result_type(values, np.float32), copy=False), key)


def choose_panels(
    given: Mapping[str, Any], colors: Sequence[str | None], embedding: Embedding, ax: Any = None
) -> list[tuple[str | None, tuple[int, ...]]]:
    """Return the colour and the columns of each panel.

    As in scanpy, each colour is drawn for each of several `components`, while `dimensions` has one
    entry for each colour.

    Parameters
    ----------
    given
        Parameters of the plot: `components`, `dimensions`, `projection`, `dims`.
    colors
        What colours the points.
    embedding
        The positions.
    ax
        Axes to draw into, if there are any.
    """
    components, dimensions = given["components"], given["dimensions"]
    if components is not None and dimensions is not None:
        msg = "components= and dimensions= are two ways to say the same: give one of the two."
        raise ValueError(msg)
    dims = _dims(given["dims"], given["projection"])
    in_space = getattr(ax, "name", "") == "3d"
    width = embedding.width
    if components is None and dimensions is None:
        if dims is None:
            dims = 3 if in_space or (width == 3 and ax is None) else 2
        if dims > width:
            raise bad_value(
                "dims", dims, f"at most {width}, the columns of .obsm['{embedding.key}']"
            )
        chosen = [tuple(range(dims))]
    elif components is not None:
        chosen = _components(components, dims, width)
    else:
        chosen = _several("dimensions", dimensions, dims, width)
    if ax is not None and any((len(columns) == 3) != in_space for columns in chosen):
        msg = f"ax has {3 if in_space else 2} dimensions and the picture {len(chosen[0])}."
        raise ValueError(msg)
    if dimensions is None or len(chosen) == 1:
        panels = list(product(colors, chosen))
    elif len(colors) in {1, len(chosen)}:
        panels = [(colors[i % len(colors)], columns) for i, columns in enumerate(chosen)]
    else:
        raise bad_value(
            "dimensions", dimensions, f"one pair, or one for each of {len(colors)} colors"
        )
    if len(panels) > _MOST_PANELS:
        msg = f"{len(panels)} panels are too many for a figure: give fewer colors or components, "
        msg += f"for at most {_MOST_PANELS} panels."
        raise ValueError(msg)
    return panels


def _dims(dims: Any, projection: Any) -> int | None:
    if dims is not None and (
        not isinstance(dims, (int, np.integer)) or isinstance(dims, bool) or dims not in (2, 3)
    ):
        raise bad_value("dims", dims, "2, 3 or None")
    if projection is None:
        return None if dims is None else int(dims)
    if not isinstance(projection, str) or projection not in _PROJECTIONS:
        raise bad_value("projection", projection, "'2d', '3d' or None")
    if dims not in (None, _PROJECTIONS[projection]):
        msg = (
            f"dims={dims} and projection={projection!r} contradict each other: give one of the two."
        )
        raise ValueError(msg)
    return _PROJECTIONS[projection]


def _components(value: Any, dims: int | None, width: int) -> list[tuple[int, ...]]:
    """Return columns from scanpy's text, counted from 1, or from integers, counted from 0."""
    if isinstance(value, str) and value == "all":
        return list(combinations(range(width), dims or 2))
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, Iterable):
        raise bad_type("components", value, _allowed(width))
    texts = list(texts)
    if not texts or not all(isinstance(text, str) for text in texts):
        return _several("components", value, dims, width)
    try:
        chosen = [tuple(int(part) - 1 for part in text.split(",")) for text in texts]
    except ValueError:
        raise bad_value("components", value, _allowed(width)) from None
    return [_one("components", value, columns, dims, width) for columns in chosen]


def _several(name: str, value: Any, dims: int | None, width: int) -> list[tuple[int, ...]]:
    """Return columns from integers: one pair or triple, or a sequence of them."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise bad_type(name, value, _allowed(width))
    entries = list(value)
    if not any(isinstance(entry, Iterable) for entry in entries):
        entries = [entries]
    chosen = [_one(name, value, entry, dims, width) for entry in entries]
    if not chosen or len({len(columns) for columns in chosen}) > 1:
        raise bad_value(name, value, _allowed(width))
    return chosen


def _one(name: str, value: Any, entry: Any, dims: int | None, width: int) -> tuple[int, ...]:
    columns = list(entry) if isinstance(entry, Iterable) else [entry]
    for column in columns:
        if isinstance(column, (bool, str)) or not isinstance(column, (int, np.integer)):
            raise bad_type(name, value, _allowed(width))
        if not 0 <= column < width:
            raise bad_value(name, value, _allowed(width))
    if len(columns) not in ({2, 3} if dims is None else {dims}):
        raise bad_value(name, value, _allowed(width))
    return tuple(int(column) for column in columns)


def _allowed(width: int) -> str:
    return (
        f"two or three columns of an embedding with {width}, or several of these: integers, "
        "counted from 0, or text as in '1,2', counted from 1"
    )
