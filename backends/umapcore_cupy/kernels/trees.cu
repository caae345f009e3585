// Random trees, level by level: see umapcore/neighbors/trees.py. A level has nodes, ranges of `order`
// (null: the points in their own order). Values are compared as integers in the same order.
#include "floats.cuh"
#include "pairs.cuh"

// The node of a place.
DEVICE int64 node_of(int64 n_nodes, const int64* bounds, int64 place) {
  int64 low = 0, high = n_nodes;
  while (high - low > 1) {
    const int64 middle = (low + high) / 2;
    if (bounds[middle] <= place)
      low = middle;
    else
      high = middle;
  }
  return low;
}

// The difference of two random points of every node, one coordinate per thread.
KERNEL choose_directions(int64 n_nodes, const float* rows, int64 stride, const int* order,
                         const int64* bounds, uint64 key, float* directions) {
  const int64 i = thread_number();
  if (i >= n_nodes * stride) return;
  const int64 node = i / stride, coordinate = i - node * stride;
  const int64 first = bounds[node];
  const uint64 m = (uint64)(bounds[node + 1] - first);
  const uint64 draw = mix64(mix64(key) + (uint64)node);
  const int64 a = number_at(order, first + (int64)(draw % m));
  const int64 b = number_at(order, first + (int64)(mix64(draw) % m));
  directions[i] = rows[a * stride + coordinate] - rows[b * stride + coordinate];
}

// Products of the points with the directions of their nodes, as integers, and keys that sort them
// within their nodes.
KERNEL project(int64 n, int64 n_nodes, const float* __restrict__ rows, int64 stride,
               const int* __restrict__ order, const int64* __restrict__ bounds,
               const float* __restrict__ directions, uint32* values, uint64* keys) {
  const int64 place = thread_number();
  if (place >= n) return;
  const int64 node = node_of(n_nodes, bounds, place);
  const float value =
      product(rows + number_at(order, place) * stride, directions + node * stride, stride);
  uint32 bits = (uint32)__float_as_int(value);
  if (bits == 0x80000000u) bits = 0;  // -0 equals 0
  bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  values[place] = bits;
  keys[place] = (uint64)node << 32 | bits;
}

// From the sorted keys: the value at which every node is divided, and how many points with that very
// value go left. All points of a leaf go left.
KERNEL find_pivots(int64 n_nodes, const int64* bounds, const int64* middles, const uint64* keys,
                   uint32* pivots, int* quotas) {
  const int64 node = thread_number();
  if (node >= n_nodes) return;
  const int64 middle = middles[node];
  if (middle == bounds[node + 1]) {
    pivots[node] = 0xFFFFFFFFu;
    quotas[node] = 0;
    return;
  }
  const uint64 key = keys[middle];
  int64 low = bounds[node], high = middle;  // the first place of the key is one of these
  while (low < high) {
    const int64 half = (low + high) / 2;
    if (keys[half] < key)
      low = half + 1;
    else
      high = half;
  }
  pivots[node] = (uint32)key;
  quotas[node] = (int)(middle - low);
}

// For every place, from index 1 on, whether the value is less than the pivot, and, in the upper half,
// whether it is equal; running sums follow.
KERNEL count_sides(int64 n, int64 n_nodes, const int64* bounds, const uint32* values,
                   const uint32* pivots, int64* sides) {
  const int64 place = thread_number();
  if (place >= n) return;
  const uint32 pivot = pivots[node_of(n_nodes, bounds, place)];
  sides[place + 1] = (int64)(values[place] < pivot) + ((int64)(values[place] == pivot) << 32);
  if (place == 0) sides[0] = 0;
}

// Moves the points to the sides of their nodes; their order on either side does not change.
KERNEL divide(int64 n, int64 n_nodes, const int64* bounds, const int64* middles, const int* order,
              const uint32* values, const uint32* pivots, const int* quotas, const int64* sides,
              int* out) {
  const int64 place = thread_number();
  if (place >= n) return;
  const int64 node = node_of(n_nodes, bounds, place), first = bounds[node];
  const int64 before = sides[place] - sides[first], equal = before >> 32, quota = quotas[node];
  const int64 left = (before & 0xFFFFFFFFll) + (equal < quota ? equal : quota);
  const uint32 value = values[place], pivot = pivots[node];
  const bool goes_left = value < pivot || (value == pivot && equal < quota);
  const int64 target = goes_left ? first + left : middles[node] + (place - first - left);
  out[target] = (int)number_at(order, place);
}

// Rows in another order, four coordinates per thread.
KERNEL gather_rows(int64 n, const float* rows, int64 stride, const int* order, float* out) {
  const int64 quarters = stride / 4, i = thread_number();
  if (i >= n * quarters) return;
  const int64 place = i / quarters, within = (i - place * quarters) * 4;
  *(float4*)(out + place * stride + within) =
      load4(rows + number_at(order, place) * stride + within);
}
