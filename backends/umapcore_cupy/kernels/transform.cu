// The walk of new heads among vertices that stay where they are, one head a thread.
//
// Nothing that a new head sees ever moves, so a thread takes its head through all epochs, whatever
// the others do. Its fires follow one another across epochs: the threads of a warp are at one fire
// together, each in an epoch of its own.
#include "points.cuh"

// Where a head is among its fires.
struct Cursor {
  int epoch, edge;
};

// Moves on to the first fire from the cursor on; the epoch n_epochs says that there is none.
DEVICE void find_fire(Cursor& at, const uint32* rates, int k, int n_epochs) {
  for (; at.epoch < n_epochs; at.epoch++, at.edge = 0) {
    for (; at.edge < k; at.edge++) {
      const uint32 rate = rates[at.edge];
      if ((uint32)at.epoch * rate < rate) return;
    }
  }
}

// Moves y by a force of which `coefficient` is a share, felt where the head stands.
DEVICE void move(Point& y, const Point& stand, const Point& other, float coefficient,
                 float limit) {
#pragma unroll UNROLLED
  for (int c = 0; c < DIMENSIONS; c++)
    y.x[c] += clipped(coefficient * (stand.x[c] - other.x[c]), limit);
}

// Moves y away from COUNT samples, all seen from where the head stands: they are fetched together,
// and their forces do not wait for one another. A hash gives two, the first by its upper half.
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

// Samples that are worked on at once: whole hashes.
#define AT_ONCE (DIMENSIONS <= 4 ? 6 : DIMENSIONS <= 10 ? 4 : 2)
#define REST (N_SAMPLES % AT_ONCE)
// Blocks that a multiprocessor holds at least.
#define BLOCKS (DIMENSIONS <= 10 ? 3 : 2)

// Heads 0 ... n - 1 of k neighbours each; positions are where they start and where they end.
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
    // The next tail is fetched while this fire is worked on.
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
