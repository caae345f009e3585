"""Atomic integer addition, which numba offers on GPUs only."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def fetch_add(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Add `value` to ``array[index]`` atomically and return what was there before.

    The array is one-dimensional, of integers, and the index is not negative. The order of memory
    operations is left free: threads meet at the end of a parallel region anyway.
    """
    signature = array.dtype(array, types.intp, array.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array_type = signature.args[0]
        struct = context.make_array(array_type)(context, builder, args[0])
        pointer = cgutils.get_item_pointer(
            context, builder, array_type, struct, [args[1]], wraparound=False
        )
        return builder.atomic_rmw("add", pointer, args[2], "monotonic")

    return signature, codegen
