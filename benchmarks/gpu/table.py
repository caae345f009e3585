"""Markdown tables of the results of ``benchmarks.gpu``."""

from __future__ import annotations

from typing import Any

from benchmarks.report import table


def tables(result: dict[str, Any]) -> str:
    """Format a result as text: the machine, times and floors, stages, memory, goals."""
    parts = [_machine(result), _layouts(result), _stages(result)]
    if result.get("starts"):
        parts.append(_starts(result))
    if "first_call" in result:
        parts.append(_first_call(result))
    if result.get("parity") or "streamed" in result:
        parts.append(_bits(result))
    if "largest" in result:
        parts.append(_largest(result["largest"]))
    parts.append(_goals(result))
    if left := [*result.get("skipped", {}).items(), *result.get("failed", {}).items()]:
        parts.append("\n".join(f"Not measured: {name}: {reason}" for name, reason in left))
    if last := result.get("under_way"):
        parts.append(f"The run was ended while it was at: {last}.")
    return "\n\n".join(parts) + "\n"


def _machine(result: dict[str, Any]) -> str:
    card, machine, versions = result["device"], result["machine"], result["versions"]
    rates = result["rates"]
    text = (
        f"{card['name']} (compute capability {card['compute_capability']}), CUDA "
        f"{card['cuda_runtime']}, driver for CUDA up to {card['driver_runs_cuda_up_to']}, CuPy "
        f"{card['cupy']}, NVRTC {card['nvrtc']}; {machine['processor']}, {machine['cores']} "
        f"cores, Python {machine['python']}, numba {versions['numba']}, NumPy "
        f"{versions['numpy']}, umapcore {versions['umapcore']}. Measured: copies "
        f"{rates['copy'] / 1e12:.2f} TB/s, within the cache {rates['copy_in_cache'] / 1e12:.2f} "
        f"TB/s, {rates['operations'] / 1e12:.1f} trillion float32 multiplications and additions a "
        f"second (not fused), {rates['launch'] * 1e6:.2f} µs for an empty kernel of a recorded "
        "sequence."
    )
    if not result["graphs"]:
        return text
    runs = " or ".join(sorted({str(_runs(entry)) for entry in result["graphs"]}))
    return (
        f"{text} Medians of {runs} runs after a warm-up, each on a device opened anew, without "
        "compilation."
    )


def _layouts(result: dict[str, Any]) -> str:
    rows = []
    for entry in result["graphs"]:
        seconds, least = entry["seconds"]["epochs"], entry["floor"]
        device = seconds["device"]
        rows.append(
            (
                entry["graph"], f"{entry['n_vertices']:,}", f"{entry['n_edges']:,}",
                entry["n_epochs"], f"{device['median']:.4f}",
                f"{device['least']:.4f} to {device['most']:.4f}",
                f"{seconds['wall']['median']:.4f}", f"{least['seconds']:.4f}",
                least["bound_by"], f"{entry['over_floor']:.2f}", _launches(entry),
            )
        )  # fmt: skip
    header = (
        "graph", "vertices", "edges", "epochs", "optimisation, s", "runs", "wall, s", "floor, s",
        "bound by", "x floor", "launches an epoch",
    )  # fmt: skip
    return table(header, rows)


def _stages(result: dict[str, Any]) -> str:
    rows = []
    for entry in result["graphs"]:
        seconds, memory = entry["seconds"], entry["memory"]
        rows.append(
            (
                f"{entry['graph']}, {entry['n_epochs']} epochs",
                *(f"{seconds[stage]['wall']['median']:.4f}"
                  for stage in ("upload", "plan", "begin", "download")),
                f"{memory['peak_bytes'] / 1e6:,.1f}", f"{memory['estimated_bytes'] / 1e6:,.1f}",
                f"{memory['bytes_an_edge_beside_64_a_vertex']:.1f}",
            )
        )  # fmt: skip
    header = (
        "wall, s", "upload", "plan", "begin", "download", "peak, MB", "estimate, MB",
        "bytes an edge beside 64 a vertex",
    )  # fmt: skip
    return table(header, rows)


