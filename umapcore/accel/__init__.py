"""Programs written for scanpy or umap-learn, faster and with the same bits, without changing them.

While it is installed, these functions lay graphs out by umapcore:

- ``scanpy.tl.umap``,
- ``umap.umap_.simplicial_set_embedding`` of umap-learn, hence ``umap.UMAP().fit`` and
  ``fit_transform``, supervised fits and densMAP (with ``output_dens``) included.

It does not matter whether they were imported before or after, or under which name. What umapcore
does not offer (embeddings into other than Euclidean space, scanpy's ``method='rapids'``, which is
cuML with a graph of its own) goes to the original, and a line in the log of
``logging.getLogger("umapcore")`` says why. ``UMAP.transform``, ``inverse_transform``,
``AlignedUMAP`` and ``ParametricUMAP`` have optimisers of their own and stay as they are.

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

#: Function that is rerouted, by the module that offers it, and where its calls go.
_TARGETS = {
    "scanpy.tools": ("umap", "umapcore.accel.scanpy_umap"),
    "umap.umap_": ("simplicial_set_embedding", "umapcore.accel.umap_learn"),
}

_lock = RLock()
_rerouted: list[Rerouted] = []


def install(*, method: str = "umap", n_threads: int | None = None) -> None:
    """Lay out by umapcore from now on, in the whole process.

    May be called again, with other options too.

    Parameters
    ----------
    method
        ``'umap'``: the CPU. ``'rapids'``: an NVIDIA GPU. ``'auto'``: the GPU if there is one.
    n_threads
        Threads on the CPU; None takes ``umapcore.settings.n_threads``, then numba's number. For
        a ``UMAP`` with a seed that is the number from before ``fit``, which umap-learn sets to 1
        because only so its own results are the same again.

    Raises
    ------
    ValueError, TypeError
        When an option is not allowed.
    """
    options = Options(method, n_threads)
    with _lock:
        active.base = options
        _reroute()


def uninstall() -> None:
    """Give every function its own code back; does nothing where nothing is installed.

    A block of :func:`enabled` that another thread is in stays as it is.
    """
    with _lock:
        active.base = None
        _restore_if_unused()


def is_installed() -> bool:
    """Whether calls go to umapcore at present, by :func:`install` or :func:`enabled`."""
    return active.current() is not None


@contextmanager
def enabled(*, method: str = "umap", n_threads: int | None = None) -> Iterator[None]:
    """Lay out by umapcore inside a block; for parameters see :func:`install`.

    The block counts for the whole process: other threads' calls go to umapcore meanwhile.
    Blocks may be nested, and leaving one restores what held before.
    """
    options = Options(method, n_threads)
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
    """``%load_ext umapcore.accel`` in IPython and Jupyter."""
    install()


def unload_ipython_extension(_shell: Any) -> None:
    """``%unload_ext umapcore.accel``."""
    uninstall()


def _reroute() -> None:
    """Reroute what is imported already, and the rest when it comes."""
    _after_import.install()
    for module in _after_import.present():
        _reroute_in(module)


def _reroute_in(module: ModuleType) -> None:
    """Reroute the function that `module` offers, once."""
    name, route = _TARGETS[module.__name__]
    with _lock:
        if active.current() is None or not hasattr(module, name):
            return
        function = getattr(module, name)
        if any(rerouted.reaches(function) for rerouted in _rerouted):
            return
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
