// The walk of a bucket's heads: one walker per thread and one group of walkers per block.
//
// A walker moves its head along a row, one firing edge after another. It reads all other vertices at
// the positions they had when the bucket began. In each epoch the walkers of a group are ranked by how
// often they fire, so that the threads of a warp have a similar amount of work and read neighbouring
// entries of the pool.
//
// A walk can preserve densities (DENSITY). Then every edge has a second step, which
// umapcore_numba/layout/density.py describes. Otherwise the code for it is compiled away.
#pragma once
#include "pool.cuh"

// Minimum number of blocks of a walk per multiprocessor. Without it, the compiler saves registers for
// more blocks, and the forces of the samples wait for one another.
#define WALK_BLOCKS (DIMENSIONS <= 4 ? 3 : 2)

// A row of a walker has at most LONGEST_WALK edges. Bits say which of them fire, 32 edges per word, for
// all walkers of a group: word w of a thread is masks[w * WALK_THREADS + thread]. The first edge has
// the highest bit, which is faster to find than the lowest.
#define MASKS ((LONGEST_WALK + 31) / 32)

// Tests which edges of a row fire, stores their bits and returns their number. The loads of a word
// overlap.
DEVICE int test_edges(uint32 epoch, const uint32* rates, int n_edges, uint32* masks) {
  int count = 0;
  for (int first = 0; first < n_edges; first += 32) {
    uint32 fired = 0;
#pragma unroll
    for (int i = 0; i < 32; i++) {
      const uint32 rate = first + i < n_edges ? rates[first + i] : 0;
      fired |= (uint32)(epoch * rate < rate) << (31 - i);
    }
    masks[first / 32 * WALK_THREADS] = fired;
    count += __popc(fired);
  }
  return count;
}

// The fires of a walker, in the order of its row.
struct Fires {
  const uint32* masks;
  int word, n_words;
  uint32 fired;

  DEVICE_MEMBER void begin(const uint32* kept, int n_edges) {
    masks = kept;
    word = -1;
    n_words = (n_edges + 31) / 32;
    fired = 0;
  }

  // Number within the row of the next edge that fires, or -1.
  DEVICE_MEMBER int take() {
    while (fired == 0) {
      if (++word >= n_words) return -1;
      fired = masks[word * WALK_THREADS];
    }
    const int bit = __clz((int)fired);
    fired ^= 0x80000000u >> bit;
    return word * 32 + bit;
  }
};

// Returns the rank of this thread's key, the largest first. Keys are unique. They are sorted in parts
// of 32, and then every thread searches each part for its own key. Both arrays are scratch.
DEVICE int rank_of(int key, int* keys, int* sorted) {
  const int thread = threadIdx.x, own_part = thread / 32 * 32;
  keys[thread] = key;
  BLOCK_BARRIER();
  int place = own_part;
#pragma unroll
  for (int i = 0; i < 32; i++) place += keys[own_part + i] > key;
  sorted[place] = key;
  BLOCK_BARRIER();
  int rank = 0;
#pragma unroll
  for (int part = 0; part < WALK_THREADS; part += 32) {
    int larger_ones = 0;
#pragma unroll
    for (int step = 16; step > 0; step /= 2)
      larger_ones += sorted[part + larger_ones + step - 1] > key ? step : 0;
    rank += larger_ones + (sorted[part + larger_ones] > key);
  }
  return rank;
}

// `density` is the step size in units of rates, which are weights times 2^32.
struct Forces {
  float b, log2_a, attraction, repulsion, limit, unit, density;
};

// The two terms of a vertex in the gradient of densities, or their sums over the two ends of an edge.
struct Terms {
  float s, u;
};

DEVICE Terms load_terms(const float* terms, int64 place) {
  const float2 both = ((const float2*)terms)[place];
  return {both.x, both.y};
}

// Does the same as `clipped` in two instructions instead of four. It may return a zero of the other
// sign. Added to a position this makes no difference, because no position is -0.
DEVICE float bounded(float x, float limit) { return fminf(fmaxf(x, -limit), limit); }

