"""Products of rounded points with a tile of others, in LLVM's own vectors.

A word packs two signed 16-bit integers, a pair of coordinates. Processors with the x86 instruction
set multiply the pairs of whole vectors and add the two products in one instruction, which LLVM does
not find by itself. All arithmetic is exact, so its order is free.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from umapcore._kit.jit import intrinsic
from umapcore._kit.later import types
from umapcore._kit.processor import AVX2, AVX512, X86

#: Points in a tile: lanes of a vector, which LLVM splits where those of the processor are narrower.
TILE = 16
#: Points that are compared with a tile at a time: as many sums as registers hold.
QUERIES = 8 if AVX512 else 4
#: Queries whose lanes fit in an integer of 64 bits.
_PER_WORD = 64 // TILE
WORDS_OF_BITS = QUERIES // _PER_WORD

#: LLVM's name of the instruction, and its lanes.
_INSTRUCTION, _LANES = (
    ("llvm.x86.avx512.pmaddw.d.512", 16) if AVX512
    else ("llvm.x86.avx2.pmadd.wd", 8) if AVX2
    else ("llvm.x86.sse2.pmadd.wd", 4) if X86
    else (None, TILE)
)  # fmt: skip

_INT32, _INT64 = ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_INT32, TILE)


def _constant(value: int, lanes: int = TILE) -> Any:
    return ir.Constant(ir.VectorType(_INT32, lanes), [value] * lanes)


def _part(builder: Any, vector: Any, first: int) -> Any:
    """Return `_LANES` lanes of a vector."""
    order = ir.Constant(ir.VectorType(_INT32, _LANES), [first + lane for lane in range(_LANES)])
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), order)


def _pair_products(builder: Any, a: Any, b: Any) -> Any:
    """Return the sum of the two products in each lane."""
    if _INSTRUCTION is None:
        shift = _constant(16)
        low = [builder.ashr(builder.shl(each, shift), shift) for each in (a, b)]
        high = [builder.ashr(each, shift) for each in (a, b)]
        return builder.add(builder.mul(*high), builder.mul(*low))
    halves = ir.VectorType(ir.IntType(16), 2 * _LANES)
    kind = ir.FunctionType(ir.VectorType(_INT32, _LANES), [halves, halves])
    known = builder.module.globals.get(_INSTRUCTION)
    function = known or ir.Function(builder.module, kind, _INSTRUCTION)
    found = []
    for first in range(0, TILE, _LANES):
        parts = (each if _LANES == TILE else _part(builder, each, first) for each in (a, b))
        found.append(builder.call(function, [builder.bitcast(each, halves) for each in parts]))
    while len(found) > 1:
        lanes = 2 * found[0].type.count
        order = ir.Constant(ir.VectorType(_INT32, lanes), list(range(lanes)))
        found = [builder.shuffle_vector(*found[i : i + 2], order) for i in range(0, len(found), 2)]
    return found[0]


def _spread(builder: Any, number: Any) -> Any:
    """Return a vector with a number in all lanes."""
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    single = builder.insert_element(undefined, number, ir.Constant(_INT32, 0))
    return builder.shuffle_vector(single, undefined, _constant(0))


def _load(builder: Any, data: Any, at: Any) -> Any:
    place = builder.bitcast(builder.gep(data, [at]), _VECTOR.as_pointer())
    return builder.load(place, align=4)


def _squared_distances(context: Any, builder: Any, kinds: Any, args: Any) -> list[Any]:
    """Return |x|² + |y|² - 2 x·y of each of the queries and the points of a tile."""
    arrays = [
        context.make_array(kind)(context, builder, each).data
        for kind, each in zip(kinds[:4], args[:4], strict=True)
    ]
    of_queries, query_squares, words, squares = arrays
    query, tile, n_words = args[4:7]
    sixteen = ir.Constant(_INT64, TILE)
    step = builder.mul(n_words, sixteen)
    first_query = builder.add(
        builder.mul(builder.udiv(query, sixteen), step), builder.urem(query, sixteen)
    )
    first_column = builder.mul(tile, step)

    before = builder.block
    body = builder.append_basic_block("words")
    after = builder.append_basic_block("products")
    builder.branch(body)
    builder.position_at_end(body)
    at = builder.phi(_INT64)
    at.add_incoming(ir.Constant(_INT64, 0), before)
    sums = []
    for _ in range(QUERIES):
        total = builder.phi(_VECTOR)
        total.add_incoming(_constant(0), before)
        sums.append(total)
    column = _load(builder, words, builder.add(first_column, at))
    place = builder.add(first_query, at)
    products = []
    for q in range(QUERIES):
        word = builder.load(builder.gep(of_queries, [builder.add(place, ir.Constant(_INT64, q))]))
        added = _pair_products(builder, _spread(builder, word), column)
        products.append(builder.add(sums[q], added))
    following = builder.add(at, sixteen)
    at.add_incoming(following, body)
    for total, product in zip(sums, products, strict=True):
        total.add_incoming(product, body)
    builder.cbranch(builder.icmp_unsigned("<", following, step), body, after)
    builder.position_at_end(after)

    lengths = _load(builder, squares, builder.mul(tile, sixteen))
    found = []
    for q, product in enumerate(products):
        own = builder.load(builder.gep(query_squares, [builder.add(query, ir.Constant(_INT64, q))]))
        both = builder.add(_spread(builder, own), lengths)
        found.append(builder.sub(both, builder.add(product, product)))
    return found


def _limits_of_queries(builder: Any, limits: Any, query: Any) -> list[Any]:
    """Return, for each query, a vector with its limit in all lanes."""
    places = (builder.add(query, ir.Constant(_INT64, q)) for q in range(QUERIES))
    return [_spread(builder, builder.load(builder.gep(limits, [place]))) for place in places]


def _bits_within(builder: Any, found: list[Any], limits: list[Any]) -> list[Any]:
    """Return which distances are at most the limits, as the bits of integers."""
    numbers = []
    for first in range(0, QUERIES, _PER_WORD):
        total = ir.Constant(_INT64, 0)
        for q in range(first, first + _PER_WORD):
            near = builder.icmp_signed("<=", found[q], limits[q])
            bits = builder.zext(builder.bitcast(near, ir.IntType(TILE)), _INT64)
            moved = builder.shl(bits, ir.Constant(_INT64, TILE * (q - first)))
            total = builder.or_(total, moved)
        numbers.append(total)
    return numbers


@intrinsic
def bits_near(
    typingctx: Any,
    of_queries: Any,
    query_squares: Any,
    words: Any,
    squares: Any,
    query: Any,
    tile: Any,
    n_words: Any,
    limits: Any,
) -> Any:
    """Return which points of a tile are within the limits of some queries.

    Parameters
    ----------
    of_queries, query_squares
        Words and squared lengths of all queries.
    words, squares
        Words and squared lengths of all points.
    query, tile
        uint64: number of the first query, a multiple of `QUERIES`, and of the tile.
    n_words
        uint64: pairs of coordinates, at least 1.
    limits
        int32: for each query the largest squared distance.

    Returns
    -------
    uint64 numbers: the lowest bit of the first is that of the first query and the first point, the
    next bit that of the next point.
    """
    kind = types.UniTuple(types.uint64, WORDS_OF_BITS)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = _squared_distances(context, builder, signature.args, args)
        limit = context.make_array(signature.args[7])(context, builder, args[7]).data
        most = _limits_of_queries(builder, limit, args[4])
        return context.make_tuple(builder, kind, _bits_within(builder, found, most))

    u = types.uint64
    return kind(of_queries, query_squares, words, squares, u, u, u, limits), codegen


@intrinsic
def bits_near_both(
    typingctx: Any, words: Any, squares: Any, query: Any, tile: Any, n_words: Any, limits: Any
) -> Any:
    """Return which points of a tile are within the limits of some other points, and the reverse.

    Parameters
    ----------
    words, squares, query, tile, n_words
        As for :func:`bits_near`; the queries are points themselves.
    limits
        int32: for each point the largest squared distance.

    Returns
    -------
    uint64 numbers as from :func:`bits_near`, for the limits of the queries; then as many for the
    limits of the points of the tile.
    """
    kind = types.UniTuple(types.uint64, 2 * WORDS_OF_BITS)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds, both = signature.args, (args[0], args[1])
        found = _squared_distances(context, builder, (*kinds[:2], *kinds), (*both, *args))
        limit = context.make_array(signature.args[5])(context, builder, args[5]).data
        most = _limits_of_queries(builder, limit, args[2])
        numbers = _bits_within(builder, found, most)
        first = builder.mul(args[3], ir.Constant(_INT64, TILE))
        numbers += _bits_within(builder, found, [_load(builder, limit, first)] * QUERIES)
        return context.make_tuple(builder, kind, numbers)

    u = types.uint64
    return kind(words, squares, u, u, u, limits), codegen


@intrinsic
def lower_minima(
    typingctx: Any,
    of_queries: Any,
    query_squares: Any,
    words: Any,
    squares: Any,
    query: Any,
    tile: Any,
    n_words: Any,
    minima: Any,
    first: Any,
) -> Any:
    """Lower the least squared distance in each lane: `QUERIES` × `TILE` numbers, int32.

    They begin at the place `first` (uint64); the others are those of :func:`bits_near`.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = _squared_distances(context, builder, signature.args, args)
        data = context.make_array(signature.args[7])(context, builder, args[7]).data
        for q, each in enumerate(found):
            at = builder.add(args[8], ir.Constant(_INT64, q * TILE))
            known = _load(builder, data, at)
            least = builder.select(builder.icmp_signed("<", each, known), each, known)
            place = builder.bitcast(builder.gep(data, [at]), _VECTOR.as_pointer())
            builder.store(least, place, align=4)
        return context.get_dummy_value()

    u = types.uint64
    return types.void(of_queries, query_squares, words, squares, u, u, u, minima, u), codegen


@intrinsic
def number_up_to(typingctx: Any, numbers: Any, first: Any, most: Any) -> Any:
    """Return how many of the `TILE` numbers from the place `first` (uint64) on are at most `most`.

    All of them are int32; the result is uint64.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        few = builder.icmp_signed("<=", _load(builder, data, args[1]), _spread(builder, args[2]))
        return builder.ctpop(builder.zext(builder.bitcast(few, ir.IntType(TILE)), _INT64))

    return types.uint64(numbers, types.uint64, types.int32), codegen
