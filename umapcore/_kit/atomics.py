"""Atomic operations on integers on the CPU; numba itself offers them on GPUs only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from umapcore._kit.jit import intrinsic
from umapcore._kit.later import cgutils, types

if TYPE_CHECKING:
    from collections.abc import Callable


def _element(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Return a pointer to element ``args[1]`` of the one-dimensional array ``args[0]``."""
    array = signature.args[0]
    struct = context.make_array(array)(context, builder, args[0])
    return cgutils.get_item_pointer(context, builder, array, struct, [args[1]], wraparound=False)


def _adder(ordering: str) -> Callable[..., Any]:
    def add(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = _element(context, builder, signature, args)
            return builder.atomic_rmw("add", pointer, args[2], ordering)

        return array.dtype(array, types.intp, array.dtype), codegen

    return add


#: ``fetch_add(array, index, value)`` adds atomically and returns the previous value. It does not
#: order other memory operations: workers synchronise at the end of a phase anyway.
fetch_add = intrinsic(_adder("monotonic"))
#: The same, but a worker that reads the sum also sees what this worker wrote before.
fetch_add_in_order = intrinsic(_adder("acq_rel"))


@intrinsic
def load_in_order(typingctx: Any, array: Any, index: Any) -> Any:
    """Return ``array[index]``; later reads are not moved before this one."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _element(context, builder, signature, args)
        return builder.load_atomic(pointer, "acquire", array.dtype.bitwidth // 8)

    return array.dtype(array, types.intp), codegen


@intrinsic
def store_in_order(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Set ``array[index]``; a thread that reads the new value also sees all earlier writes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _element(context, builder, signature, args)
        builder.store_atomic(args[2], pointer, "release", array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), codegen


@intrinsic
def compare_exchange(typingctx: Any, array: Any, index: Any, expected: Any, value: Any) -> Any:
    """Set ``array[index]`` if it equals `expected`, and return its previous value."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _element(context, builder, signature, args)
        pair = builder.cmpxchg(pointer, args[2], args[3], "acq_rel", "acquire")
        return builder.extract_value(pair, 0)

    return array.dtype(array, types.intp, array.dtype, array.dtype), codegen
