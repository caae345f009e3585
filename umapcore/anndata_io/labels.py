"""Transfer labels from a reference to new cells: their neighbours vote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.blocks import by_blocks, is_lazy
from umapcore._kit.stored import stored_column
from umapcore.errors import bad_type, did_you_mean

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray


def check_labels(adata_ref: AnnData, obs: Any) -> list[str]:
    """Return the names of the columns that `obs` selects.

    Raises
    ------
    ValueError, TypeError
        When there is no such column, or when it holds real numbers.
    """
    if obs is None:
        return []
    allowed = "None, a column of adata_ref.obs, or several"
    try:
        columns = [obs] if isinstance(obs, str) else list(obs)
    except TypeError:
        raise bad_type("obs", obs, allowed) from None
    for column in columns:
        if column not in adata_ref.obs:
            msg = f"obs={column!r} is unknown: obs must be {allowed}."
            raise ValueError(msg + did_you_mean(str(column), map(str, adata_ref.obs.columns)))
        if getattr(stored_column(adata_ref.obs, column).dtype, "kind", "O") == "f":
            msg = f"obs={column!r} holds real numbers: neighbours can only vote on labels."
            raise ValueError(msg)
    return columns


def vote(labels: Any, indices: Any) -> Any:
    """Return for each cell the number of the most frequent label of its neighbours.

    Parameters
    ----------
    labels
        Series of the reference. Missing labels do not vote.
    indices
        (n, k): neighbours, nearest first, -1 for none; may be a Dask array with blocks of whole
        rows. In a tie, the tied label of the nearest neighbour wins.

    Returns
    -------
    int32, (n, 1): places in the categories of the reference's labels, -1 where no neighbour votes.
    A Dask array if `indices` is one.
    """
    categories = labels.astype("category").cat
    codes = np.append(np.asarray(categories.codes, np.int64), -1)
    count = _Count(codes, len(categories.categories))
    return by_blocks("vote", count, [indices], 1, np.int32) if is_lazy(indices) else count(indices)


def named(labels: Any, chosen: NDArray[np.int32], names: Any) -> Any:
    """Return chosen labels as a categorical series with the reference's categories.

    Parameters
    ----------
    labels, chosen
        What :func:`vote` was given and has returned.
    names
        Index of the result.
    """
    import pandas as pd

    categories = labels.astype("category").cat
    values = pd.Categorical.from_codes(
        chosen.ravel(), categories=categories.categories, ordered=categories.ordered
    )
    return pd.Series(values, index=names)


@dataclass(frozen=True)
class _Count:
    """Counts votes.

    Attributes
    ----------
    codes
        Number of the label of each point of the reference, and -1, which index -1 reads.
    n_labels
        How many labels there are.
    """

    codes: NDArray[np.int64]
    n_labels: int

    def __call__(self, indices: NDArray[np.int32]) -> NDArray[np.int32]:
        # Neighbours that do not vote get one extra label.
        n_labels, cast = self.n_labels, self.codes[indices]
        cast[cast < 0] = n_labels
        n, k = cast.shape
        rows = np.arange(n)
        score = np.zeros((n, n_labels + 1), np.int32)
        rank = np.zeros((n, n_labels + 1), np.int32)
        for j in range(k - 1, -1, -1):
            score[rows, cast[:, j]] += k + 1
            rank[rows, cast[:, j]] = k - j
        score += rank
        score[:, n_labels] = 0
        chosen = score.argmax(axis=1)
        chosen[score.max(axis=1) == 0] = -1
        return np.asarray(chosen, np.int32)[:, None]
