"""``umapcore.verify``: check that graph, start and parameters reproduce a stored embedding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.arrays import in_memory, is_sparse
from umapcore._kit.stored import plain
from umapcore.anndata_io.job import read_job
from umapcore.anndata_io.neighborhood import neighborhood_again, rows_that_differ
from umapcore.anndata_io.read import read_distances, read_neighbors, read_start
from umapcore.anndata_io.write import check_object
from umapcore.errors import bad_type, did_you_mean
from umapcore.graph.csr import prepare_graph
from umapcore.init.positions import check_positions, scaled_start
from umapcore.layout.embed import embed
from umapcore.layout.spec import LAYOUT_VERSION
from umapcore.neighbors.metrics import OWN_METRICS
from umapcore.neighbors.record import NEIGHBORS_VERSION
from umapcore.runs.digest import graph_digest, positions_digest
from umapcore.runs.job import Run
from umapcore.runs.provenance import Origin, Provenance
from umapcore.version import __version__

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Result of :func:`verify`; true when all that was checked was reproduced bit for bit.

    Attributes
    ----------
    key
        Key of the embedding in `obsm`.
    reproduced
        Whether a repeated run gave exactly the bits of the stored embedding.
    graph_changed
        Whether the graph has changed since the embedding was made.
    distances_changed
        Whether the distances have changed, if densities are preserved; None when they were not
        checked because the graph has changed.
    start_changed
        Whether the start positions have changed; None when they are not available, or were not
        checked because the graph or the distances have changed.
    start_available
        Whether matching start positions were found: those given as an array are not stored.
    embedding_altered
        Whether the stored embedding was changed after it was written.
    version_differs
        Whether another version of umapcore wrote it.
    spec_differs
        Parameters in ``uns[key]['params']`` that differ from those of the run.
    rows_different
        Number of rows of the embedding that differ; None when it was not computed again.
    largest_difference
        Largest difference of a coordinate; None likewise.
    version, layout_version
        Versions of the umapcore that wrote it and of its layouts. Another layout version is
        expected to give other bits.
    neighbors_reproduced
        Whether a search in the coordinates gave exactly the bits of the stored distances and
        weights; None when it was not asked for.
    neighbors_problem
        Why not: a sentence, else empty.
    neighbors_rows_different
        Number of observations whose distances, or else whose weights, differ; None when they were
        not compared.
    """

    key: str
    reproduced: bool
    graph_changed: bool = False
    distances_changed: bool | None = False
    start_changed: bool | None = False
    start_available: bool = True
    embedding_altered: bool = False
    version_differs: bool = False
    spec_differs: tuple[str, ...] = ()
    rows_different: int | None = None
    largest_difference: float | None = None
    version: str = __version__
    layout_version: int = LAYOUT_VERSION
    neighbors_reproduced: bool | None = None
    neighbors_problem: str = ""
    neighbors_rows_different: int | None = None

    def __bool__(self) -> bool:
        return self.reproduced and self.neighbors_reproduced is not False

    def __str__(self) -> str:
        name = f".obsm[{self.key!r}]"
        said = [
            f"{name} is reproduced bit for bit."
            if self.reproduced
            else f"{name} is not reproduced: {self._reason()}"
        ]
        if self.neighbors_reproduced:
            said.append("Its neighbours are reproduced bit for bit from the coordinates.")
        elif self.neighbors_reproduced is False:
            said.append(f"Its neighbours are not reproduced: {self.neighbors_problem}")
        if self.spec_differs:
            names = ", ".join(map(repr, self.spec_differs))
            said.append(f"The stored 'params' differ from those of the run in {names}.")
        if self.version_differs:
            said.append(f"umapcore {self.version} wrote it; this is {__version__}.")
        if self.layout_version != LAYOUT_VERSION:
            said.append(
                f"Its layouts have version {self.layout_version}, those of this one "
                f"{LAYOUT_VERSION}: their bits differ."
            )
        return " ".join(said)

    def _reason(self) -> str:
        if self.graph_changed:
            return "the graph has changed since."
        if self.distances_changed:
            return "the distances between neighbours, whose densities it preserves, have changed."
        if not self.start_available:
            return (
                "it started from positions that are not stored, or have changed since; "
                "pass them as init_pos=."
            )
        if self.start_changed:
            return "the start positions are others than they were."
        whose = (
            "it was altered after it was written"
            if self.embedding_altered
            else "the same graph, start and parameters give other numbers here"
        )
        if self.largest_difference is None:
            return f"{whose}; its shape is another one."
        return (
            f"{whose}; {self.rows_different:,} rows differ, by up to {self.largest_difference:.3g}."
        )


