"""The arguments of the kernels of a layout, bundled in named tuples of arrays and numbers.

Kernels cannot take objects, but they can take named tuples, which numba unpacks when it compiles.
A further argument, `dims`, goes with the bundles everywhere. It is a tuple whose length is the
number of dimensions; a kernel is then compiled for this number. ``()`` stands for any number of
dimensions. numba removes branches that the length of `dims` rules out.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Span(NamedTuple):
    """Epochs from `first` on, of `n_epochs`, and the seed of their negative samples.

    Phases are counted from 0, the first one of epoch `first`. The span ends before the phase
    `end`: see :func:`umapcore_numba.layout.epochs.phases`.
    """

    first: Any
    end: Any
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
    own_walkers: Any
    own_places: Any


class Law(NamedTuple):
    """The law of forces: step size of epoch 0, curve, repulsion, numbers of axes and samples.

    `log2_a` is log2(a); `unit` is the number of whole units in a pull of length 1.
    """

    n_components: Any
    alpha: Any
    b: Any
    log2_a: Any
    gamma: Any
    n_samples: Any
    unit: Any


class Step(NamedTuple):
    """The law in one epoch, factors multiplied; no coordinate of a step exceeds `limit`."""

    alpha: Any
    b: Any
    log2_a: Any
    attraction: Any
    repulsion: Any
    limit: Any
    unit: Any


class State(NamedTuple):
    """The arrays that change. They are flat, n × d, in plan order.

    positions
        float32, one or two rows. Between epochs the first row holds the positions.
    walked
        float32: positions of a bucket's heads after their walk.
    pulls
        int32: pulls on tails, in whole units. One row for each worker, or fewer; the last is then
        for all workers that find no other one.
    """

    positions: Any
    walked: Any
    pulls: Any


class Moves(NamedTuple):
    """The arrays that the walkers of a bucket read and write. They are flat, n × d.

    source, target
        float32: positions at the beginning and at the end of the bucket; may be the same array.
    walked
        float32: positions of heads after their walk.
    pulls
        int32: pulls on tails. If it is `shared`, other workers add to it too.
    """

    source: Any
    target: Any
    walked: Any
    pulls: Any
    shared: Any


class Pool(NamedTuple):
    """The vertices that serve as negative samples for a bucket.

    points
        float32: their coordinates in columns. Each column is one group longer than the pool.
    places
        int32: their places.
    own
        int32: each row lists pool entries that are heads of the bucket, and ends with their number.
    """

    points: Any
    places: Any
    own: Any


class Scratch(NamedTuple):
    """Scratch arrays with a row for each worker; the bundle of one worker lacks that axis.

    `claims` is explained in :mod:`umapcore_numba.layout.repel_interleaved`, `fired`, `words` and
    `before` in :mod:`umapcore_numba.layout.schedule`, `meets_itself` in
    :mod:`umapcore_numba.layout.lanes`.
    """

    floats: Any
    ints: Any
    fired: Any
    words: Any
    before: Any
    meets_itself: Any
    claims: Any


class Density(NamedTuple):
    """The arrays of the density term; see :mod:`umapcore_numba.layout.density`.

    sums
        float32, two for each walker: its sums of phi and of phi d². In the end the entries of a
        vertex's first walker hold the sums of the vertex, the second one divided by the first.
    radii, logs
        float32, (n,): log radii in the data and in the embedding, in plan order.
    terms
        float32, two for each vertex: its terms s and u.
    totals
        int64, (3,): sums over vertices of the log radii in the embedding, of their squares, and of
        their products with the log radii in the data.
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

    `key` is the key of the bucket's random numbers. `bucket_start` is the bucket's first walker;
    samples are numbered from it.
    """

    epoch: Any
    key: Any
    first: Any
    last: Any
    bucket_start: Any


class Columns(NamedTuple):
    """The lanes of a group; coordinate k of lane i is at ``k * GROUP + i``.

    Only what every force needs: each array is seven words in each call of a function that LLVM
    does not inline (three more arrays made layouts in three dimensions 3 % slower).

    y, other, apart
        float32, d columns: positions of the heads, positions of the vertices that act on them, and
        the differences. `other` also holds where heads were when their samples began to act.
    squared, power
        float32: intermediates of a force.
    """

    y: Any
    other: Any
    apart: Any
    squared: Any
    power: Any


class Draw(NamedTuple):
    """The samples of one fire of the first `live` lanes; `m` is `live` rounded up to vectors."""

    live: Any
    m: Any
    fire: Any
    key: Any
    base: Any
    n_samples: Any
