"""Instructions of PTX that could give other bits than the CPU, or bits that depend on chance."""

from __future__ import annotations

import re

# An opcode with its modifiers, as `mad.lo.s32` or `@%p1 bra.uni`; no directive, register, or label.
_OPCODE = re.compile(r"(?<![\w$.%@])[a-z][a-z0-9]*(?:(?:\.|::)[A-Za-z0-9_]+)+")
_NO_CODE = re.compile(r'"[^"\n]*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
# The reciprocal of kernels/cuda.cuh: the same from any approximation, see test_gpu_arithmetic.py.
_RECIPROCAL = re.compile(
    r"\s+".join([
        r"\{", *(rf"\.reg \.f32 {name};" for name in ("minus", "guess", "error", "nearer", "left")),
        r"neg\.f32 minus, (%\w+);", r"rcp\.approx\.ftz\.f32 guess, \1;",
        r"fma\.rn\.f32 error, minus, guess, 0f3F800000;",
        r"fma\.rn\.f32 nearer, guess, error, guess;",
        r"fma\.rn\.f32 left, minus, nearer, 0f3F800000;",
        r"fma\.rn\.f32 %\w+, nearer, left, nearer;", r"\}",
    ])
)  # fmt: skip
_FLOATS = {"f16", "f16x2", "bf16", "bf16x2", "f32", "f32x2", "f64", "tf32"}
_ROUNDINGS = {"rn", "rz", "rm", "rp"}
_ATOMIC = {"atom", "red", "redux", "multimem"}
_MATRIX = {"mma", "wmma", "wgmma", "tcgen05"}


def forbidden(ptx: str) -> list[str]:
    """List what breaks the rules for the same bits, each as ``instruction: why``."""
    found = []
    for match in _OPCODE.finditer(_RECIPROCAL.sub(" ", _NO_CODE.sub(" ", ptx))):
        instruction = match.group()
        if why := _why_not(*instruction.replace("::", ".").split(".")):
            found.append(f"{instruction}: {why}")
    return found


def _why_not(operation: str, *modifiers: str) -> str | None:
    names = set(modifiers)
    on_floats = bool(names & _FLOATS)
    if operation == "fma" or (operation == "mad" and on_floats):
        return "fused multiply-add"
    if names & {"approx", "full"}:
        return "approximate"
    if "ftz" in names:
        return "flushes subnormal numbers"
    if operation in _ATOMIC and on_floats:
        return "its sum depends on the order of threads"
    if operation in _MATRIX:
        return "its order of sums is the hardware's"
    if operation in {"add", "sub", "mul"} and on_floats and not names & _ROUNDINGS:
        # Without a rounding of its own, the driver may fuse it with a neighbour.
        return "may be contracted to a fused multiply-add"
    return None
