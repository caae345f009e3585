"""Memory of this process."""

from __future__ import annotations

from pathlib import Path


def resident_bytes(field: str, *, reset_peak: bool = False) -> float:
    """Return the resident memory now (VmRSS) or at its peak (VmHWM); NaN except on Linux.

    Parameters
    ----------
    field
        Name of a line of ``/proc/self/status``.
    reset_peak
        Reset the peak to the present value.
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
