"""The repulsion of many heads by several samples each, written in LLVM's vectors.

See :mod:`umapcore_numba.layout.interleaved` for the reason.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from llvmlite import ir

from umapcore._kit.jit import intrinsic
from umapcore._kit.later import cgutils, types
from umapcore._kit.prefetch import LINE
from umapcore.layout.constants import GROUP, GROUP_STEP
from umapcore_numba.floats import ONE
from umapcore_numba.forces import NEAR, TINY
from umapcore_numba.layout import interleaved
from umapcore_numba.layout.interleaved import WIDTH, Interleaved
from umapcore_numba.layout.lanes import POOL_STRIDE

if TYPE_CHECKING:
    from collections.abc import Callable

#: Vectors of heads whose chains are interleaved, each with all of its samples.
VECTORS = 2
#: One line of the positions is claimed for every ``2**CLAIM_SHIFT`` lanes of a sample. Few are
#: claimed at a time, since a core has room for 64 waiting stores.
CLAIM_SHIFT = 4


@intrinsic
def repel_lanes(
    typingctx: Any,
    dims: Any,
    m: Any,
    stand: Any,
    y: Any,
    points: Any,
    windows: Any,
    step: Any,
    target: Any,
    claims: Any,
) -> Any:
    """Move the first `m` heads away from one sample of each window of the pool.

    `m` is a multiple of `WIDTH`. `dims` and `windows` are tuples of any length; `windows` holds the
    entries of the pool at which windows begin. Forces act at the positions `stand`, which may be
    `y`. Lines of `target` are claimed at the same time: see :func:`_claiming`.
    """
    signature = types.void(dims, types.int64, stand, y, points, windows, step, target, claims)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        arrays = [
            context.make_array(signature.args[k])(context, builder, args[k]).data
            for k in (2, 3, 4, 7, 8)
        ]
        n_windows = signature.args[5].count
        begins = [builder.extract_value(args[5], r) for r in range(n_windows)]
        fields = signature.args[6].fields
        numbers = [
            builder.extract_value(args[6], fields.index(name))
            for name in ("b", "log2_a", "repulsion", "limit")
        ]
        function = _repel_function(builder.module, len(signature.args[0]), n_windows)
        builder.call(function, [args[1], *arrays, *numbers, *begins])
        return context.get_dummy_value()

    return signature, codegen


def _repel_function(module: Any, d: int, n_windows: int) -> Any:
    """Return the function for `repel_lanes`; it is not inlined, so it can use all registers."""
    name = f"umapcore_repel_{d}_{n_windows}"
    if name in module.globals:
        return module.globals[name]
    array, integer, number = ir.FloatType().as_pointer(), ir.IntType(64), ir.FloatType()
    kinds = [integer, *[array] * 4, integer.as_pointer(), *[number] * 4, *[integer] * n_windows]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    # Vectors that do not fit into the registers then never span two cache lines.
    function.attributes.alignstack = 64
    builder = ir.IRBuilder(function.append_basic_block())
    m, stand, y, pool, target, claims, b, log2_a, repulsion, limit, *begins = function.args
    b, log2_a, repulsion, limit = (
        interleaved.spread(builder, x) for x in (b, log2_a, repulsion, limit)
    )
    claim, unclaimed = _claiming(builder, target, claims)

    def at(array: Any, first: Any, offset: int) -> Any:
        place = builder.add(first, ir.Constant(integer, offset))
        return builder.bitcast(builder.gep(array, [place]), interleaved.VECTOR.as_pointer())

    def load(array: Any, first: Any, offset: int) -> Any:
        return builder.load(at(array, first, offset), align=4)

    def repel(lane: Any, n_vectors: int) -> None:
        """Move the heads of some vectors by their samples, one sample after the other."""
        firsts = range(0, n_vectors * WIDTH, WIDTH)
        entries = [builder.add(begin, lane) for begin in begins]
        apart = []
        for k in range(d):
            differences = []
            for i in firsts:
                head = load(stand, lane, k * GROUP + i)
                samples = [load(pool, entry, k * POOL_STRIDE + i) for entry in entries]
                differences += [builder.fsub(head, sample) for sample in samples]
            apart.append(Interleaved(builder, differences))
        squared = apart[0] * apart[0]
        for axis in apart[1:]:
            squared = squared + axis * axis
        power = interleaved.exp2(interleaved.log2(squared.at_least(TINY)) * b + log2_a)
        coefficient = interleaved.reciprocal((squared + NEAR) * (power + ONE)) * repulsion
        for k, axis in enumerate(apart):
            steps = iter((coefficient * axis).within(limit).vectors)
            for i in firsts:
                total = load(y, lane, k * GROUP + i)
                for step in islice(steps, n_windows):
                    total = builder.fadd(total, step)
                builder.store(total, at(y, lane, k * GROUP + i), align=4)
        claim(n_windows * n_vectors * WIDTH >> CLAIM_SHIFT)

    # A single window occurs only if the number of samples is no multiple of `SAMPLES_A_WORD`: rare.
    n_vectors = VECTORS if n_windows > 1 else 1
    width = ir.Constant(integer, WIDTH)
    several = ir.Constant(integer, n_vectors * WIDTH)
    whole = builder.mul(builder.udiv(m, several), several)
    with cgutils.for_range_slice(builder, ir.Constant(integer, 0), whole, several) as (lane, _):
        repel(lane, n_vectors)
    if GROUP_STEP % (n_vectors * WIDTH) > 0:
        with cgutils.for_range_slice(builder, whole, m, width) as (lane, _):
            repel(lane, 1)
    builder.store(builder.load(unclaimed), claims)
    builder.ret_void()
    return function


def _claiming(builder: Any, target: Any, claims: Any) -> tuple[Callable[[int], None], Any]:
    """Return a function that claims lines, and the variable that holds where the next one is.

    A worker claims the lines of `target` that it will write at the end of the bucket. To claim a
    line means to get it into the worker's cache by a store that will be overwritten. The store
    waits for its line without delaying the computation. To prefetch a line that others have read
    had no effect (measured on Zen 4: at the end of a bucket, unclaimed positions cost 24
    microseconds, claimed ones 9). `claims` holds the position of a worker's next line, and the end
    of its share of `target`.
    """
    integer = claims.type.pointee
    unclaimed = builder.alloca(integer)
    builder.store(builder.load(claims), unclaimed)
    end = builder.load(builder.gep(claims, [ir.Constant(integer, 1)]))

    def claim(count: int) -> None:
        first = builder.load(unclaimed)
        with builder.if_then(builder.icmp_signed("<", first, end), likely=False):
            last = builder.add(first, ir.Constant(integer, count * LINE))
            last = builder.select(builder.icmp_signed("<", last, end), last, end)
            line = ir.Constant(integer, LINE)
            with cgutils.for_range_slice(builder, first, last, line) as (place, _):
                builder.store(ir.Constant(ir.FloatType(), 0.0), builder.gep(target, [place]))
            builder.store(last, unclaimed)

    return claim, unclaimed