// Moves y towards a tail, and by the density step. Returns the tail's pull in whole units.
template <bool DENSITY>
DEVICE Units attract(Point& y, const Point& tail, const Forces& f, Terms terms, uint32 rate) {
  const float squared = squared_distance(y, tail);
  const float p = curve_power(squared, f.b, f.log2_a);
  const float slope = attraction(squared, p);
  const float coefficient = f.attraction * slope;
  float spread = 0.0f;
  if (DENSITY) {
    const float phi = membership(p);
    const float by_radius = (1.0f - f.b * (1.0f - phi)) * terms.u;
    const float by_phi = f.b * (smaller(slope, MOST_SLOPE) * terms.s);
    spread = f.density * (phi * reciprocal((float)rate)) * (by_radius + by_phi);
  }
  Units pull;
#pragma unroll UNROLLED
  for (int k = 0; k < DIMENSIONS; k++) {
    const float difference = y.x[k] - tail.x[k];
    float step = bounded(coefficient * difference, f.limit);
    if (DENSITY) step = step + bounded(spread * difference, f.limit);
    y.x[k] += step;
    pull.x[k] = -whole(step * f.unit);
  }
  return pull;
}

// The negative samples of a bucket, as one walker uses them.
struct Samples {
  const int* places;       // of the pool's entries
  const float* positions;  // of the pool's entries, or of all vertices
  uint32 turn, mask;
  int head;
};

// Samples that are processed at a time: those whose offsets are in one word, or fewer if the registers
// of a walk cannot hold more.
#define TOGETHER (DIMENSIONS <= 10 ? SAMPLES_A_WORD : 1)
#define FIRST_SAMPLES (N_SAMPLES < TOGETHER ? N_SAMPLES : TOGETHER)

template <int COUNT>
struct Drawn {
  Point points[COUNT];
  bool own[COUNT];  // the head itself
};

// Loads the samples that the lowest bits of `word` select.
template <int COUNT>
DEVICE Drawn<COUNT> draw(uint64 word, const Samples& samples) {
  Drawn<COUNT> drawn;
#pragma unroll
  for (int i = 0; i < COUNT; i++) {
    const uint32 entry = (samples.turn + (uint32)(word >> (SAMPLE_BITS * i))) & samples.mask;
    const int place = samples.places[entry];
    drawn.points[i] = load_point(samples.positions, POOL_IN_SHARED ? (int)entry : place);
    drawn.own[i] = place == samples.head;
  }
  return drawn;
}

// Moves y away from samples. All forces are computed at `stand`, so no force waits for another.
template <int COUNT>
DEVICE void repel(Point& y, const Point& stand, const Drawn<COUNT>& drawn, const Forces& f) {
  float coefficient[COUNT];
#pragma unroll
  for (int i = 0; i < COUNT; i++) {
    const float squared = squared_distance(stand, drawn.points[i]);
    const float p = curve_power(squared, f.b, f.log2_a);
    const float force = f.repulsion * repulsion(squared, p);
    coefficient[i] = drawn.own[i] ? 0.0f : force;  // a vertex does not repel itself
  }
#pragma unroll
  for (int i = 0; i < COUNT; i++) {
#pragma unroll UNROLLED
    for (int k = 0; k < DIMENSIONS; k++)
      y.x[k] += bounded(coefficient[i] * (stand.x[k] - drawn.points[i].x[k]), f.limit);
  }
}

// Ends the walk of a head that several walkers share: the head gets their mean move as a pull.
DEVICE void share_move(Pull* pulls, int head, const Point& y, const Point& home, int64 n_sharing,
                       float unit) {
  // There are fewer than 2^23 walkers, so the last bit of the number's significand is 0.
  const float share = rounded_reciprocal((float)n_sharing);
  Units move;
#pragma unroll UNROLLED
  for (int k = 0; k < DIMENSIONS; k++) {
    const float mean = clipped((y.x[k] - home.x[k]) * share, (float)LONGEST_MOVE * share);
    move.x[k] = whole(mean * unit);
  }
  add_pull(pulls, head, move);
}

// What a walk reads and writes, except for its bucket and epoch. `tails` and `rates` begin with edge
// first_edge of the plan. `terms` has two entries per vertex and is null without densities. If `pool`
// is null, every block draws the pool itself, which is faster if there are few blocks.
struct Walk {
  uint64 seed;
  const float* steps;
  const int64* first_walkers;
  const int* heads;
  const int64* row_offsets;
  int64 first_edge;
  const int* tails;
  const uint32* rates;
  const float* positions;
  float* walked;
  Pull* pulls;
  int64 n;
  int pool_size;
  const int* pool_places;
  const float* pool;
  float b, log2_a, gamma, unit;
  const float* terms;
};

