"""Coordinates of new cells in the space of a reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.arrays import given_points, in_memory
from umapcore._kit.blocks import by_blocks, is_lazy, whole_rows
from umapcore._kit.stored import plain, stored_integer, stored_text
from umapcore.anndata_io.representation import FEW_VARIABLES, n_variables, x_of
from umapcore.errors import bad_type, did_you_mean
from umapcore.logs import logger

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

#: Cells of the reference on which the projection is compared with the stored coordinates.
_PROBES = 200
#: Largest difference allowed, as a share of the largest coordinate.
_ALIKE = 1e-2
_ALLOWED = "a matrix of real numbers, one row per cell"


@dataclass(frozen=True)
class Shared:
    """Coordinates of the reference and of the new cells in one space.

    Attributes
    ----------
    name
        Where the coordinates come from.
    reference
        (n_reference, d), finite, in memory.
    new
        (n, d), finite: in memory, or a Dask array with blocks of whole rows, as the coordinates or
        variables of the new cells are. Its values are checked when they are computed.
    n_used
        Number of leading columns, of d, in which neighbours are searched.
    projected
        Whether the coordinates of the new cells were computed here.
    """

    name: str
    reference: NDArray[Any]
    new: Any
    n_used: int
    projected: bool

    @property
    def reference_to_search(self) -> NDArray[Any]:
        """Return the used columns of the reference."""
        return self.reference[:, : self.n_used]

    @property
    def new_to_search(self) -> Any:
        """Return the used columns of the new cells."""
        return self.new[:, : self.n_used]


def shared_representation(
    adata: AnnData,
    adata_ref: AnnData,
    params: Mapping[str, Any],
    use_rep: Any,
    name: str = "params",
) -> Shared:
    """Return the coordinates that the reference's graph was made from, and the new cells' ones.

    Parameters
    ----------
    adata, adata_ref
        New cells and reference.
    params
        Parameters of the reference's neighbours.
    use_rep
        A key of both objects' `obsm`, ``'X'``, or None: as `params` say.
    name
        Where `params` are stored, for messages.

    Raises
    ------
    ValueError, TypeError
        When there are no such coordinates; the message says what would help.
    """
    if use_rep is not None and not isinstance(use_rep, str):
        raise bad_type("use_rep", use_rep, "None, 'X' or a key of .obsm of both objects")
    key, n_pcs = use_rep, None
    if use_rep is None:
        allowed = "'X' or a key of .obsm. If it is neither, name one by use_rep"
        key = stored_text(params.get("use_rep"), f"{name}['use_rep']", allowed)
        n_pcs = stored_integer(params.get("n_pcs"), f"{name}['n_pcs']", -1)
    if key is None:
        few = n_pcs == 0 or n_variables(adata_ref) <= FEW_VARIABLES
        key = "X" if few else "X_pca"
    if key == "X":
        _check_variables(adata, adata_ref)
        reference, new = _dense(x_of(adata_ref), "adata_ref.X"), _points(x_of(adata), "adata.X")
        return Shared("X", reference, new, new.shape[1], projected=False)
    reference = _dense(*_from_obsm(adata_ref, key, "adata_ref"))
    n_pcs = n_pcs if n_pcs is not None and n_pcs > 0 else None
    n_used = reference.shape[1] if n_pcs is None else n_pcs
    if key == "X_pca" and use_rep is None:
        new_or_reason = _projected(adata, adata_ref, reference)
        if not isinstance(new_or_reason, str):
            logger.info("new cells are projected on the reference's principal components")
            return Shared(key, reference, new_or_reason, n_used, projected=True)
        if key not in adata.obsm:
            msg = (
                f"adata has no .obsm[{key!r}], and its cells cannot be projected on the "
                f"reference's components: {new_or_reason}. Put their coordinates, in the "
                "reference's space, into adata.obsm and name the key by use_rep."
            )
            raise ValueError(msg)
        logger.warning(
            "adata.obsm[%r] is taken to be in the reference's space: its cells cannot be "
            "projected (%s)",
            key,
            new_or_reason,
        )
    new = _points(*_from_obsm(adata, key, "adata"))
    if new.shape[1] < n_used or (n_pcs is None and new.shape[1] != n_used):
        msg = (
            f"adata.obsm[{key!r}] has {new.shape[1]} columns and adata_ref.obsm[{key!r}] "
            f"{reference.shape[1]}: both must be coordinates in one space."
        )
        raise ValueError(msg)
    return Shared(key, reference, new, n_used, projected=False)


def _from_obsm(adata: AnnData, key: str, name: str) -> tuple[Any, str]:
    """Return coordinates as they are stored, and what messages call them."""
    if key not in adata.obsm:
        msg = f"Did not find {name}.obsm[{key!r}], the coordinates for the neighbour search."
        raise ValueError(msg + did_you_mean(key, adata.obsm))
    return adata.obsm[key], f"{name}.obsm[{key!r}]"


def _dense(stored: Any, name: str) -> NDArray[Any]:
    return given_points(stored, name, _ALLOWED)


def _points(stored: Any, name: str) -> Any:
    """Return coordinates of new cells, finite; lazily, if they are a Dask array."""
    if not is_lazy(stored):
        return _dense(stored, name)
    points = whole_rows(stored, name, _ALLOWED)
    return by_blocks("points", _Check(name), [points], points.shape[1], np.float32)


@dataclass(frozen=True)
class _Check:
    """Checks the coordinates of a block."""

    name: str

    def __call__(self, block: Any) -> NDArray[np.float32]:
        points = given_points(block, self.name, _ALLOWED, shape=block.shape)
        return np.asarray(points, np.float32)


@dataclass(frozen=True)
class _Projection:
    """Projects cells on the reference's components."""

    components: NDArray[np.float64]
    shift: NDArray[np.float64]

    def __call__(self, x: Any) -> NDArray[np.float32]:
        with np.errstate(invalid="ignore", over="ignore"):  # the result is checked
            return np.asarray(np.asarray(in_memory(x) @ self.components) - self.shift, np.float32)


