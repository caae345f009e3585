"""What the kernels of a layout are given, in named bundles of arrays and numbers.

Kernels take no objects, but named tuples: numba takes them apart when it compiles. `dims` goes
beside them everywhere. It is a tuple as long as there are dimensions, for which a kernel is then
compiled, or ``()`` for any number; numba leaves out branches that its length rules out.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Span(NamedTuple):
    """Epochs `first` … `stop` - 1 of `n_epochs`, and the seed of their negative samples."""

    first: Any
    stop: Any
    n_epochs: Any
    seed: Any


class Plan(NamedTuple):
    """The arrays of :class:`umapcore.layout.plan.EdgePlan` that are read in every epoch."""

    bucket_offsets: Any
    first_walkers: Any
    heads: Any
    row_offsets: Any
    tails: Any
    rates: Any


class Law(NamedTuple):
    """The law of forces: step size of epoch 0, curve, repulsion, and numbers of things.

    `log2_a` is log2(a); `unit` is the number of whole units that a pull of length 1 is.
    """

    n_components: Any
    alpha: Any
    b: Any
    log2_a: Any
    gamma: Any
    n_samples: Any
    unit: Any


class Step(NamedTuple):
    """The law in one epoch, with all factors multiplied: no step is longer than `limit`."""

    alpha: Any
    b: Any
    log2_a: Any
    attraction: Any
    repulsion: Any
    limit: Any
    unit: Any


class State(NamedTuple):
    """What moves, all flat, of n × d in plan order.

    positions
        float32, one row or two, of which the first counts between epochs.
    walked
        float32: where the heads of a bucket went.
    pulls
        int32: what tails are to move, in whole units. A row for each worker, or one for all.
    """

    positions: Any
    walked: Any
    pulls: Any


class Moves(NamedTuple):
    """What the walkers of a bucket read and write, all flat, of n × d.

    source, target
        float32: positions when the bucket begins, and when it has ended; maybe one array.
    walked
        float32: where heads went.
    pulls
        int32: what tails are to move. Other workers add to it as well where it is `shared`.
    """

    source: Any
    target: Any
    walked: Any
    pulls: Any
    shared: Any


class Pool(NamedTuple):
    """Vertices that serve a bucket as negative samples.

    points
        float32: their coordinates in columns, each a group longer than the pool itself.
    places
        int32: their places.
    own
        int32: in each row entries that are heads of the bucket, and how many at its end.
    """

    points: Any
    places: Any
    own: Any


class Scratch(NamedTuple):
    """Scratch of all workers, a row each; of one worker, without that axis.

    `claims` is explained in :mod:`umapcore_numba.layout.repel_interleaved`, the words in
    :mod:`umapcore_numba.layout.schedule`, `meets_itself` in :mod:`umapcore_numba.layout.lanes`.
    """

    floats: Any
    ints: Any
    fired: Any
    words: Any
    before: Any
    meets_itself: Any
    claims: Any


class Density(NamedTuple):
    """What preserving densities needs; see :mod:`umapcore_numba.layout.density`.

    sums
        float32, two a walker: sums of phi and of phi d². Where the first walker of a vertex is, in
        the end those of the vertex, the second one divided by the first.
    radii, logs
        float32, (n,): log radii of the data and in the embedding, in plan order.
    terms
        float32, two a vertex: its terms s and u.
    totals
        int64, (3,): sums over vertices of log radii, their squares, and their products with those
        of the data.
    constants
        float64: strength, shift of the variance, number of vertices that count.
    """

    sums: Any
    radii: Any
    logs: Any
    terms: Any
    totals: Any
    constants: Any


class Group(NamedTuple):
    """Walkers `first` … `last` - 1 of a bucket, in one epoch.

    `key` is that of the bucket's random numbers, `bucket_start` its first walker, by which samples
    are numbered.
    """

    epoch: Any
    key: Any
    first: Any
    last: Any
    bucket_start: Any


class Columns(NamedTuple):
    """The lanes of a group, coordinate k of lane i at ``k * GROUP + i``.

    y, other, apart
        float32, d columns: where heads are, where whom they meet is, and the difference. `other`
        also holds where heads stood when their samples began to act.
    squared, power
        float32: intermediates of a force.
    pull
        int32, d columns: what the tails are to move, in whole units.
    walker, tail
        int32: number of each lane's walker, and place of the tail that it meets.
    """

    y: Any
    other: Any
    apart: Any
    squared: Any
    power: Any
    pull: Any
    walker: Any
    tail: Any


class Draw(NamedTuple):
    """Which samples a fire of the first `live` lanes meets; `m` is `live` in whole vectors."""

    live: Any
    m: Any
    fire: Any
    key: Any
    base: Any
    n_samples: Any
