// The walk of a bucket's heads, one walker a thread and one group of walkers a block.
//
// A walker takes its head along a row, one firing edge after another, seeing all other vertices as
// they stood when the bucket began. In each epoch the walkers of a group are ranked by how often
// they fire, so that the threads of a warp have equally much to do and read neighbouring entries of
// the pool.
//
// A walk either attracts only, or preserves densities too: then every edge has a second step, as
// umapcore_numba/density.py describes it. What only that needs is compiled away otherwise.
#pragma once
#include "pool.cuh"

// No product with a vertex' terms overflows below this slope of the curve; see umapcore/density.py.
#define MOST_SLOPE 1073741824.0f

// The fires of a walker, in the order of its row: 32 edges at a time are tested at once, which
// keeps many loads in flight and lets all threads of a warp work on a fire together.
struct Fires {
  int64 next, end;  // edges not tested yet
  int64 first;      // the edge that bit 0 of `fired` stands for
  uint32 fired;

  DEVICE_MEMBER void begin(int64 from, int64 to) {
    next = from;
    end = to;
    fired = 0;
  }

  // The next edge that fires, or -1.
  DEVICE_MEMBER int64 take(uint32 epoch, const uint32* rates) {
    while (fired == 0) {
      if (next >= end) return -1;
      first = next;
      next = first + 32 < end ? first + 32 : end;
      const int count = (int)(next - first);
#pragma unroll 4
      for (int i = 0; i < count; i++) {
        const uint32 rate = rates[first + i];
        fired |= (uint32)(epoch * rate < rate) << i;
      }
    }
    const int bit = __ffs((int)fired) - 1;
    fired &= fired - 1;
    return first + bit;
  }
};

// `density` is the step size in units of rates, which are weights times 2^32.
struct Forces {
  float b, log2_a, attraction, repulsion, limit, unit, density;
};

// The two terms that a vertex, or the two of an edge together, have in the gradient of densities.
struct Terms {
  float s, u;
};

DEVICE Terms load_terms(const float* terms, int64 place) {
  const float2 both = ((const float2*)terms)[place];
  return {both.x, both.y};
}

// Moves y towards a tail, and as densities want it; gives what the tail has to move, in whole units.
template <bool DENSITY>
DEVICE Units attract(Point& y, const Point& tail, const Forces& f, Terms terms, uint32 rate) {
  const float squared = squared_distance(y, tail);
  const float p = curve_power(squared, f.b, f.log2_a);
  const float slope = p * reciprocal(larger(squared, TINY) * (1.0f + p));
  const float coefficient = f.attraction * slope;
  float spread = 0.0f;
  if (DENSITY) {
    const float phi = reciprocal(1.0f + p);
    const float by_radius = (1.0f - f.b * (1.0f - phi)) * terms.u;
    const float by_phi = f.b * (smaller(slope, MOST_SLOPE) * terms.s);
    spread = f.density * (phi * reciprocal((float)rate)) * (by_radius + by_phi);
  }
  Units pull;
#pragma unroll UNROLLED
  for (int k = 0; k < DIMENSIONS; k++) {
    const float difference = y.x[k] - tail.x[k];
    float step = clipped(coefficient * difference, f.limit);
    if (DENSITY) step = step + clipped(spread * difference, f.limit);
    y.x[k] += step;
    pull.x[k] = -whole(step * f.unit);
  }
  return pull;
}

// How often a row fires in an epoch.
DEVICE int count_fires(int64 from, int64 to, uint32 epoch, const uint32* rates) {
  int count = 0;
#pragma unroll 4
  for (int64 e = from; e < to; e++) count += epoch * rates[e] < rates[e];
  return count;
}

// The samples of a bucket as one walker meets them.
struct Samples {
  const int* places;       // of the pool's entries
  const float* positions;  // of the pool's entries, or of all vertices
  uint32 turn, mask;
  int head;
};

// Moves y away from COUNT samples, all seen from where the head stands: their forces do not wait
// for one another. The lowest bits of `word` say which samples these are.
template <int COUNT>
DEVICE void repel(Point& y, const Point& stand, uint64 word, const Samples& samples,
                  const Forces& f) {
  Point other[COUNT];
  float coefficient[COUNT];
#pragma unroll
  for (int i = 0; i < COUNT; i++) {
    const uint32 entry = (samples.turn + (uint32)(word >> (SAMPLE_BITS * i))) & samples.mask;
    const int place = samples.places[entry];
    other[i] = load_point(samples.positions, POOL_IN_SHARED ? (int)entry : place);
    const float squared = squared_distance(stand, other[i]);
    const float p = curve_power(squared, f.b, f.log2_a);
    const float force = f.repulsion * reciprocal((NEAR + squared) * (1.0f + p));
    coefficient[i] = place == samples.head ? 0.0f : force;  // a vertex does not repel itself
  }
#pragma unroll
  for (int i = 0; i < COUNT; i++) {
#pragma unroll UNROLLED
    for (int k = 0; k < DIMENSIONS; k++)
      y.x[k] += clipped(coefficient[i] * (stand.x[k] - other[i].x[k]), f.limit);
  }
}

// Ends the walk of a head that several walkers share: it stays, and is moved by their mean move.
DEVICE void share_move(Pull* pulls, int head, const Point& y, const Point& home, int64 n_sharing,
                       float unit) {
  const float share = 1.0f / (float)n_sharing;
  Units move;
#pragma unroll UNROLLED
  for (int k = 0; k < DIMENSIONS; k++) {
    const float mean = clipped((y.x[k] - home.x[k]) * share, (float)LONGEST_MOVE * share);
    move.x[k] = whole(mean * unit);
  }
  add_pull(pulls, head, move);
}

