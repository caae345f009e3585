"""Answer ``scanpy.tl.umap`` with :func:`umapcore.tl.umap`, from scanpy 1.9 on.

The decorators of scanpy's function stay in place and run before this code. From scanpy 1.13 on
they turn ``random_state`` into ``rng``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from umapcore.accel.route import (
    NotOfferedError,
    Options,
    arguments_of,
    global_random_state,
    rewound_on_failure,
    take_or_pass_on,
)

if TYPE_CHECKING:
    from collections.abc import Callable

#: Parameters that both functions have, with the same meaning.
_SHARED = (
    "min_dist",
    "spread",
    "n_components",
    "maxiter",
    "alpha",
    "gamma",
    "negative_sample_rate",
    "init_pos",
    "neighbors_key",
    "copy",
)
_TRANSLATED = ("adata", "random_state", "rng", "a", "b", "method", "key_added")


def call(original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer a call of ``scanpy.tl.umap``."""
    return take_or_pass_on("scanpy.tl.umap", _take, original, args, kwargs)


def _take(options: Options, original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = arguments_of(original, args, kwargs, (*_SHARED, *_TRANSLATED)).arguments
    method = given.get("method", "umap")
    if method == "rapids":
        msg = (
            "method='rapids' is cuML with its own graph. umapcore.tl.umap(method='rapids') "
            "lays out the graph of the AnnData object on a GPU."
        )
        raise NotOfferedError(msg)
    if method != "umap":
        msg = f"method={method!r} is unknown to umapcore."
        raise NotOfferedError(msg)
    a, b = given.get("a"), given.get("b")
    if a is None or b is None:
        # scanpy ignores `a` without `b`, and `b` without `a`.
        a = b = None
    shared = {name: given[name] for name in _SHARED if name in given}
    key_added = _key_added(original, given.get("key_added"))
    random_state = global_random_state(given.get("random_state", 0))
    stored: dict[str, Any] = {}
    if "rng" in given:
        random_state, stored = from_rng(given["rng"])

    from umapcore.tl import umap

    said = original.__globals__
    log, settings = said.get("logg"), said.get("settings")
    began = None if log is None else log.info("computing UMAP")
    with rewound_on_failure(random_state):
        result = umap(
            given["adata"],
            **shared,
            a=a,
            b=b,
            random_state=random_state,
            key_added=key_added,
            method=options.method,
            n_threads=options.n_threads,
            progress=getattr(settings, "verbosity", 0) > 3,
        )
    target = given["adata"] if result is None else result
    key_obsm, key_uns = ("X_umap", "umap") if key_added is None else (key_added, key_added)
    store(target, key_uns, stored)
    if log is not None:
        added = (
            f"added\n    {key_obsm!r}, UMAP coordinates (adata.obsm)\n"
            f"    {key_uns!r}, UMAP parameters (adata.uns)"
        )
        log.info("    finished", time=began, deep=added)
    return result


def _key_added(original: Any, key_added: Any) -> Any:
    """Resolve a key that depends on scanpy's settings."""
    if key_added is None or isinstance(key_added, str):
        return key_added or None
    resolve = original.__globals__.get("_embedding_keys")
    if resolve is None:
        msg = f"key_added={key_added!r} is unknown to umapcore."
        raise NotOfferedError(msg)
    return _single_key(resolve("umap", key_added))


def key_of_settings() -> str | None:
    """Return the default ``key_added``, which is a setting of scanpy from 1.13 on."""
    from importlib import import_module

    try:
        resolve = import_module("scanpy._keys")._embedding_keys
    except (ImportError, AttributeError):
        return None
    return _single_key(resolve("umap"))


def _single_key(keys: Any) -> str | None:
    return None if (keys.obsm, keys.uns) == ("X_umap", "umap") else str(keys.uns)


def store(adata: Any, key_uns: str, stored: dict[str, Any]) -> None:
    """Add the entries that scanpy writes and umapcore does not to the parameters in `uns`."""
    params = adata.uns[key_uns]["params"]
    for name, value in stored.items():
        params.setdefault(name, value)


def from_rng(rng: Any) -> tuple[Any, dict[str, Any]]:
    """Read the ``rng`` of scanpy 1.13 and later.

    Parameters
    ----------
    rng
        A seed, or another input of ``numpy.random.default_rng``, or the object that scanpy makes
        from a ``random_state``: its ``arg`` is that value and its ``state`` is the RandomState.

    Returns
    -------
    random_state
        For :func:`umapcore.tl.umap`.
    stored
        Entries that scanpy adds to the parameters in `uns`, if they can be saved.
    """
    import numpy as np

    if rng is None:
        return None, {}
    if isinstance(rng, np.random.Generator) and hasattr(rng, "arg") and hasattr(rng, "state"):
        seed = rng.arg
        if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
            return int(seed), {"random_state": int(seed)}
        return rng.state, {}
    return np.random.default_rng(rng), {}
