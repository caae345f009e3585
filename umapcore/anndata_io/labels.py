"""Transfer labels from a reference to new cells: their neighbours vote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

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


def vote(labels: Any, indices: NDArray[np.int32], names: Any) -> Any:
    """Return for each cell the most frequent label of its neighbours.

    Parameters
    ----------
    labels
        Series of the reference. Missing labels do not vote.
    indices
        (n, k): neighbours, nearest first, -1 for none. In a tie, the tied label of the nearest
        neighbour wins.
    names
        Index of the result.

    Returns
    -------
    Categorical series with the categories of the reference; missing where no neighbour votes.
    """
    import pandas as pd

    categories = labels.astype("category").cat
    # Neighbours that do not vote get one extra label. Index -1 reads the entry appended here.
    n_labels = len(categories.categories)
    codes = np.append(np.asarray(categories.codes, np.int64), -1)
    cast = codes[indices]
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
    values = pd.Categorical.from_codes(
        chosen, categories=categories.categories, ordered=categories.ordered
    )
    return pd.Series(values, index=names)