def verify(
    adata: AnnData,
    key: str | None = None,
    *,
    init_pos: str | ArrayLike | None = None,
    from_coordinates: bool = False,
    method: str = "umap",
    n_threads: int | None = None,
    progress: bool | None = None,
) -> Verification:
    """Run a layout again from its provenance and compare the result with the stored embedding.

    `adata` is not changed. If the graph, the distances or the start have changed, no epoch is run.

    Parameters
    ----------
    adata
        Contains an embedding from :func:`umapcore.tl.umap` and the graph it was made from.
    key
        Key of the embedding in `obsm` and of its provenance in `uns`, as ``key_added`` of
        :func:`umapcore.tl.umap`; None: ``obsm['X_umap']`` and ``uns['umap']``.
    init_pos
        Start positions, or their key in `obsm`, if they are not stored or have changed. Without
        it, all entries of `obsm` are tried. Not used for starts that are computed from the graph.
    from_coordinates
        Also search the neighbours again, in the coordinates that the parameters of the graph name,
        and compare the distances and weights with the stored ones. :func:`umapcore.pp.neighbors`
        must have made the graph by an exact search or by its own approximate one.
    method, n_threads, progress
        As for :func:`umapcore.tl.umap`; the bits do not depend on them.

    Returns
    -------
    The result: true when all bits are equal; ``print`` shows it as text.

    Raises
    ------
    ValueError
        When there is no embedding, no provenance or no graph, or the provenance has a newer
        version.
    TypeError
        For parameters of a wrong type.

    Examples
    --------
    >>> import umapcore as uc
    >>> uc.tl.umap(adata)  # doctest: +SKIP
    >>> print(uc.verify(adata))  # doctest: +SKIP
    .obsm['X_umap'] is reproduced bit for bit.
    """
    if not isinstance(from_coordinates, (bool, np.bool_)):
        raise bad_type("from_coordinates", from_coordinates, "True or False")
    run = Run(method=method, n_threads=n_threads, progress=progress)
    key_obsm, entry, made = _read(adata, key)
    stored = _embedding(adata, key_obsm)
    common: dict[str, Any] = {
        "key": key_obsm,
        "version": made.version,
        "layout_version": made.layout_version,
        "version_differs": made.version != __version__,
        "spec_differs": _differing_params(entry, made),
        "embedding_altered": _digest_of(stored) != made.embedding,
    }

    kept, name, params = read_neighbors(adata, made.neighbors_key)
    graph = prepare_graph(kept, name=name, n_vertices=adata.n_obs, n_threads=n_threads)
    if from_coordinates:
        common |= _check_neighbors(adata, made.neighbors_key, graph, params, run)
    if graph_digest(graph, n_threads=n_threads) != made.graph:
        return Verification(
            reproduced=False,
            graph_changed=True,
            distances_changed=None if made.density else False,
            start_changed=None,
            **common,
        )

    init: Any = made.start_kind
    if made.start_kind in ("obsm", "array"):
        init = _find_start(adata, made, init_pos)
        if init is None:
            given = init_pos is not None
            return Verification(
                reproduced=False,
                start_changed=True if given else None,
                start_available=given,
                **common,
            )
    elif made.start_kind == "paga":
        d, seed = made.spec.n_components, made.spec.seed
        init = read_start(adata, "paga", n_components=d, seed=seed)
    job = read_job(adata, made.neighbors_key, (graph, name, params), made.spec, init)
    run = replace(run, stop_epoch=made.epochs, origin=_Expected(made))
    try:
        again = embed(job, run)
    except _DistancesDifferError:
        return Verification(reproduced=False, distances_changed=True, start_changed=None, **common)
    except _StartDiffersError:
        return Verification(reproduced=False, start_changed=True, **common)
    rows, largest = _compared(stored, again)
    return Verification(
        reproduced=rows == 0, rows_different=rows, largest_difference=largest, **common
    )


def _check_neighbors(
    adata: AnnData, key: str, graph: Any, params: Mapping[str, Any], run: Run
) -> dict[str, Any]:
    """Search the neighbours again; return the fields that say what came of it."""
    problem, rows = "", None
    name = f".uns[{key!r}]['params']"
    try:
        stored, where = read_distances(adata, key, "from_coordinates")
        again = neighborhood_again(
            adata, params, name=name, method=run.method, n_threads=run.n_threads
        )
        rows = rows_that_differ(stored, again.distances, where)
        if rows:
            problem = f"the coordinates give other ones: {rows:,} rows of {where} differ."
        else:
            weights = prepare_graph(again.connectivities, n_threads=run.n_threads)
            rows = rows_that_differ(graph, weights, "the graph")
            if rows:
                problem = f"the distances are, but not the weights: {rows:,} rows of them differ."
    except (ValueError, TypeError, ImportError) as error:
        problem = str(error)
    if rows and params.get("metric", "euclidean") not in OWN_METRICS:
        problem += " SciPy computes this metric; its last bits may differ between versions."
    if rows and (version := params["search"].get("version")) != NEIGHBORS_VERSION:
        problem += f" The search had version {version}; this umapcore's has {NEIGHBORS_VERSION}."
    return {
        "neighbors_reproduced": not problem,
        "neighbors_problem": problem,
        "neighbors_rows_different": rows,
    }