// What the walkers of a group share. `heads`, `starts` (where rows begin, relative to the first row)
// and `masks` (which edges fire) have one entry per walker, in the order before ranking.
struct Shared {
  int* places;    // of the pool's entries
  float* copies;  // of their positions, if these fit
  int* heads;
  int* starts;
  uint32* masks;
};

// Copies the pool of a bucket, or draws it.
DEVICE void fetch_pool(uint64 key, const Walk& w, const Shared& shared) {
  const int half = w.pool_size / 2;
  const bool draws = w.pool == nullptr;
#pragma unroll 2
  for (int entry = threadIdx.x; entry < half; entry += WALK_THREADS) {
    const PoolPair drawn = draws ? pool_pair(key, entry, w.n)
                                 : PoolPair{w.pool_places[entry], w.pool_places[entry + half]};
    shared.places[entry] = drawn.first;
    shared.places[entry + half] = drawn.second;
#if POOL_IN_SHARED
    const float* from = draws ? w.positions : w.pool;
    const Point first = load_point(from, draws ? drawn.first : entry);
    const Point second = load_point(from, draws ? drawn.second : entry + half);
    store_point(shared.copies, entry, first);
    store_point(shared.copies, entry + half, second);
#endif
  }
}

// Moves the head of walker group + own along its row. `turn` decides which samples it uses first.
template <bool DENSITY>
DEVICE void walk_head(const Walk& w, const Shared& shared, uint32 epoch, uint64 key, int64 group,
                      int64 first_row, int own, uint32 turn, int64 bucket_start) {
  const int head = shared.heads[own];
  const float alpha = w.steps[epoch];
  Forces forces;
  forces.b = w.b;
  forces.log2_a = w.log2_a;
  forces.attraction = -2.0f * w.b * alpha;
  forces.repulsion = 2.0f * w.gamma * w.b * alpha;
  forces.limit = CLIP * alpha;
  forces.unit = w.unit;
  forces.density = alpha * 4294967296.0f;

  const Point home = load_point(w.positions, head);
  Point y = home;
  [[maybe_unused]] uint64 sample_key = mix64(~key);
  KEEP(sample_key);
  [[maybe_unused]] uint64 hashed = 0;
  Samples samples;
  samples.places = shared.places;
  samples.positions = POOL_IN_SHARED ? shared.copies : w.positions;
  samples.turn = turn;
  samples.mask = (uint32)w.pool_size - 1;
  samples.head = head;

  const int* const row_tails = w.tails + (first_row + shared.starts[own]);
  const uint32* const row_rates = w.rates + (first_row + shared.starts[own]);
  Fires fires;
  fires.begin(shared.masks + own, shared.starts[own + 1] - shared.starts[own]);
  const Terms own_terms = DENSITY ? load_terms(w.terms, head) : Terms{0.0f, 0.0f};
  // While a fire is processed, two things are loaded: the position of the next fire's tail, and the
  // tail of the fire after that. If there is no such fire, the loaded value is not used.
  int fire = fires.take(), after = -1, tail = head, tail_after = head;
  Point there = home;
  Terms theirs = own_terms;
  uint32 rate = 0;
  if (fire >= 0) {
    tail = row_tails[fire];
    after = fires.take();
    tail_after = row_tails[after < 0 ? fire : after];
    there = load_point(w.positions, tail);
    if (DENSITY) {
      theirs = load_terms(w.terms, tail);
      rate = row_rates[fire];
    }
  }
  while (fire >= 0) {
    const int this_tail = tail;
    const Point this_place = there;
    const Terms both = {own_terms.s + theirs.s, own_terms.u + theirs.u};
    const uint32 this_rate = rate;
    fire = after;
    tail = tail_after;
    there = load_point(w.positions, tail);
    if (DENSITY) {
      theirs = load_terms(w.terms, tail);
      rate = row_rates[fire < 0 ? 0 : fire];
    }
    after = fires.take();
    tail_after = row_tails[after < 0 ? 0 : after];

    // The first samples are drawn early: loading them does not wait for the attraction.
#if N_SAMPLES > 0
    uint64 word = mix64(sample_key + hashed++);
    const Drawn<FIRST_SAMPLES> first_drawn = draw<FIRST_SAMPLES>(word, samples);
#endif
    add_pull(w.pulls, this_tail, attract<DENSITY>(y, this_place, forces, both, this_rate));
#if N_SAMPLES > 0
    const Point stand = y;
    repel<FIRST_SAMPLES>(y, stand, first_drawn, forces);
    for (int drawn = FIRST_SAMPLES; drawn < N_SAMPLES;) {
      const int within = drawn % SAMPLES_A_WORD;
      if (within == 0) word = mix64(sample_key + hashed++);
      if (within == 0 && TOGETHER == SAMPLES_A_WORD && N_SAMPLES - drawn >= SAMPLES_A_WORD) {
        repel<TOGETHER>(y, stand, draw<TOGETHER>(word, samples), forces);
        drawn += TOGETHER;
      } else {
        repel<1>(y, stand, draw<1>(word >> (SAMPLE_BITS * within), samples), forces);
        drawn += 1;
      }
    }
#endif
  }

  const int64 n_sharing = w.first_walkers[head + 1] - w.first_walkers[head];
  if (n_sharing == 1) {
    store_point(w.walked, head - bucket_start, y);
  } else {
    if (group + own == w.first_walkers[head]) store_point(w.walked, head - bucket_start, home);
    share_move(w.pulls, head, y, home, n_sharing, w.unit);
  }
}

