"""Views of arrays in kernels that need nothing of numba's runtime."""

from __future__ import annotations

from typing import Any

from umapcore._kit.jit import intrinsic
from umapcore._kit.later import Later, types

arrays, imputils = Later("numba.np.arrayobj"), Later("numba.core.imputils")


@intrinsic
def flat(typingctx: Any, array: Any) -> Any:
    """Return a C-contiguous array as one of a single dimension, like ``array.reshape(-1)``."""
    kind = types.Array(array.dtype, 1, "C", readonly=not array.mutable)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = context.make_array(array)(context, builder, args[0])
        view = context.make_array(kind)(context, builder)
        arrays.populate_array(
            view,
            data=source.data,
            shape=[source.nitems],
            strides=[source.itemsize],
            itemsize=source.itemsize,
            meminfo=source.meminfo,
            parent=source.parent,
        )
        return imputils.impl_ret_borrowed(context, builder, kind, view._getvalue())

    if array.layout != "C":
        return None
    return kind(array), codegen
