"""Calls that need the kernels of the CPU: those that most programs need, and rarer ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData

_CELLS = 300
_GENES = 10
_NEIGHBORS = 15

#: What most programs need, in groups that compile at the same time in processes of their own.
USUAL: dict[str, Callable[[], None]] = {}
#: Further kinds of input for which machine code is shipped.
RARER: list[Callable[[], None]] = []


def _usual(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def add(call: Callable[[], None]) -> Callable[[], None]:
        USUAL[name] = call
        return call

    return add


def _rarer(call: Callable[[], None]) -> Callable[[], None]:
    RARER.append(call)
    return call


@_usual("layouts in 2 dimensions")
def _plane() -> None:
    _lay_out(init_pos="spectral")


@_usual("layouts in 3 dimensions")
def _space() -> None:
    _lay_out(n_components=3)


@_usual("layouts with densities")
def _densities() -> None:
    _lay_out(density_weight=2.0)


@_usual("neighbours, new cells")
def _neighbours_and_new_cells() -> None:
    from umapcore.pp import neighbors

    adata = _cells()
    neighbors(adata, _NEIGHBORS, use_rep="X_pca")
    _find_by_stages(adata)
    _place_new_cells(adata, 2)


@_rarer
def _other_dimensions() -> None:
    for n_components in (1, 2, 3, 5):
        for density_weight in (0.0, 2.0):
            for init_pos in ("spectral", "random"):
                _lay_out(
                    n_components=n_components, density_weight=density_weight, init_pos=init_pos
                )


@_rarer
def _new_cells_in_other_dimensions() -> None:
    adata = _cells()
    _with_graph(adata)
    for n_components in (1, 3, 5):
        _place_new_cells(adata, n_components)


@_rarer
def _other_graphs() -> None:
    import numpy as np

    for weights in (np.float32, np.float64):
        for indices in (np.int32, np.int64):
            adata = _cells()
            _with_graph(adata)
            graph = adata.obsp["connectivities"]
            graph.indices, graph.indptr = (
                each.astype(indices) for each in (graph.indices, graph.indptr)
            )
            graph.data = graph.data.astype(weights)
            _lay_out(adata)
            _lay_out(adata, density_weight=2.0)


@_rarer
def _other_coordinates() -> None:
    import numpy as np
    from scipy import sparse

    from umapcore.pp import neighbors

    for metric in ("euclidean", "cosine"):
        for kind in (np.float32, np.float64):
            adata = _cells()
            adata.obsm["X_pca"] = adata.obsm["X_pca"].astype(kind)
            neighbors(adata, _NEIGHBORS, use_rep="X_pca", metric=metric)
            adata.obsm["X_sparse"] = sparse.csr_matrix(np.abs(adata.obsm["X_pca"]))
            neighbors(adata, _NEIGHBORS, use_rep="X_sparse", metric=metric)
    _find_by_stages(_cells(cosine=True))


@_rarer
def _several_components() -> None:
    from umapcore.pp import neighbors

    adata = _cells()
    # Components of 200, 60, 20 and 20 cells.
    adata.obsm["X_pca"][200:] += 100.0
    adata.obsm["X_pca"][260:] += 100.0
    adata.obsm["X_pca"][280:] += 100.0
    neighbors(adata, _NEIGHBORS, use_rep="X_pca")
    for n_components in (2, 3):
        _lay_out(adata, n_components=n_components)


@_rarer
def _shards() -> None:
    """Let two shards share memory, and pack what others send each other."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    from umapcore.cluster.packing import pack, unpack
    from umapcore.cluster.shared_memory import SharedMemory, bytes_for
    from umapcore.graph.csr import prepare_graph
    from umapcore.layout.plan import build_plan
    from umapcore.layout.shards import cut
    from umapcore.layout.spec import OptimizerSpec
    from umapcore_numba.layout.shard import NumbaShard

    adata, spec = _cells(), OptimizerSpec(n_epochs=2)
    _with_graph(adata)
    plan = build_plan(prepare_graph(adata.obsp["connectivities"]), spec)
    start = np.zeros((_CELLS, 2), np.float32)
    memory = np.zeros(bytes_for(2, [start.nbytes] * 2, [start.nbytes]), np.uint8)

    def run(shard: Any) -> None:
        link = SharedMemory(memory, shard.number, 2)
        NumbaShard(shard, start, spec, link, 2).advance(1, 2)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(run, cut(plan, [1.0, 1.0])))
    words = np.ones(40, np.uint32)
    unpack(pack(words, np.zeros_like(words), 1), words, 1, add=False)


def _cells(*, cosine: bool = False) -> AnnData:
    import numpy as np
    from anndata import AnnData

    rng = np.random.default_rng(0)
    points = rng.normal(size=(_CELLS, _GENES)).astype(np.float32)
    if cosine:
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    return AnnData(shape=(_CELLS, 0), obsm={"X_pca": points})


def _with_graph(adata: AnnData) -> None:
    """Give cells a graph that takes no search."""
    import numpy as np

    from umapcore.pp import neighbors

    steps = np.random.default_rng(0).choice(np.arange(1, _CELLS // 2), _NEIGHBORS - 1, False)
    indices = (np.arange(_CELLS)[:, None] + np.append(0, steps)) % _CELLS
    spread = 1.0 + np.arange(_CELLS)[:, None] % 7  # so that densities differ
    distances = spread * np.arange(float(_NEIGHBORS))
    neighbors(adata, _NEIGHBORS, use_rep="X_pca", precomputed_knn=(indices, distances))


def _find_by_stages(adata: AnnData) -> None:
    """Take each stage of the approximate search, which is meant for more cells."""
    from umapcore.neighbors.partitions import CpuStages

    stages = CpuStages(adata.obsm["X_pca"], _NEIGHBORS - 1, 0, None)
    stages.tree(0)
    stages.tree(1)
    stages.look_around()


def _place_new_cells(adata: AnnData, n_components: int) -> None:
    from umapcore.tl import ingest

    _lay_out(adata, n_components=n_components, init_pos="random")
    ingest(adata[:20].copy(), adata, use_rep="X_pca", maxiter=2)


def _lay_out(adata: AnnData | None = None, **options: Any) -> None:
    from umapcore.tl import umap

    if adata is None:
        adata = _cells()
        _with_graph(adata)
    umap(adata, maxiter=2, progress=False, **options)
