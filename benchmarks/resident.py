"""Memory that this process holds."""

from __future__ import annotations

from pathlib import Path


def resident_bytes(field: str, *, reset_peak: bool = False) -> float:
    """Memory that this process holds (VmRSS) or held at its peak (VmHWM); NaN but on Linux.

    Parameters
    ----------
    field
        Line of ``/proc/self/status``.
    reset_peak
        Let the peak begin with what is held now.
    """
    try:
        if reset_peak:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(field):
                return 1024.0 * int(line.split()[1])
    except OSError:
        pass
    return float("nan")
