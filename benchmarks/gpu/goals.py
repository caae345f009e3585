"""Goals of the GPU backend, and whether a result meets them."""

from __future__ import annotations

from typing import Any

#: Limits of the optimisation alone, on an H200-class card: vertices of the generated graph,
#: epochs, most seconds.
LAYOUTS = (
    (10_000, 500, 0.08),
    (100_000, 200, 0.04),
    (1_000_000, 200, 0.07),
    (1_000_000, 500, 0.17),
    (10_000_000, 200, 0.7),
    (10_000_000, 500, 1.8),
)
#: Limits of the spectral start: vertices, most seconds of wall time.
STARTS = ((1_000_000, 0.1),)
MOST_COMPILE_SECONDS = 0.7
#: Limit of the largest graph: vertices, most bytes of device memory, those of an 80 GB card.
LARGEST = (100_000_000, 80_000_000_000)
#: Limit of a user's call on the GPU, from AnnData to AnnData: cells, most seconds.
CALL = (1_000_000, 1.0)
#: Prefix for the names of graphs whose epochs were launched the other way.
OTHER_WAY = "the other way: "
#: From this many vertices on, the few megabytes that every layout takes are negligible.
LARGE_GRAPH = 1_000_000


def goals(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the goals, each with its limit, the measured value and whether it is met.

    The last two are None if the value was not measured. That of a user's call is not among them:
    :mod:`benchmarks.gpu.parts.cross_backend` measures it.
    """
    found = []
    for n, n_epochs, limit in LAYOUTS:
        seconds = None
        if entry := find(result, n, n_epochs):
            seconds = entry["seconds"]["epochs"]["device"]["median"]
        found.append(goal(f"{n:,} vertices, {n_epochs} epochs: seconds", limit, seconds))
    starts = {one["n_vertices"]: one for one in result.get("starts", [])}
    for n, limit in STARTS:
        seconds = starts[n]["seconds"]["wall"]["median"] if n in starts else None
        found.append(goal(f"{n:,} vertices, spectral start: seconds", limit, seconds))
    first = result.get("first_call")
    found.append(
        goal(
            "first call without cached kernels: seconds to compile and load them",
            MOST_COMPILE_SECONDS,
            first["empty_cache"]["compile"] if first else None,
        )
    )
    for entry in result.get("graphs", []):
        if entry["n_vertices"] >= LARGE_GRAPH:
            told = f"{entry['graph']}, {entry['n_epochs']} epochs: peak bytes on the device"
            memory = entry["memory"]
            found.append(goal(told, memory["promised_bytes"], memory["peak_bytes"]))
    n, limit = LARGEST
    one = result.get("largest")
    measured = one["bytes"]["both"] if one and one["n_vertices"] == n and one["finite"] else None
    found.append(goal(f"{n:,} vertices, made on the device: bytes with the graph", limit, measured))
    different = [one for one in _compared(result) if not one["equal"]]
    compared = len(_compared(result))
    found.append(goal(f"results with other bits, of {compared}", 0,
                       len(different) if compared else None))  # fmt: skip
    return found


def find(result: dict[str, Any], n: int, n_epochs: int) -> dict[str, Any] | None:
    """Return the figures of a generated graph, or None."""
    for entry in result.get("graphs", []):
        known = entry["n_vertices"] == n and entry["n_epochs"] == n_epochs
        if known and entry["graph"].startswith("generated"):
            return dict(entry)
    return None


def _compared(result: dict[str, Any]) -> list[dict[str, Any]]:
    """List all bit comparisons: with the CPU, with and without streaming, between runs.

    Layouts whose epochs were launched the other way come after the layouts they must equal.
    """
    found = [{"equal": one["bits_equal"]} for one in result.get("parity", [])]
    found += [{"equal": one["runs_agree"]} for one in result.get("graphs", [])]
    digests: dict[Any, set[str]] = {}
    for one in result.get("graphs", []):
        layout = (one["n_vertices"], one["n_epochs"], one["graph"].removeprefix(OTHER_WAY))
        digests.setdefault(layout, set()).add(one["digest"])
        if one["graph"].startswith(OTHER_WAY):
            found.append({"equal": len(digests[layout]) == 1})
    for one in result.get("starts", []):
        found.append({"equal": one["runs_agree"] and one["bits_equal"] is not False})
    if one := result.get("streamed"):
        found.append({"equal": one["bits_equal"]})
    return found


def goal(what: str, at_most: float, measured: float | None) -> dict[str, Any]:
    """Return a goal, and whether the measured value meets it; None if there is none."""
    met = None if measured is None else measured <= at_most
    return {"goal": what, "at_most": at_most, "measured": measured, "met": met}