// Runs the walkers group ... group + n_walkers - 1, at most one per thread of the block. The first
// walker of their bucket is bucket_walker, and its first place is bucket_start.
template <bool DENSITY>
DEVICE void walk_group(const Walk& w, uint32 epoch, int bucket, int64 bucket_start,
                       int64 bucket_walker, int64 group, int n_walkers) {
  __shared__ int places[MAX_POOL];
#if POOL_IN_SHARED
  __shared__ __align__(16) float copies[MAX_POOL * DIMENSIONS];
#else
  float* const copies = nullptr;
#endif
  __shared__ uint32 masks[MASKS * WALK_THREADS];
  __shared__ int keys[WALK_THREADS], sorted[WALK_THREADS], ranked[WALK_THREADS];
  __shared__ int heads[WALK_THREADS], starts[WALK_THREADS + 1];
  const Shared shared = {places, copies, heads, starts, masks};

  const uint64 key = bucket_key(w.seed, (int)epoch, bucket);
  const int thread = threadIdx.x;
  const int64 first_row = w.row_offsets[group] - w.first_edge;
  int count = -1;  // threads without a walker have the last ranks
  if (thread < n_walkers) {
    heads[thread] = w.heads[group + thread];
    const int64 from = w.row_offsets[group + thread] - w.first_edge;
    const int n_edges = (int)(w.row_offsets[group + thread + 1] - w.first_edge - from);
    starts[thread] = (int)(from - first_row);
    if (thread == n_walkers - 1) starts[n_walkers] = starts[thread] + n_edges;
    count = test_edges(epoch, w.rates + from, n_edges, masks + thread);
  }
  fetch_pool(key, w, shared);
  // Among threads with equally many fires, the first one has the largest key.
  const int rank = rank_of(count * WALK_THREADS + (WALK_THREADS - 1 - thread), keys, sorted);
  ranked[rank] = thread;
  BLOCK_BARRIER();
  if (thread < n_walkers)
    walk_head<DENSITY>(w, shared, epoch, key, group, first_row, ranked[thread],
                       (uint32)(group - bucket_walker + thread), bucket_start);
}

// A launch runs the walkers first_walker ... last_walker - 1 of a bucket, one group per block.
template <bool DENSITY>
DEVICE void walk_groups(const Walk& w, uint32 epoch, int bucket, int64 bucket_start,
                        int64 bucket_walker, int64 first_walker, int64 last_walker,
                        int group_size) {
  const int64 group = first_walker + (int64)blockIdx.x * group_size;
  const int64 left = last_walker - group;
  walk_group<DENSITY>(w, epoch, bucket, bucket_start, bucket_walker, group,
                      left < group_size ? (int)left : group_size);
}
