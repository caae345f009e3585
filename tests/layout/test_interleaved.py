"""Interleaved of vector operations give the bits of the scalar arithmetic that they repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from umapcore_numba import floats
from umapcore_numba.layout import interleaved
from umapcore_numba.layout.interleaved import VECTOR, WIDTH, Interleaved

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LIMIT = np.float32(4.0)

#: Whole range of normal numbers, and what lies at the edges of a formula.
_RNG = np.random.default_rng(0)
POSITIVE = np.concatenate([
    2.0 ** _RNG.uniform(-125, 126, 4_000),
    _RNG.uniform(0.5, 2.0, 2_000),
    np.float32([1e-30, 1.0, np.sqrt(0.5), np.sqrt(2.0), 2.0**125, 2.0**126, 3.4e38]),
]).astype(np.float32)  # fmt: skip
SIGNED = np.concatenate([
    _RNG.uniform(-200, 200, 4_000),
    _RNG.uniform(-1, 1, 2_000),
    [-0.0, 0.0, 0.5, -0.5, 125.0, -125.0, 126.0, -126.0, 4.0, -4.0, 1e30, -1e30, -1e-40],
]).astype(np.float32)  # fmt: skip

CASES: list[
    tuple[str, Callable[[Interleaved], Interleaved], Callable[[Any], Any], NDArray[np.float32]]
] = [
    ("log2", interleaved.log2, floats.log2, POSITIVE),
    ("exp2", interleaved.exp2, floats.exp2, SIGNED),
    ("reciprocal", interleaved.reciprocal, floats.reciprocal, POSITIVE),
    ("within", lambda x: x.within(LIMIT), njit(lambda x: floats.clip(x, LIMIT)), SIGNED),
    ("at_least", lambda x: x.at_least(LIMIT), njit(lambda x: max(x, LIMIT)), POSITIVE),
    ("at_most", lambda x: x.at_most(LIMIT), njit(lambda x: min(x, LIMIT)), POSITIVE),
]


def _vectorised(
    formula: Callable[[Interleaved], Interleaved], n_chains: int
) -> Callable[..., None]:
    @intrinsic
    def apply(typingctx: Any, x: Any, out: Any, first: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            def at(array: int, chain: int) -> Any:
                data = context.make_array(signature.args[array])(context, builder, args[array]).data
                place = builder.add(args[2], ir.Constant(ir.IntType(64), chain * WIDTH))
                return builder.bitcast(builder.gep(data, [place]), VECTOR.as_pointer())

            given = [builder.load(at(0, k), align=4) for k in range(n_chains)]
            for k, vector in enumerate(formula(Interleaved(builder, given)).vectors):
                builder.store(vector, at(1, k), align=4)
            return context.get_dummy_value()

        return types.void(x, out, types.int64), codegen

    @njit
    def run(x: Any, out: Any) -> None:
        for i in range(0, x.shape[0], n_chains * WIDTH):
            apply(x, out, i)

    return run


@pytest.mark.parametrize("n_chains", [1, 3])
@pytest.mark.parametrize(("formula", "scalar", "x"), [case[1:] for case in CASES],
                         ids=[case[0] for case in CASES])  # fmt: skip
def test_bits(
    formula: Callable[[Interleaved], Interleaved],
    scalar: Callable[[Any], Any],
    x: NDArray[np.float32],
    n_chains: int,
) -> None:
    x = np.resize(x, -(-x.size // (n_chains * WIDTH)) * n_chains * WIDTH)
    out = np.empty_like(x)
    _vectorised(formula, n_chains)(x, out)

    @njit(error_model="numpy")
    def one_by_one(x: Any, expected: Any) -> None:
        for i in range(x.shape[0]):
            expected[i] = scalar(x[i])

    expected = np.empty_like(x)
    one_by_one(x, expected)
    np.testing.assert_array_equal(out.view(np.int32), expected.view(np.int32))