// Walkers first_walker ... last_walker - 1 of a bucket whose first walker is bucket_walker and
// whose first place is bucket_start, in groups of group_size, at most a block. `tails` and `rates`
// begin with edge first_edge of the plan. With draws_pool every block draws the pool itself, which
// pays where there are few blocks. `terms` are the vertices', two each, and null without
// densities.
template <bool DENSITY>
DEVICE void walk_bucket(
    const int* __restrict__ epoch, const float* __restrict__ steps, uint64 seed, int bucket,
    int64 bucket_start, int64 bucket_walker, int64 first_walker, int64 last_walker, int group_size,
    const int64* __restrict__ first_walkers, const int* __restrict__ heads,
    const int64* __restrict__ row_offsets, int64 first_edge, const int* __restrict__ tails,
    const uint32* __restrict__ rates, const float* __restrict__ positions, float* walked,
    Pull* pulls, int64 n, int draws_pool, int pool_size, const int* __restrict__ pool_places,
    const float* __restrict__ pool, float b, float log2_a, float gamma, int n_samples, float unit,
    const float* __restrict__ terms) {
  const uint64 key = bucket_key(seed, *epoch, bucket);
  __shared__ int places[MOST_POOL];
#if POOL_IN_SHARED
  __shared__ __align__(16) float copies[MOST_POOL * DIMENSIONS];
#endif
  for (int entry = threadIdx.x; entry < pool_size; entry += blockDim.x) {
    const int place =
        draws_pool ? pool_place(key, entry, pool_size / 2, n) : pool_places[entry];
    places[entry] = place;
#if POOL_IN_SHARED
    store_point(copies, entry,
                draws_pool ? load_point(positions, place) : load_point(pool, entry));
#endif
  }
  const uint32 t = (uint32)*epoch;
  __shared__ int counts[WALK_THREADS];
  __shared__ int ranked[WALK_THREADS];
  const int thread = threadIdx.x;
  const int64 group = first_walker + (int64)blockIdx.x * group_size;
  const bool has_one = thread < group_size && group + thread < last_walker;
  counts[thread] = has_one ? count_fires(row_offsets[group + thread] - first_edge,
                                         row_offsets[group + thread + 1] - first_edge, t, rates)
                           : -1;
  BLOCK_BARRIER();

  int rank = 0;
  for (int other = 0; other < WALK_THREADS; other++) {
    rank += counts[other] > counts[thread] ||
            (counts[other] == counts[thread] && other < thread);
  }
  ranked[rank] = thread;
  BLOCK_BARRIER();

  // Threads without a walker have the last ranks.
  if (counts[ranked[thread]] < 0) return;
  const int64 walker = group + ranked[thread];
  const int head = heads[walker];
  const float alpha = steps[t];
  Forces forces;
  forces.b = b;
  forces.log2_a = log2_a;
  forces.attraction = -2.0f * b * alpha;
  forces.repulsion = 2.0f * gamma * b * alpha;
  forces.limit = CLIP * alpha;
  forces.unit = unit;
  forces.density = alpha * 4294967296.0f;

  const Point home = load_point(positions, head);
  Point y = home;
  const uint64 sample_key = mix64(~key);
  uint64 hashed = 0;
  Samples samples;
  samples.places = places;
#if POOL_IN_SHARED
  samples.positions = copies;
#else
  samples.positions = positions;
#endif
  samples.turn = (uint32)(group - bucket_walker + thread);
  samples.mask = (uint32)pool_size - 1;
  samples.head = head;

  Fires fires;
  fires.begin(row_offsets[walker] - first_edge, row_offsets[walker + 1] - first_edge);
  int64 edge = fires.take(t, rates);
  int tail = 0;
  uint32 rate = 0;
  Point there = home;
  const Terms own = DENSITY ? load_terms(terms, head) : Terms{0.0f, 0.0f};
  Terms theirs = own;
  if (edge >= 0) {
    tail = tails[edge];
    there = load_point(positions, tail);
    if (DENSITY) {
      theirs = load_terms(terms, tail);
      rate = rates[edge];
    }
  }
  while (edge >= 0) {
    // The next tail is fetched while this fire is worked on.
    const int this_tail = tail;
    const Point this_place = there;
    const Terms both = {own.s + theirs.s, own.u + theirs.u};
    const uint32 this_rate = rate;
    edge = fires.take(t, rates);
    if (edge >= 0) {
      tail = tails[edge];
      there = load_point(positions, tail);
      if (DENSITY) {
        theirs = load_terms(terms, tail);
        rate = rates[edge];
      }
    }

    add_pull(pulls, this_tail, attract<DENSITY>(y, this_place, forces, both, this_rate));

    const Point stand = y;
    for (int r = 0; r < n_samples; r += SAMPLES_A_WORD) {
      uint64 word = mix64(sample_key + hashed++);
      if (DIMENSIONS <= 4 && n_samples - r >= SAMPLES_A_WORD) {
        repel<SAMPLES_A_WORD>(y, stand, word, samples, forces);
        continue;
      }
      for (int i = r; i < n_samples && i < r + SAMPLES_A_WORD; i++, word >>= SAMPLE_BITS)
        repel<1>(y, stand, word, samples, forces);
    }
  }

  const int64 n_sharing = first_walkers[head + 1] - first_walkers[head];
  if (n_sharing == 1) {
    store_point(walked, head - bucket_start, y);
  } else {
    if (walker == first_walkers[head]) store_point(walked, head - bucket_start, home);
    share_move(pulls, head, y, home, n_sharing, unit);
  }
}
