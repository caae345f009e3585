"""The numbers that decide the bits of a layout beside its specification: one definition for all.

numba takes them from here, CUDA as macros (:mod:`umapcore_cupy.host.programs`). To change one is to
change layouts: see `LAYOUT_VERSION` in :mod:`umapcore.layout.spec`.
"""

from __future__ import annotations

# --- forces ---------------------------------------------------------------------------------------

#: No coordinate of an unscaled step exceeds this, as in umap-learn.
CLIP = 4.0
#: Smaller squared distances count as this: nothing subnormal enters the logarithm.
TINY = 1e-30
#: Squared distance that is added where samples repel, as in umap-learn.
NEAR = 0.001

# --- start ----------------------------------------------------------------------------------------

#: Every axis of the start positions goes from 0 to this.
EXTENT = 10.0

# --- buckets and walkers --------------------------------------------------------------------------

#: Buckets of heads, a power of two. More are closer to the serial algorithm, fewer need fewer
#: barriers: a GPU walks the longest row of every bucket in turn.
N_BUCKETS = 16
#: Phases in which vertices choose their buckets, a power of two. Neighbours of one phase, one in
#: so many, do not see each other's choice.
N_PHASES = 32
#: Walkers that are ranked together, at most: consecutive ones of a bucket, whose ranks by falling
#: fires say in every epoch which entries of the pool they read. Devices work on a group in
#: lockstep, in the order of the ranks: neighbours then fire about as often and read neighbouring
#: entries.
GROUP = 256
#: Sizes of groups are multiples of this, the lanes of the widest vectors.
GROUP_STEP = 16
#: Edges of a row that one walker takes at most.
LONGEST_WALK = 256
#: A walker that shares its head moves it by no more than this along an axis in one epoch. Start
#: positions span 10, so this bounds a number format, not a layout.
LONGEST_MOVE = 64.0

# --- negative samples -----------------------------------------------------------------------------

#: Entries of the largest and the smallest pool.
MAX_POOL = 1024
MIN_POOL = 256
#: One hash gives the offsets of this many samples, so many bits each.
SAMPLES_A_WORD = 5
SAMPLE_BITS = 12

# --- densities ------------------------------------------------------------------------------------

#: Added to every radius, so that coincident neighbours have a logarithm; as in umap-learn.
EPSILON = 1e-8
#: Sums over vertices are taken as integers, whose order does not matter, in units of
#: ``2**-SUM_EXPONENT``: so 2**31 squares of a log radius, which is below 90, stay below 2**63.
SUM_EXPONENT = 18
#: The two terms of a vertex are limited to these, and what the second one is multiplied by, so
#: that no product of them overflows float32.
MOST_TERM = 2.0**20
MOST_TERM_BY_RADIUS = 2.0**40
MOST_SLOPE = 2.0**30