def _check_variables(adata: AnnData, adata_ref: AnnData) -> None:
    if x_of(adata) is None or x_of(adata_ref) is None:
        msg = "One of the objects has no X: use_rep must be a key of .obsm of both."
        raise ValueError(msg)
    if not adata.var_names.equals(adata_ref.var_names):
        msg = (
            "adata and adata_ref have other variables, or the same in another order: "
            "adata[:, adata_ref.var_names] puts them in order."
        )
        raise ValueError(msg)


def _projected(adata: AnnData, adata_ref: AnnData, coordinates: NDArray[Any]) -> Any:
    """Project new cells as the reference was projected, or return why that is not possible.

    scanpy centres new cells by their own means. If their composition differs from that of the
    reference, this moves them away from similar cells. So the reference's means are used here.
    """
    x, x_ref = x_of(adata), x_of(adata_ref)
    if x is None or x_ref is None:
        return "one of the objects has no X"
    if "PCs" not in adata_ref.varm:
        return "adata_ref.varm has no 'PCs'"
    if not adata.var_names.equals(adata_ref.var_names):
        return "adata and adata_ref have other variables, or in another order"
    components = np.asarray(in_memory(adata_ref.varm["PCs"]), np.float64)
    if components.shape[1] != coordinates.shape[1]:
        return "adata_ref.varm['PCs'] and adata_ref.obsm['X_pca'] differ in number"
    reference = in_memory(x_ref)
    centred = _was_centred(adata_ref.uns.get("pca"))
    shift = np.zeros(components.shape[1])
    if centred:
        shift = np.asarray(reference.mean(axis=0), np.float64).ravel() @ components
    probes = np.unique(np.linspace(0, adata_ref.n_obs - 1, _PROBES).astype(int))
    seen = np.asarray(reference[probes] @ components) - shift
    wanted = np.asarray(coordinates[probes], np.float64)
    if not np.abs(seen - wanted).max() <= _ALIKE * np.abs(wanted).max():
        return "adata_ref.X is not what the reference's components were computed from"
    project, name = _Projection(components, shift), "adata.X on the reference's components"
    if is_lazy(x):
        x = whole_rows(x, "adata.X", _ALLOWED)
        x = by_blocks("project", project, [x], components.shape[1], np.float32)
        return _points(x, name)
    return _points(project(in_memory(x)), name)


def _was_centred(pca: Any) -> bool:
    """Return what ``uns['pca']`` says; if that is wrong, the comparison with X_pca shows it."""
    params = pca.get("params") if isinstance(pca, Mapping) else None
    stored = plain(params.get("zero_center")) if isinstance(params, Mapping) else None
    return stored is None or bool(stored)
