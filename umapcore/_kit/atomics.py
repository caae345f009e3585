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


def _loader(ordering: str) -> Callable[..., Any]:
    def load(typingctx: Any, array: Any, index: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = _element(context, builder, signature, args)
            return builder.load_atomic(pointer, ordering, array.dtype.bitwidth // 8)

        return array.dtype(array, types.intp), codegen

    return load


def _storer(ordering: str) -> Callable[..., Any]:
    def store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = _element(context, builder, signature, args)
            builder.store_atomic(args[2], pointer, ordering, array.dtype.bitwidth // 8)
            return context.get_dummy_value()

        return types.void(array, types.intp, array.dtype), codegen

    return store


#: ``load_in_order(array, index)`` returns an element; later reads are not moved before this one.
load_in_order = intrinsic(_loader("acquire"))
#: ``store_in_order(array, index, value)`` sets an element; a thread that reads the new value by
#: `load_in_order` also sees all earlier writes.
store_in_order = intrinsic(_storer("release"))
#: The same without any order, for words that tell nothing of other memory. Unlike plain accesses
#: they may meet others at any time: the compiler reads the word once, and no part of a value.
load_any_order = intrinsic(_loader("monotonic"))
store_any_order = intrinsic(_storer("monotonic"))


@intrinsic
def compare_exchange(typingctx: Any, array: Any, index: Any, expected: Any, value: Any) -> Any:
    """Set ``array[index]`` if it equals `expected`, and return its previous value."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _element(context, builder, signature, args)
        pair = builder.cmpxchg(pointer, args[2], args[3], "acq_rel", "acquire")
        return builder.extract_value(pair, 0)

    return array.dtype(array, types.intp, array.dtype, array.dtype), codegen