def _starts(result: dict[str, Any]) -> str:
    rows = [
        (
            one["graph"], f"{one['seconds']['wall']['median']:.4f}",
            f"{one['seconds']['device']['median']:.4f}", f"{one['peak_bytes_an_edge']:.1f}",
            _yes(one["bits_equal"]),
        )
        for one in result["starts"]
    ]  # fmt: skip
    header = ("spectral start", "wall, s", "device, s", "peak, bytes an edge", "the CPU's bits")
    return table(header, rows)


def _first_call(result: dict[str, Any]) -> str:
    first = result["first_call"]
    stages = [*first["empty_cache"]]
    rows = [
        [f"{cache} cache", *(f"{first[f'{cache}_cache'][stage]:.2f}" for stage in stages)]
        for cache in ("empty", "filled")
    ]
    header = ["first call, s", *(stage.replace("_", " ") for stage in stages)]
    text = table(header, rows)
    if compiled := result.get("compile"):
        each = ", ".join(f"{name} {one['median']:.2f} s" for name, one in compiled.items())
        text += f"\n\nNVRTC alone: {each}."
    return text


def _bits(result: dict[str, Any]) -> str:
    rows = [
        (
            one["graph"], f"{one['n_components']}-D", f"{one['epochs']} of {one['of_epochs']}",
            "the CPU", _yes(one["bits_equal"]),
        )
        for one in result.get("parity", [])
    ]  # fmt: skip
    text = ""
    if one := result.get("streamed"):
        whole = f"{one['n_epochs']} of {one['n_epochs']}"
        rows.append((one["graph"], "2-D", whole, "edges streamed", _yes(one["bits_equal"])))
        text = (
            f"\n\nEdges streamed from the host: {one['graph']}, {one['n_epochs']} epochs in "
            f"{one['seconds']:.2f} s, {one['host_bytes_a_second'] / 1e9:.1f} GB/s."
        )
    return table(("graph", "dimensions", "epochs", "compared with", "bits equal"), rows) + text


def _largest(one: dict[str, Any]) -> str:
    epochs, size = one["epochs"], one["bytes"]
    rows = [(stage, f"{seconds:.3f}") for stage, seconds in one["wall"].items()]
    rows.append((f"{epochs['timed']} epochs", f"{epochs['timed'] * epochs['seconds_each']:.3f}"))
    rows += [
        (f"{count} epochs, extrapolated", f"{seconds:.2f}")
        for count, seconds in epochs["extrapolated"].items()
    ]
    if epochs["seconds_of_others"] is not None:
        rows.append((f"the other {epochs['others']} epochs", f"{epochs['seconds_of_others']:.2f}"))
    length = one["median_length"]
    header = (f"{one['n_vertices']:,} vertices, {one['n_edges']:,} edges, made on the device", "s")
    return (
        f"{table(header, rows)}\n\nMemory: {size['both'] / 1e9:.1f} GB, {size['given'] / 1e9:.1f} "
        f"of them the graph and the start; 16 bytes an edge and 64 a vertex are "
        f"{size['promised'] / 1e9:.1f} GB. Median length of edges {length['edges']:.4f}, of random "
        f"pairs {length['pairs']:.3f}."
    )


def _goals(result: dict[str, Any]) -> str:
    rows = [
        (goal["goal"], _number(goal["at_most"]), _number(goal["measured"]), _yes(goal["met"]))
        for goal in result["goals"]
    ]
    return table(("goal", "at most", "measured", "met"), rows)


def _launches(entry: dict[str, Any]) -> int | str:
    return "together" if entry["epochs_together"] else int(entry["launches_an_epoch"])


def _runs(entry: dict[str, Any]) -> int:
    return len(entry["seconds"]["epochs"]["device"]["runs"])


def _number(value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:,.4g}" if abs(value) < 1e6 else f"{value:,.0f}"


def _yes(value: bool | None) -> str:
    return {True: "yes", False: "no", None: "-"}[value]
