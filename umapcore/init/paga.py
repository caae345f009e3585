"""Start positions from PAGA: every vertex near its group (Wolf et al., Genome Biology 20, 2019).

As in scanpy, the vertices of a group fill a box around the group's position. The size of the box on
each axis is the distance on that axis to the most strongly connected group.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from umapcore._kit.arrays import in_memory, is_sparse
from umapcore._kit.rng import uniform
from umapcore._kit.stored import stored_column, stored_text
from umapcore.errors import bad_type, did_you_mean
from umapcore.graph.csr import prepare_graph
from umapcore.init.spectral import spectral_layout
from umapcore.logs import logger

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STREAM = 0x70616761


def positions_from_paga(
    paga: Mapping[str, Any], obs: Any, *, n_components: int, seed: int
) -> NDArray[np.float64]:
    """Place vertices by the positions of their groups.

    Parameters
    ----------
    paga
        ``adata.uns['paga']``: 'pos', (groups, p), which plotting PAGA makes; 'connectivities',
        (groups, groups); 'groups', the name of a column of `obs`.
    obs
        Data frame with a categorical column of groups.
    n_components
        Dimensions d. The first d columns of the groups' positions are used; if d is larger than
        p, eigenvectors of the graph of groups are the other axes.
    seed
        Determines where in its box a vertex lies.

    Returns
    -------
    float64, (n, n_components).

    Raises
    ------
    ValueError, TypeError
        When an entry is missing or of a wrong type, or does not match the groups.
    """
    if not isinstance(paga, Mapping):
        raise bad_type(".uns['paga']", paga, "a dictionary, as `tl.paga` writes it")
    if "pos" not in paga:
        msg = "Plot PAGA first, so that `adata.uns['paga']['pos']` exists."
        raise ValueError(msg)
    if "connectivities" not in paga:
        msg = "Did not find .uns['paga']['connectivities']. Run `tl.paga` first."
        raise ValueError(msg)
    pos = _numbers(paga["pos"], "pos")
    codes, n_groups = _group_codes(paga, obs)
    if pos.ndim != 2 or pos.shape[0] != n_groups or not np.isfinite(pos).all():
        msg = (
            f".uns['paga']['pos'] has shape {pos.shape}: it must be one finite position for each "
            f"of the {n_groups} groups. Run and plot PAGA again for the present groups."
        )
        raise ValueError(msg)
    connectivities = sparse.csr_array(_numbers(paga["connectivities"], "connectivities"))
    if connectivities.shape != (n_groups, n_groups):
        msg = (
            f".uns['paga']['connectivities'] has shape {connectivities.shape}: it must have a row "
            f"and a column for each of the {n_groups} groups. Run PAGA again."
        )
        raise ValueError(msg)
    pos = _with_dimensions(pos, connectivities, n_components)
    boxes = pos - pos[_strongest_neighbors(connectivities, pos)]
    # Vertices without a group may lie anywhere.
    pos = np.vstack([pos, 0.5 * (pos.min(axis=0) + pos.max(axis=0))])
    boxes = np.vstack([boxes, pos.max(axis=0) - pos.min(axis=0)])
    if (codes < 0).any():
        logger.info("PAGA start: %d vertices have no group", int((codes < 0).sum()))
    within = uniform(seed, _STREAM, codes.shape[0] * n_components) - 0.5
    positions: NDArray[np.float64] = pos[codes] + within.reshape(-1, n_components) * boxes[codes]
    return positions


def _group_codes(paga: Mapping[str, Any], obs: Any) -> tuple[NDArray[np.int64], int]:
    """Return the group number of every vertex (-1 for none) and the number of groups."""
    import pandas as pd

    allowed = "the name of a column of .obs"
    column = stored_text(paga.get("groups"), ".uns['paga']['groups']", allowed)
    if column is None or column not in obs:
        msg = f"Did not find .obs[{column!r}], the groups that .uns['paga'] names."
        if column is not None:
            msg += did_you_mean(column, [str(name) for name in obs])
        raise ValueError(msg)
    groups = stored_column(obs, column)
    categorical = groups.array
    if groups.dtype != "category":
        categorical = pd.Categorical(np.asarray(groups))
    return np.asarray(categorical.codes, np.int64), len(categorical.categories)


def _numbers(stored: Any, name: str) -> Any:
    """Return a matrix of PAGA's, in memory: an array, float64, or sparse."""
    found, stored_as = in_memory(stored), f".uns['paga'][{name!r}]"
    try:
        return found if is_sparse(found) else np.asarray(found, np.float64)
    except (TypeError, ValueError):
        raise bad_type(stored_as, stored, "a matrix of real numbers") from None


def _with_dimensions(
    pos: NDArray[np.float64], connectivities: Any, n_components: int
) -> NDArray[np.float64]:
    n_given = pos.shape[1]
    if n_given >= n_components:
        return pos[:, :n_components]
    graph = prepare_graph(connectivities, name=".uns['paga']['connectivities']")
    layout = spectral_layout(graph, n_components, seed=0)
    return np.hstack([pos, layout[:, n_given:]])


def _strongest_neighbors(connectivities: Any, pos: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the most strongly connected group of each group; without any, the nearest group."""
    strongest = np.arange(pos.shape[0])
    for group in range(pos.shape[0]):
        row = connectivities[[group]].tocoo()
        others = (row.col != group) & (row.data > 0)
        if others.any():
            strongest[group] = row.col[others][np.argmax(row.data[others])]
        elif pos.shape[0] > 1:
            distances = ((pos - pos[group]) ** 2).sum(axis=1)
            distances[group] = np.inf
            strongest[group] = np.argmin(distances)
    return strongest
