"""Which edges fire in an epoch: ``uint32(t * rate) < rate``.

The edges of a block of walkers are contiguous. They are compared 64 at a time with vectors; the
result is a word with one bit for each edge. So no branch here depends on a row or on a single edge
(measured: 2.0 ns a fire, instead of 3.6 row by row). The vectors are LLVM's own, which it maps to
those of any processor. With AVX-512, the tails of a word's edges are also listed 16 at a time (1.0
ns a fire).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from umapcore._kit.jit import U0, U1, inline, intrinsic
from umapcore._kit.later import types
from umapcore._kit.processor import AVX512
from umapcore_numba.layout.interleaved import spread

#: Number of edges that are compared at a time: one for each bit of a word.
WORD_BITS = np.uint64(64)
_WORD_SHIFT = np.uint64(6)
_BIT_MASK = np.uint64(63)

_INT32 = ir.IntType(32)
_INT64 = ir.IntType(64)
_COMPARED = 16
#: Number of tails that are listed at a time; a list needs room for as many extra tails.
LISTED = _COMPARED
_COMPRESS = "llvm.x86.avx512.mask.compress.v16i32"


@intrinsic
def _fires_of_64(typingctx: Any, rates: Any, first: Any, epoch: Any) -> Any:
    """Find which of the edges `first` … `first` + 63 fire; bit k stands for edge `first` + k."""
    signature = types.uint64(rates, types.uint64, types.uint32)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = ir.VectorType(_INT32, _COMPARED)
        t = spread(builder, args[2], _COMPARED)
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        word = ir.Constant(_INT64, 0)
        for part in range(0, 64, _COMPARED):
            place = builder.add(args[1], ir.Constant(_INT64, part))
            pointer = builder.bitcast(builder.gep(data, [place]), vector.as_pointer())
            rate = builder.load(pointer, align=4)
            fires = builder.icmp_unsigned("<", builder.mul(t, rate), rate)
            bits = builder.zext(builder.bitcast(fires, ir.IntType(_COMPARED)), _INT64)
            word = builder.or_(word, builder.shl(bits, ir.Constant(_INT64, part)))
        return word

    return signature, codegen


@intrinsic
def _count_ones(typingctx: Any, word: Any) -> Any:
    """Count the bits that are set."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), codegen


@intrinsic
def _first_one(typingctx: Any, word: Any) -> Any:
    """Return the index of the lowest bit that is set; at least one bit must be set."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), codegen


@intrinsic
def _list_64(
    typingctx: Any, rates: Any, values: Any, first: Any, epoch: Any, target: Any, place: Any
) -> Any:
    """Do the same as `_fires_of_64`, and write the `values` of the edges that fire to `target`.

    They are written from index `place` on, 16 at a time, so entries after the last one are
    overwritten. Returns the word and the index after the last one.
    """
    signature = types.UniTuple(types.uint64, 2)(
        rates, values, types.uint64, types.uint32, target, types.uint64
    )

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector, bits = ir.VectorType(_INT32, _COMPARED), ir.IntType(_COMPARED)
        mask = ir.VectorType(ir.IntType(1), _COMPARED)
        known = builder.module.globals.get(_COMPRESS)
        compress = known or ir.Function(
            builder.module, ir.FunctionType(vector, [vector, vector, mask]), _COMPRESS
        )
        rates, values, target = (
            context.make_array(signature.args[k])(context, builder, args[k]).data for k in (0, 1, 4)
        )
        first, epoch, place = args[2], args[3], args[5]

        def at(array: Any, place: Any) -> Any:
            return builder.bitcast(builder.gep(array, [place]), vector.as_pointer())

        t = spread(builder, epoch, _COMPARED)
        word = ir.Constant(_INT64, 0)
        for part in range(0, 64, _COMPARED):
            edge = builder.add(first, ir.Constant(_INT64, part))
            rate = builder.load(at(rates, edge), align=4)
            fires = builder.icmp_unsigned("<", builder.mul(t, rate), rate)
            value = builder.load(at(values, edge), align=4)
            chosen = builder.call(compress, [value, ir.Constant(vector, ir.Undefined), fires])
            builder.store(chosen, at(target, place), align=4)
            some = builder.zext(builder.bitcast(fires, bits), _INT64)
            place = builder.add(place, builder.ctpop(some))
            word = builder.or_(word, builder.shl(some, ir.Constant(_INT64, part)))
        return context.make_tuple(builder, signature.return_type, (word, place))

    return signature, codegen


@inline
def _fires(rates: Any, first: Any, end: Any, t: Any) -> Any:
    """Return the word of the edges `first` … `end` - 1, at most 64 of them."""
    if first + WORD_BITS <= np.uint64(rates.shape[0]):
        word = _fires_of_64(rates, first, t)
        if end - first < WORD_BITS:
            word &= (U1 << (end - first)) - U1
        return word
    word = U0
    for k in range(end - first):
        rate = rates[first + k]
        # numba widens uint32 * uint32 to 64 bits; the schedule needs it modulo 2**32.
        word |= np.uint64(np.uint32(t * rate) < rate) << k
    return word


@inline
def find_fires(group: Any, plan: Any, start: Any, count: Any, scratch: Any, density: Any) -> None:
    """List the tails of the firing edges of a group's walkers, row by row.

    Parameters
    ----------
    group, plan
        See :mod:`umapcore_numba.layout.bundles`.
    start, count
        Receive the index in `fired` where each walker's fires begin, and their number.
    scratch
        Scratch of one worker. `fired` receives the tails or, with a `density`, the edges' numbers,
        counted from the first walker's first edge. It must have room for `LISTED` more entries than
        there can be fires. `words` receives a bit for each edge, `before` the number of fires
        before each word.
    density
        See :mod:`umapcore_numba.layout.density`; ``()`` for none.
    """
    row_offsets, tails, rates = plan.row_offsets, plan.tails, plan.rates
    fired, words, before = scratch.fired, scratch.words, scratch.before
    first, n_walkers = group.first, group.last - group.first
    t = np.uint32(group.epoch)
    begin = np.uint64(row_offsets[first])
    end = np.uint64(row_offsets[first + n_walkers])
    n_words = (end - begin + _BIT_MASK) >> _WORD_SHIFT
    found: Any = U0
    for number in range(n_words):
        base = begin + (number << _WORD_SHIFT)
        before[number] = found
        if AVX512 and len(density) == 0 and base + WORD_BITS <= end:
            words[number], found = _list_64(rates, tails, base, t, fired, found)
            continue
        word = _fires(rates, base, min(end, base + WORD_BITS), t)
        words[number] = word
        while word != U0:
            if len(density) > 0:
                fired[found] = (base - begin) + _first_one(word)
            else:
                fired[found] = tails[base + _first_one(word)]
            found += U1
            word &= word - U1
    # One more word, for the end of the last row.
    words[n_words] = U0
    before[n_words] = found
    fires_before: Any = np.int32(0)
    following = np.uint64(first) + U1
    for w in range(np.uint64(n_walkers)):
        edge = np.uint64(row_offsets[following + w]) - begin
        place = edge >> _WORD_SHIFT
        lower = words[place] & ((U1 << (edge & _BIT_MASK)) - U1)
        fires_after = np.int32(np.uint64(before[place]) + _count_ones(lower))
        start[w] = fires_before
        count[w] = fires_after - fires_before
        fires_before = fires_after
