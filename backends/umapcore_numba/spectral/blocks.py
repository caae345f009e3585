"""Kernels over blocks of vectors: the inner loops of the spectral start.

LLVM does not vectorise a sum over edges with eight adjacent lanes, however the loops are written
(measured: 7 to 10 ns an edge); with explicit vectors it takes 2. The vectors are those of LLVM's
language, which it maps to the vectors of the processor. Lanes are added and multiplied separately,
so the bits do not depend on the processor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from umapcore._kit.jit import U0, U1, intrinsic, kernel
from umapcore._kit.later import cgutils, types
from umapcore._kit.views import flat
from umapcore.device.spectral_ops import BLOCK_COLUMNS, BLOCK_ROWS, RUN

U_COLUMNS = np.uint64(BLOCK_COLUMNS)
U_RUN = np.uint64(RUN)

_INT32 = ir.IntType(32)
_INT64 = ir.IntType(64)
_VECTOR = ir.VectorType(ir.FloatType(), BLOCK_COLUMNS)
_FIRST_LANE = ir.Constant(ir.VectorType(_INT32, BLOCK_COLUMNS), [0] * BLOCK_COLUMNS)


@intrinsic
def sum_differences(
    typingctx: Any,
    first: Any,
    last: Any,
    indices: Any,
    weights: Any,
    x: Any,
    width: Any,
    lane: Any,
    own: Any,
    out: Any,
) -> Any:
    """Sum over the edges `first` … `last` - 1 in order; all indices and lengths are uint64.

    ``out[k] = sum of weights[e] * (x[indices[e] * width + lane + k] - x[own + k])`` for all columns
    k of a block.
    """
    signature = types.void(first, last, indices, weights, x, width, lane, own, out)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def data(argument: int) -> Any:
            array = context.make_array(signature.args[argument])
            return array(context, builder, args[argument]).data

        def vector_at(pointer: Any) -> Any:
            return builder.bitcast(pointer, _VECTOR.as_pointer())

        def lanes_of_x(offset: Any) -> Any:
            return builder.load(vector_at(builder.gep(data(4), [offset])), align=4)

        first, last, width, lane = args[0], args[1], args[5], args[6]
        mine = lanes_of_x(args[7])
        undefined = ir.Constant(_VECTOR, ir.Undefined)
        total = cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, [0.0] * BLOCK_COLUMNS))
        one = ir.Constant(_INT64, 1)
        with cgutils.for_range_slice(builder, first, last, one, _INT64) as (e, _):
            tail = builder.load(builder.gep(data(2), [e]))
            if tail.type != _INT64:
                tail = builder.zext(tail, _INT64)
            weight = builder.load(builder.gep(data(3), [e]))
            weight = builder.insert_element(undefined, weight, ir.Constant(_INT32, 0))
            weight = builder.shuffle_vector(weight, undefined, _FIRST_LANE)
            other = lanes_of_x(builder.add(builder.mul(tail, width), lane))
            product = builder.fmul(weight, builder.fsub(other, mine))
            builder.store(builder.fadd(builder.load(total), product), total)
        builder.store(builder.load(total), vector_at(data(8)), align=4)
        return context.get_dummy_value()

    return signature, codegen


@kernel()
def apply(
    first: Any,
    last: Any,
    graph: Any,
    inverse: Any,
    x: Any,
    y: Any,
    alpha: Any,
    beta: Any,
    gamma: Any,
) -> None:
    """Compute y = alpha (P - 1) x + beta x + gamma y; see `SpectralOps`."""
    indptr, indices, weights = graph
    width = np.uint64(x.shape[1])
    x, y = flat(x), flat(y)
    total, part = np.empty(BLOCK_COLUMNS, np.float32), np.empty(BLOCK_COLUMNS, np.float32)
    # Unsigned indices need no check for negative indices.
    for i in range(np.uint64(first), np.uint64(last)):
        begin, end = np.uint64(indptr[i]), np.uint64(indptr[i + U1])
        factor = alpha * inverse[i]
        for lane in range(U0, width, U_COLUMNS):
            own = i * width + lane
            stop = min(end, begin + U_RUN)
            sum_differences(begin, stop, indices, weights, x, width, lane, own, total)
            while stop < end:
                start, stop = stop, min(end, stop + U_RUN)
                sum_differences(start, stop, indices, weights, x, width, lane, own, part)
                for k in range(U0, U_COLUMNS):
                    total[k] += part[k]
            for k in range(U0, U_COLUMNS):
                y[own + k] = factor * total[k] + beta * x[own + k] + gamma * y[own + k]


@kernel(allocates=False)
def gram(first: Any, last: Any, degrees: Any, x: Any, y: Any, parts: Any) -> None:
    """Sum dot products over each block of rows; see `SpectralOps`."""
    m = x.shape[1]
    for begin in range(first, last, BLOCK_ROWS):
        part = parts[begin // BLOCK_ROWS]
        for i in range(begin, min(last, begin + BLOCK_ROWS)):
            for k in range(m):
                weighted = degrees[i] * np.float64(x[i, k])
                part[2, 0, k] += weighted
                for other in range(m):
                    part[0, k, other] += weighted * np.float64(x[i, other])
                for other in range(m):
                    part[1, k, other] += weighted * np.float64(y[i, other])


@kernel()
def rotate(first: Any, last: Any, x: Any, rotation: Any, offset: Any, out: Any) -> None:
    """Compute out = x @ rotation - offset, row by row."""
    m = x.shape[1]
    row = np.empty(m)
    for i in range(first, last):
        for other in range(m):
            row[other] = -offset[other]
        for k in range(m):
            entry = np.float64(x[i, k])
            for other in range(m):
                row[other] += entry * rotation[k, other]
        for other in range(m):
            out[i, other] = np.float32(row[other])


@kernel(allocates=False)
def degrees(first: Any, last: Any, indptr: Any, weights: Any, out: Any) -> None:
    """Sum rows in float64, one edge after the other."""
    for i in range(first, last):
        total = 0.0
        for e in range(indptr[i], indptr[i + 1]):
            total += np.float64(weights[e])
        out[i] = total


@kernel(allocates=False)
def unscale(first: Any, last: Any, degrees: Any, x: Any, order: Any, out: Any) -> None:
    """Compute sqrt(D) x; see `SpectralOps`."""
    for i in range(first, last):
        root = np.sqrt(degrees[i])
        row = order[i] if order.shape[0] > 0 else i
        for k in range(out.shape[1]):
            out[row, k] = root * np.float64(x[i, k])
