// The walk of new heads among vertices that do not move, one head per thread.
//
// The vertices that a new head reads never move, so a thread runs all epochs of its head independently
// of other threads. It goes from fire to fire across epochs: the threads of a warp process one fire
// each at the same time, even if their epochs differ.
#include "points.cuh"

// The current fire of a head.
struct Cursor {
  int epoch, edge;
};

// Moves the cursor to the first fire at or after it. The epoch n_epochs means that there is none.
DEVICE void find_fire(Cursor& at, const uint32* rates, int k, int n_epochs) {
  for (; at.epoch < n_epochs; at.epoch++, at.edge = 0) {
    for (; at.edge < k; at.edge++) {
      const uint32 rate = rates[at.edge];
      if ((uint32)at.epoch * rate < rate) return;
    }
  }
}

// Moves y by coefficient * (stand - other), each coordinate clipped to `limit`.
DEVICE void move(Point& y, const Point& stand, const Point& other, float coefficient,
                 float limit) {
#pragma unroll UNROLLED
  for (int c = 0; c < DIMENSIONS; c++)
    y.x[c] += clipped(coefficient * (stand.x[c] - other.x[c]), limit);
}

// Moves y away from COUNT samples. All forces are computed at `stand`: the samples are loaded together,
// and no force waits for another. A hash yields two samples, the first from its upper half.
template <int COUNT>
DEVICE void repel(Point& y, const Point& stand, uint64& counter, const float* reference,
                  int64 n_reference, float b, float log2_a, float factor, float limit) {
  Point others[COUNT];
  float coefficients[COUNT];
  uint64 word = 0;
#pragma unroll
  for (int i = 0; i < COUNT; i++) {
    if (i % 2 == 0) word = mix64(counter++);
    const uint64 half = i % 2 == 0 ? word >> 32 : word & 0xFFFFFFFFull;
    others[i] = load_point(reference, (int64)((half * (uint64)n_reference) >> 32));
  }
#pragma unroll
  for (int i = 0; i < COUNT; i++) {
    const float squared = squared_distance(stand, others[i]);
    const float p = curve_power(squared, b, log2_a);
    coefficients[i] = factor * repulsion(squared, p);
  }
#pragma unroll
  for (int i = 0; i < COUNT; i++) move(y, stand, others[i], coefficients[i], limit);
}

// Number of samples that are processed at a time; it uses up whole hashes.
#define AT_ONCE (DIMENSIONS <= 4 ? 6 : DIMENSIONS <= 10 ? 4 : 2)
#define REST (N_SAMPLES % AT_ONCE)
// Minimum number of blocks per multiprocessor.
#define BLOCKS (DIMENSIONS <= 10 ? 3 : 2)

// Places the heads 0 ... n - 1, with k neighbours each. `positions` holds their start, then their end.
KERNEL __launch_bounds__(256, BLOCKS)
transform(int64 n, int k, int n_epochs, const int* __restrict__ tails,
          const uint32* __restrict__ rates, const uint64* __restrict__ keys,
          const float* __restrict__ reference, int64 n_reference, const float* __restrict__ steps,
          float b, float log2_a, float gamma, float* positions) {
  const int64 head = thread_number();
  if (head >= n) return;
  tails += head * k;
  rates += head * k;
  Point y = load_point(positions, head);
  uint64 counter = keys[head];
  Cursor at = {1, 0};
  find_fire(at, rates, k, n_epochs);
  Point there = y;
  if (at.epoch < n_epochs) there = load_point(reference, tails[at.edge]);
  while (at.epoch < n_epochs) {
    // The next tail is loaded while this fire is processed.
    const Point tail = there;
    const float alpha = steps[at.epoch];
    const float limit = CLIP * alpha;
    at.edge++;
    find_fire(at, rates, k, n_epochs);
    if (at.epoch < n_epochs) there = load_point(reference, tails[at.edge]);

    const float squared = squared_distance(y, tail);
    const float p = curve_power(squared, b, log2_a);
    move(y, y, tail, -2.0f * b * alpha * attraction(squared, p), limit);

    const Point stand = y;
    const float factor = 2.0f * gamma * b * alpha;
    for (int r = 0; r < N_SAMPLES / AT_ONCE; r++)
      repel<AT_ONCE>(y, stand, counter, reference, n_reference, b, log2_a, factor, limit);
    if (REST > 0)
      repel<(REST > 0 ? REST : 1)>(y, stand, counter, reference, n_reference, b, log2_a, factor,
                                   limit);
  }
  store_point(positions, head, y);
}
