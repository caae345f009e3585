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

// Heads 0 ... n - 1 of k neighbours each; positions are where they start and where they end.
KERNEL __launch_bounds__(256)
place(int64 n, int k, int n_epochs, const int* __restrict__ tails,
      const uint32* __restrict__ rates, const uint64* __restrict__ keys,
      const float* __restrict__ reference, int64 n_reference, const float* __restrict__ steps,
      float b, float log2_a, float gamma, int n_samples, float* positions) {
  const int64 head = thread_number();
  if (head >= n) return;
  tails += head * k;
  rates += head * k;
  Point y = load_point(positions, head);
  uint64 counter = keys[head];
  Cursor at = {1, 0};
  for (find_fire(at, rates, k, n_epochs); at.epoch < n_epochs;
       at.edge++, find_fire(at, rates, k, n_epochs)) {
    const float alpha = steps[at.epoch];
    const float limit = CLIP * alpha;
    {
      const Point tail = load_point(reference, tails[at.edge]);
      const float squared = squared_distance(y, tail);
      const float p = curve_power(squared, b, log2_a);
      const float force = p * reciprocal(larger(squared, TINY) * (1.0f + p));
      move(y, y, tail, -2.0f * b * alpha * force, limit);
    }
    const Point stand = y;
    uint64 word = 0;
    for (int r = 0; r < n_samples; r++) {
      // A hash gives two samples, the first by its upper half.
      if (r % 2 == 0) word = mix64(counter++);
      const uint64 half = r % 2 == 0 ? word >> 32 : word & 0xFFFFFFFFull;
      const Point other = load_point(reference, (int64)((half * (uint64)n_reference) >> 32));
      const float squared = squared_distance(stand, other);
      const float p = curve_power(squared, b, log2_a);
      const float force = reciprocal((NEAR + squared) * (1.0f + p));
      move(y, stand, other, 2.0f * gamma * b * alpha * force, limit);
    }
  }
  store_point(positions, head, y);
}
