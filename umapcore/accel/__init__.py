"""Run umapcore in unchanged programs for scanpy or umap-learn: faster, and with the same bits.

While it is installed, umapcore computes the layouts of these functions:

- ``scanpy.tl.umap``,
- ``umap.umap_.simplicial_set_embedding`` of umap-learn, hence ``umap.UMAP().fit`` and
  ``fit_transform``, supervised fits and densMAP (with ``output_dens``) included;

and, unless ``neighbors=False``, it searches the neighbours for these, by Euclidean, cosine and
correlation distances in dense data:

- ``scanpy.pp.neighbors``,
- ``umap.umap_.nearest_neighbors``, with which ``umap.UMAP().fit`` searches 4,096 points or more.

The weights between neighbours stay theirs. The functions may be imported before or after, and
under any name. Calls that umapcore does not support (embeddings into non-Euclidean space; scanpy's
``method='rapids'``, which is cuML with its own graph; searches by other metrics) go to the original
function, and the log of ``logging.getLogger("umapcore")`` says why.
``UMAP.transform``, ``inverse_transform``, ``AlignedUMAP`` and ``ParametricUMAP`` have their own
optimisers and are not changed.

Examples
--------
>>> import umapcore.accel
>>> umapcore.accel.install()
>>> umapcore.accel.uninstall()
>>> with umapcore.accel.enabled():
...     pass

On the command line ``python -m umapcore.accel script.py``, in a notebook
``%load_ext umapcore.accel``.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Any

from umapcore.accel.imports import AfterImport
from umapcore.accel.reroute import CannotRerouteError, Rerouted
from umapcore.accel.route import Options, active
from umapcore.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

__all__ = ["enabled", "install", "is_installed", "uninstall"]

#: By module: the functions that are rerouted, and the modules that their calls go to.
_TARGETS = {
    "scanpy.neighbors": {"neighbors": "umapcore.accel.scanpy_neighbors"},
    "scanpy.tools": {"umap": "umapcore.accel.scanpy_umap"},
    "umap.umap_": {
        "nearest_neighbors": "umapcore.accel.umap_learn_neighbors",
        "simplicial_set_embedding": "umapcore.accel.umap_learn",
    },
}

_lock = RLock()
_rerouted: list[Rerouted] = []


def install(*, method: str = "umap", n_threads: int | None = None, neighbors: bool = True) -> None:
    """Route layouts and searches to umapcore from now on, in the whole process.

    It may be called again, also with other options.

    Parameters
    ----------
    method
        ``'umap'``: the CPU. ``'rapids'``: an NVIDIA GPU. ``'auto'``: the GPU if there is one.
    n_threads
        Threads on the CPU. None uses ``umapcore.settings.n_threads``, or numba's number of
        threads when that is None too. For a ``UMAP`` with a seed, numba's number is the one from
        before ``fit``: umap-learn sets it to 1 because its own results need one thread to be
        reproducible.
    neighbors
        Whether to search neighbours too, and not only to compute layouts.

    Raises
    ------
    ValueError, TypeError
        When an option is not allowed.
    """
    options = Options(method, n_threads, neighbors)
    with _lock:
        active.base = options
        _reroute()


def uninstall() -> None:
    """Restore the original code of every function; do nothing if nothing is installed.

    A block of :func:`enabled` that is active in another thread is not affected.
    """
    with _lock:
        active.base = None
        _restore_if_unused()


def is_installed() -> bool:
    """Return whether calls go to umapcore now, through :func:`install` or :func:`enabled`."""
    return active.current() is not None


@contextmanager
def enabled(
    *, method: str = "umap", n_threads: int | None = None, neighbors: bool = True
) -> Iterator[None]:
    """Route layouts and searches to umapcore inside a block; for parameters see :func:`install`.

    The block affects the whole process: calls from other threads go to umapcore too. Blocks may
    be nested; the end of a block restores the previous options.
    """
    options = Options(method, n_threads, neighbors)
    with _lock:
        active.blocks.append(options)
        _reroute()
    try:
        yield
    finally:
        with _lock:
            active.leave(options)
            _restore_if_unused()


def load_ipython_extension(_shell: Any) -> None:
    """Install for ``%load_ext umapcore.accel`` in IPython and Jupyter."""
    install()


def unload_ipython_extension(_shell: Any) -> None:
    """Uninstall for ``%unload_ext umapcore.accel``."""
    uninstall()


def _reroute() -> None:
    """Reroute in modules that are already imported, and in the others after their import."""
    _after_import.install()
    for module in _after_import.present():
        _reroute_in(module)


def _reroute_in(module: ModuleType) -> None:
    """Reroute the functions that `module` offers, each once."""
    with _lock:
        if active.current() is None:
            return
        for name, route in _TARGETS[module.__name__].items():
            function = getattr(module, name, None)
            if function is None or any(known.reaches(function) for known in _rerouted):
                continue
            try:
                _rerouted.append(Rerouted(function, f"{module.__name__}.{name}", route))
            except CannotRerouteError as problem:
                logger.warning("%s.%s stays as it is: %s", module.__name__, name, problem)


def _restore_if_unused() -> None:
    if active.current() is None:
        _after_import.uninstall()
        while _rerouted:
            _rerouted.pop().undo()


_after_import = AfterImport(_TARGETS, _reroute_in)
