"""The vector of eight lanes as a type of numba's, and its operators; only compiling needs them.

What kernels do with vectors is described in :mod:`umapcore._kit.simd`.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from llvmlite import ir
from numba import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

from umapcore._kit.simd import SIMD_WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable

_INT32 = ir.IntType(32)


class Lanes(types.Type):
    """numba type of a vector in kernels."""

    def __init__(self, element: Any) -> None:
        self.element = element
        super().__init__(name=f"Lanes({element})")


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        bits = kind.element == types.boolean
        element = ir.IntType(1) if bits else manager.lookup(kind.element).get_value_type()
        super().__init__(manager, kind, ir.VectorType(element, SIMD_WIDTH))


def vector_of(context: Any, builder: Any, kind: Any, given: Any, value: Any) -> Any:
    """Return a value as a vector of type `kind`."""
    if isinstance(given, Lanes):
        return value
    value = context.cast(builder, value, given, kind.element)
    undefined = ir.Constant(context.get_value_type(kind), ir.Undefined)
    single = builder.insert_element(undefined, value, ir.Constant(_INT32, 0))
    first = ir.Constant(ir.VectorType(_INT32, SIMD_WIDTH), [0] * SIMD_WIDTH)
    return builder.shuffle_vector(single, undefined, first)


def kind_of(*given: Any) -> Any:
    """Return the first vector type among some types, or None."""
    return next((each for each in given if isinstance(each, Lanes)), None)


def _define(
    operation: Callable[[Any, Any], Any],
    of_floats: Callable[[Any, Any, Any], Any] | None,
    of_integers: Callable[[Any, Any, Any], Any] | None,
    *,
    compares: bool = False,
) -> None:
    """Define an operator on vectors, from functions that build its LLVM instruction.

    numba's ``overload`` would compile a function for each pair of types that meets: a second for
    the kernels of a layout.
    """

    class Operator(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            kind = kind_of(*args)
            if kind is None or (of_floats if _is_real(kind) else of_integers) is None:
                return None
            return signature(Lanes(types.boolean) if compares else kind, *args)

    def write(context: Any, builder: Any, typed: Any, args: Any) -> Any:
        kind = kind_of(*typed.args)
        build = of_floats if _is_real(kind) else of_integers
        assert build is not None
        pairs = zip(typed.args, args, strict=True)
        return build(builder, *(vector_of(context, builder, kind, *each) for each in pairs))

    infer_global(operation)(Operator)
    for pair in ((Lanes, Lanes), (Lanes, types.Number), (types.Number, Lanes)):
        lower_builtin(operation, *pair)(write)


def _is_real(kind: Any) -> bool:
    return isinstance(kind.element, types.Float)


_define(operator.add, lambda on, a, b: on.fadd(a, b), lambda on, a, b: on.add(a, b))
_define(operator.sub, lambda on, a, b: on.fsub(a, b), lambda on, a, b: on.sub(a, b))
_define(operator.mul, lambda on, a, b: on.fmul(a, b), lambda on, a, b: on.mul(a, b))
_define(operator.truediv, lambda on, a, b: on.fdiv(a, b), None)
_define(operator.or_, None, lambda on, a, b: on.or_(a, b))
_define(operator.and_, None, lambda on, a, b: on.and_(a, b))
_define(operator.lshift, None, lambda on, a, b: on.shl(a, b))
_define(operator.rshift, None, lambda on, a, b: on.ashr(a, b))


def _define_comparison(operation: Callable[[Any, Any], Any], symbol: str) -> None:
    _define(
        operation,
        lambda on, a, b: on.fcmp_ordered(symbol, a, b),
        lambda on, a, b: on.icmp_signed(symbol, a, b),
        compares=True,
    )


_define_comparison(operator.lt, "<")
_define_comparison(operator.le, "<=")
_define_comparison(operator.gt, ">")
_define_comparison(operator.ge, ">=")
_define_comparison(operator.eq, "==")