class _StartDiffersError(Exception):
    pass


class _DistancesDifferError(Exception):
    pass


class _Expected(Origin):
    """Ends a run before its first epoch when its distances or its start have changed."""

    def __init__(self, made: Provenance) -> None:
        super().__init__()
        self._made = made

    def has_density(self, density: str) -> None:
        if density != self._made.density:
            raise _DistancesDifferError

    def began_at(self, start: str) -> None:
        if start != self._made.start:
            raise _StartDiffersError


def _read(adata: Any, key: Any) -> tuple[str, Mapping[str, Any], Provenance]:
    """Return the key of the embedding in `obsm`, the entry of `uns` and the provenance."""
    check_object(adata)
    if key is not None and not isinstance(key, str):
        raise bad_type("key", key, "None or a key of .obsm and .uns")
    key_obsm, key_uns = ("X_umap", "umap") if key in (None, "umap", "X_umap") else (key, key)
    if key in ("umap", "X_umap") and key in adata.obsm and key in adata.uns:
        key_obsm = key_uns = key  # written with key_added
    if key_obsm not in adata.obsm:
        msg = f"Did not find .obsm[{key_obsm!r}]. Run `umapcore.tl.umap` first."
        raise ValueError(msg + did_you_mean(key_obsm, [str(name) for name in adata.obsm]))
    entry = adata.uns.get(key_uns)
    if not isinstance(entry, Mapping) or "provenance" not in entry:
        msg = (
            f".uns[{key_uns!r}] has no provenance: umapcore.verify can only check what "
            "umapcore.tl.umap wrote."
        )
        raise ValueError(msg)
    return key_obsm, entry, Provenance.from_dict(entry["provenance"])


def _embedding(adata: AnnData, key: str) -> NDArray[Any]:
    found = in_memory(adata.obsm[key])
    array = np.asarray(found.toarray() if is_sparse(found) else found)
    if array.ndim != 2 or array.dtype.kind not in "buif":
        msg = f".obsm[{key!r}] is not a two-dimensional array of numbers."
        raise ValueError(msg)
    return array


def _digest_of(stored: NDArray[Any]) -> str:
    """Digest an embedding, also if converted to float64; return "" if it does not fit float32."""
    narrow = stored.astype(np.float32)
    return positions_digest(narrow) if np.array_equal(narrow, stored, equal_nan=True) else ""


def _differing_params(entry: Mapping[str, Any], made: Provenance) -> tuple[str, ...]:
    params = plain(entry.get("params"))
    a, b = made.spec.curve()
    expected = {"a": a, "b": b, "random_state": made.spec.seed}
    if not isinstance(params, Mapping):
        return tuple(expected)
    return tuple(
        name for name, value in expected.items() if name in params and params[name] != value
    )


def _find_start(adata: AnnData, made: Provenance, init_pos: Any) -> NDArray[np.float32] | None:
    """Find positions with the digest of the start; return None when there are none."""
    d, seed = made.spec.n_components, made.spec.seed
    if init_pos is not None:
        candidates = [init_pos]
    else:
        keys = [key for key in adata.obsm if isinstance(key, str)]
        candidates = sorted(keys, key=lambda key: key != made.start_key)
    for candidate in candidates:
        try:
            positions = read_start(adata, candidate, n_components=d, seed=seed)
        except (ValueError, TypeError):
            if init_pos is not None:
                raise
            continue  # an entry of obsm that could not be a start
        if isinstance(positions, str):
            continue
        if positions_digest(scaled_start(positions, seed)) == made.start:
            return check_positions(positions, adata.n_obs, d)
    return None


def _compared(stored: NDArray[Any], again: NDArray[np.float32]) -> tuple[int, float | None]:
    """Count rows that differ; also return the largest difference, None for another shape."""
    if stored.shape != again.shape:
        return int(again.shape[0]), None
    same = stored == again
    if stored.dtype == np.float32:
        same = np.ascontiguousarray(stored).view(np.uint32) == again.view(np.uint32)
    with np.errstate(invalid="ignore", over="ignore"):
        differences = np.abs(stored.astype(np.float64) - again)
    return int((~same).any(axis=1).sum()), float(differences.max(initial=0.0))
