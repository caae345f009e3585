"""Read the graph, the coordinates and the start positions from an AnnData object.

Of the object only `obs`, `obsm`, `obsp`, `uns` and `n_obs` are needed, so that MuData can be read
too. What `uns` holds may have been written by any program: see :mod:`umapcore._kit.stored`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.arrays import is_sparse, on_gpu, package_of
from umapcore._kit.stored import plain, stored_integer, stored_text
from umapcore.anndata_io.representation import FEW_VARIABLES, n_variables, x_of
from umapcore.errors import did_you_mean
from umapcore.init.paga import positions_from_paga
from umapcore.init.positions import STARTS, check_positions
from umapcore.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData

#: Values of ``params['method']`` whose weights are UMAP's.
_UMAP_METHODS = {"umap", "rapids"}


def read_neighbors(adata: AnnData, key: str) -> tuple[Any, str, dict[str, Any]]:
    """Return the graph that a neighbours entry of `uns` names.

    Parameters
    ----------
    adata
        Holds ``uns[key]``, as scanpy's ``pp.neighbors`` writes it.
    key
        Name of the entry.

    Returns
    -------
    graph
        As it is stored, possibly on disk or on a device.
    name
        Where it was found, for messages.
    params
        Parameters of the graph; empty if they are not known.

    Raises
    ------
    ValueError, TypeError
        When the entry or its graph is missing, or the entry does not name a graph.
    """
    neighbors = _neighbors(adata, key)
    graph_key = _key_in(neighbors, key, "connectivities")
    if graph_key in adata.obsp:
        graph, name = adata.obsp[graph_key], f".obsp[{graph_key!r}]"
    elif "connectivities" in neighbors:  # files from before anndata 0.7 have no obsp
        graph, name = neighbors["connectivities"], f".uns[{key!r}]['connectivities']"
    else:
        msg = f"Did not find .obsp[{graph_key!r}], the graph that .uns[{key!r}] names."
        msg += " Run `pp.neighbors` first." + did_you_mean(graph_key, adata.obsp)
        raise ValueError(msg)
    params = read_params(adata, key)
    method = params.get("method")
    if isinstance(method, str) and method not in _UMAP_METHODS:
        logger.warning(
            "%s was not computed by UMAP's method but by %r; it is used as it is",
            name,
            method,
        )
    return graph, name, params


def read_distances(adata: AnnData, key: str, needed_by: str = "density_weight") -> tuple[Any, str]:
    """Return the distances between neighbours that a neighbours entry of `uns` names.

    Parameters
    ----------
    adata
        Holds ``uns[key]``, as scanpy's ``pp.neighbors`` writes it.
    key
        Name of the entry.
    needed_by
        Parameter that needs the distances, for the message.

    Returns
    -------
    distances
        As they are stored, possibly on disk or on a device.
    name
        Where they were found, for messages.

    Raises
    ------
    ValueError, TypeError
        When there are none.
    """
    neighbors = _neighbors(adata, key)
    found_key = _key_in(neighbors, key, "distances")
    if found_key in adata.obsp:
        return adata.obsp[found_key], f".obsp[{found_key!r}]"
    if "distances" in neighbors:  # files from before anndata 0.7 have no obsp
        return neighbors["distances"], f".uns[{key!r}]['distances']"
    msg = (
        f"Did not find .obsp[{found_key!r}], the distances that .uns[{key!r}] names and that "
        f"{needed_by} needs. `pp.neighbors` writes them."
    )
    raise ValueError(msg + did_you_mean(found_key, adata.obsp))


def read_params(adata: AnnData, key: str) -> dict[str, Any]:
    """Return the parameters of a neighbours entry of `uns`; empty if they are not known.

    Texts and numbers are Python's, however they are stored. The types are not checked: other
    programs also write, for example, one representation for each modality.

    Raises
    ------
    ValueError
        When there is no such entry.
    """
    stored = _neighbors(adata, key).get("params")
    return plain(stored) if isinstance(stored, Mapping) else {}


def read_metric(params: Mapping[str, Any]) -> str | None:
    """Return the name of the metric of a graph; None if no single one is stored."""
    found = params.get("metric")
    return found if isinstance(found, str) else None


def _key_in(neighbors: Mapping[str, Any], key: str, what: str) -> str:
    """Return the key of `obsp` that an entry names, or the one that is used without a name."""
    name = f".uns[{key!r}]['{what}_key']"
    found = stored_text(neighbors.get(f"{what}_key"), name, f"the name of the {what} in .obsp")
    return what if found is None else found


def _neighbors(adata: AnnData, key: str) -> Mapping[str, Any]:
    if key not in adata.uns:
        option = "" if key == "neighbors" else f", key_added={key!r}"
        msg = f"Did not find .uns[{key!r}]. Run `pp.neighbors` first."
        msg += f" `umapcore.pp.neighbors(adata{option})` makes that graph."
        raise ValueError(msg + did_you_mean(key, adata.uns))
    neighbors = adata.uns[key]
    if not isinstance(neighbors, Mapping):
        msg = (
            f".uns[{key!r}] is of type {type(neighbors).__name__}: a dictionary is needed, as "
            "`pp.neighbors` writes it."
        )
        raise ValueError(msg)
    return neighbors


def read_representation(adata: AnnData, params: Mapping[str, Any]) -> Any:
    """Return the coordinates that the graph was computed from, chosen as scanpy does.

    Nothing is computed: unlike scanpy, this never runs a PCA. Missing coordinates stay missing.

    Parameters
    ----------
    adata
        Holds the coordinates in `obsm` or `X`.
    params
        Parameters of the neighbours: 'use_rep' and 'n_pcs', both optional. If they do not name
        one representation, as for a graph of several modalities, there is none.

    Returns
    -------
    A two-dimensional object with a row for each observation, possibly on disk; or None.
    """
    try:
        use_rep = stored_text(params.get("use_rep"), "use_rep", "the name of one representation")
        n_pcs = stored_integer(params.get("n_pcs"), "n_pcs", -1)
    except (TypeError, ValueError) as problem:
        logger.info("no representation to place the graph's components by: %s", problem)
        return None
    if use_rep is None:
        few = n_variables(adata) <= FEW_VARIABLES
        use_rep = "X" if n_pcs == 0 or few else "X_pca"
    found = x_of(adata) if use_rep == "X" else adata.obsm.get(use_rep)
    if use_rep != "X" and found is not None and n_pcs is not None and n_pcs > 0:
        found = _first_columns(found, n_pcs)
    found = _real_numbers(found)
    shape: tuple[int, ...] = getattr(found, "shape", ())
    if len(shape) != 2 or shape[0] != adata.n_obs:
        logger.info("there is no representation %r to place the graph's components by", use_rep)
        return None
    return found


def _real_numbers(matrix: Any) -> Any:
    """Return a matrix if it holds real numbers only, else None."""
    if package_of(matrix) == "pandas":
        if not all(getattr(dtype, "kind", "O") in "buif" for dtype in matrix.dtypes):
            return None
        return matrix.to_numpy(np.float64, na_value=np.nan)
    return matrix if getattr(getattr(matrix, "dtype", None), "kind", "O") in "buif" else None


def read_start(
    adata: AnnData, init_pos: Any, *, n_components: int, seed: int, leave_on_gpu: bool = False
) -> Any:
    """Return the start positions that `init_pos` selects.

    Parameters
    ----------
    adata
        May hold the positions.
    init_pos
        A key of `obsm` (which, as in scanpy, takes precedence over the names), 'spectral',
        'random', 'paga', None (spectral), or positions.
    n_components
        Dimensions d of the embedding. The first d columns of an `obsm` entry are used.
    seed
        For PAGA, which adds jitter.
    leave_on_gpu
        Return positions that are on a GPU without copying or checking them.

    Returns
    -------
    'spectral', 'random', or positions, float32, (n_obs, n_components).

    Raises
    ------
    ValueError, TypeError
        When there is no such start, or when its shape is wrong or its values are not finite.
    """
    if init_pos is None:
        return "spectral"
    n = adata.n_obs
    if not isinstance(init_pos, str):
        if leave_on_gpu and on_gpu(init_pos):
            return init_pos
        return check_positions(_in_order(init_pos, adata), n, n_components, name="init_pos")
    if init_pos in adata.obsm:
        stored = adata.obsm[init_pos]
        name = f"init_pos: .obsm[{init_pos!r}]"
        shape: tuple[int, ...] = getattr(stored, "shape", ())
        if len(shape) == 2 and shape[1] > n_components:
            logger.info(
                "start positions: the first %d of the %d columns of .obsm[%r]",
                n_components,
                shape[1],
                init_pos,
            )
            stored = _first_columns(stored, n_components)
        if leave_on_gpu and on_gpu(stored):
            return stored
        return check_positions(stored, n, n_components, name=name)
    if init_pos == "paga":
        if "paga" not in adata.uns:
            msg = "init_pos='paga' needs .uns['paga']. Run `tl.paga` and `pl.paga` first."
            raise ValueError(msg)
        found = positions_from_paga(
            adata.uns["paga"], adata.obs, n_components=n_components, seed=seed
        )
        return check_positions(found, n, n_components, name="init_pos='paga'")
    if init_pos not in STARTS:
        msg = (
            f"init_pos={init_pos!r} is unknown: init_pos must be one of "
            f"{_listed(STARTS)}, a key of .obsm ({_listed(adata.obsm) or 'which is empty'}), "
            f"an array of shape ({n}, {n_components}), or None."
        )
        raise ValueError(msg + did_you_mean(init_pos, [*STARTS, *adata.obsm]))
    return init_pos


def start_kind(adata: AnnData, init_pos: Any) -> tuple[str, str]:
    """Return the kind of start that `init_pos` is, and its key of `obsm` if it is one.

    Returns
    -------
    One of :data:`umapcore.runs.provenance.START_KINDS`, and a key or ''.
    """
    if init_pos is None:
        return "spectral", ""
    if not isinstance(init_pos, str):
        return "array", ""
    return ("obsm", init_pos) if init_pos in adata.obsm else (init_pos, "")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _first_columns(matrix: Any, count: int) -> Any:
    if package_of(matrix) == "pandas":
        return matrix.iloc[:, :count]
    return matrix.tocsc()[:, :count] if is_sparse(matrix) else matrix[:, :count]


def _in_order(positions: Any, adata: AnnData) -> Any:
    """Return the rows of a labelled data frame in the order of the observations."""
    index: Any = getattr(positions, "index", None)
    if package_of(positions) != "pandas":
        return positions
    names = adata.obs.index
    if index.equals(names):
        return positions
    if not index.is_unique or set(index) != set(names):
        if index.equals(type(index)(range(len(index)))):  # no labels, just positions
            return positions
        msg = "init_pos is a data frame whose index differs from .obs_names."
        raise ValueError(msg)
    logger.info("init_pos: rows of the data frame are put in the order of .obs_names")
    return positions.loc[names]
