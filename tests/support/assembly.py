"""Machine code of compiled kernels: whether it fuses multiplications and additions, and vectors."""

from __future__ import annotations

import platform
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from umapcore._kit.jit import KERNELS

if TYPE_CHECKING:
    from collections.abc import Iterator

_MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}.get(
    platform.machine().lower(), platform.machine().lower()
)
#: Names of instructions that multiply and add with a single rounding.
_FUSED = {
    "x86_64": r"vfn?m(?:add|sub|addsub|subadd)\d*[ps][sdh]",
    "aarch64": r"fn?m(?:add|sub)|fn?m(?:la|ls|ad|sb)|fml[as]l2?|fcmla",
}
#: Instructions of floats that work on whole vectors.
_VECTORS = {
    "x86_64": r"v?(?:add|sub|mul|div|min|max|sqrt)p[sd]",
    "aarch64": r"f(?:add|sub|mul|div|min|max|minnm|maxnm|sqrt)\.\w+|f\w+\tv",
}
#: Why fused instructions cannot be searched for here, or None.
MISSING = None if _MACHINE in _FUSED else f"names of instructions of {_MACHINE} are not known"


def fused(assembly: str) -> Counter[str]:
    """Count fused instructions by their names."""
    return Counter(re.findall(rf"^\s+({_FUSED[_MACHINE]})\b", assembly, re.MULTILINE))


def vectors(assembly: str) -> int:
    """Count operations on vectors of floats."""
    return len(re.findall(rf"^\s+(?:{_VECTORS[_MACHINE]})", assembly, re.MULTILINE))


def assembly_of(dispatcher: Any) -> Iterator[str]:
    """Give the machine code of everything that a function has been compiled to, as text."""
    for overload in dispatcher.overloads.values():
        library = overload.library
        # One that was loaded from the cache on disk has only the module that others link with.
        module = library._shared_module if library._disable_inspection else library._final_module
        yield str(library._codegen._tm.emit_assembly(module))


def kernels() -> Iterator[tuple[str, str]]:
    """Give name and machine code of all kernels of the package that this process has called."""
    for kernel in KERNELS:
        if kernel.is_compiled:
            for assembly in assembly_of(kernel.dispatcher):
                yield kernel.name, assembly
