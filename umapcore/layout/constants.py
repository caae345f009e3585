"""Constants that decide the bits of a layout together with its specification, defined once.

numba kernels import them; CUDA gets them as macros (:mod:`umapcore_cupy.host.programs`). Changing
one changes layouts: see `LAYOUT_VERSION` in :mod:`umapcore.layout.spec`.
"""

from __future__ import annotations

# --- forces ---------------------------------------------------------------------------------------

#: No coordinate of an unscaled step exceeds this, as in umap-learn.
CLIP = 4.0
#: Smaller squared distances are replaced by this, so that no subnormal enters the logarithm.
TINY = 1e-30
#: Added to the squared distance in the repulsion, as in umap-learn.
NEAR = 0.001

# --- start ----------------------------------------------------------------------------------------

#: Start positions are scaled to the range from 0 to this on each axis.
EXTENT = 10.0

# --- buckets and walkers --------------------------------------------------------------------------

#: Number of buckets of heads, a power of two. More buckets are closer to the serial algorithm.
#: Fewer buckets need fewer barriers: a GPU walks the longest row of each bucket in turn.
N_BUCKETS = 16
#: Number of phases in which vertices choose their buckets, a power of two. Neighbours in the same
#: phase (one in `N_PHASES`) do not see each other's choice.
N_PHASES = 32
#: Largest size of a group: consecutive walkers of a bucket that are ranked together in each epoch,
#: by decreasing fires. The rank determines which entries of the pool a walker reads. Devices
#: process a group in lockstep, in the order of the ranks. Walkers of adjacent ranks then fire
#: about equally often and read adjacent entries.
GROUP = 256
#: Group sizes are multiples of this, the number of lanes of the widest vectors.
GROUP_STEP = 16
#: Largest number of edges of one walker.
LONGEST_WALK = 256
#: If a head has several walkers, none moves it by more than this along an axis in one epoch. Start
#: positions span 10, so this only keeps sums within a number format; it does not limit layouts.
LONGEST_MOVE = 64.0

# --- negative samples -----------------------------------------------------------------------------

#: Entries of the largest and the smallest pool.
MAX_POOL = 1024
MIN_POOL = 256
#: One hash supplies the offsets of this many samples, with `SAMPLE_BITS` bits each.
SAMPLES_A_WORD = 5
SAMPLE_BITS = 12

# --- densities ------------------------------------------------------------------------------------

#: Added to every radius, so that the logarithm exists for coincident neighbours; as in umap-learn.
EPSILON = 1e-8
#: Sums over vertices are integer sums, whose order does not matter, in units of
#: ``2**-SUM_EXPONENT``. A log radius is below 90, so 2**31 of its squares stay below 2**63.
SUM_EXPONENT = 18
#: Limits of the two terms of a vertex and of the factor of the second term. With them no product
#: overflows float32.
MOST_TERM = 2.0**20
MOST_TERM_BY_RADIUS = 2.0**40
MOST_SLOPE = 2.0**30
