// Radii in the embedding and the terms computed from them, at the beginning of every epoch that
// preserves densities. umapcore_numba/layout/density.py describes both; the order is the same here.
#include "points.cuh"

// Sums over vertices are integers: 1.0 is so many units.
#define SUM_UNITS ((double)(1ull << SUM_EXPONENT))

// Number of tails that are loaded at a time.
#define TAILS_AT_ONCE (DIMENSIONS <= 4 ? 8 : DIMENSIONS <= 16 ? 2 : 1)

// Computes two sums for each of the walkers first_walker ... last_walker - 1: of phi and of phi d^2.
// `tails` begins with edge first_edge of the plan. Clears the totals, to which the next kernel adds.
KERNEL __launch_bounds__(256, 3)
measure_walkers(int64 first_walker, int64 last_walker, const int* heads, const int64* row_offsets,
                int64 first_edge, const int* tails, const float* positions, float b, float log2_a,
                float* sums, uint64* totals) {
  const int64 walker = first_walker + thread_number();
  if (thread_number() < 3) totals[thread_number()] = 0;
  if (walker >= last_walker) return;
  const Point home = load_point(positions, heads[walker]);
  const int64 end = row_offsets[walker + 1] - first_edge;
  float phi_sum = 0.0f, spread = 0.0f;
  for (int64 first = row_offsets[walker] - first_edge; first < end; first += TAILS_AT_ONCE) {
    Point there[TAILS_AT_ONCE];
#pragma unroll
    for (int i = 0; i < TAILS_AT_ONCE; i++) {
      const int tail = first + i < end ? tails[first + i] : heads[walker];
      there[i] = load_point(positions, tail);
    }
#pragma unroll
    for (int i = 0; i < TAILS_AT_ONCE; i++) {
      const float squared = squared_distance(home, there[i]);
      const float phi = membership(curve_power(squared, b, log2_a));
      if (first + i >= end) continue;
      phi_sum += phi;
      spread += phi * squared;
    }
  }
  sums[2 * walker] = phi_sum;
  sums[2 * walker + 1] = spread;
}

// Computes the log radii of the vertices and their totals, which do not depend on the number of
// threads. Each thread processes many vertices. The threads of a block add up their values in shared
// memory before the block adds to the totals. A vertex's sum of phi and its radius replace the sums
// of its first walker.
KERNEL log_radii(int64 n, const int64* first_walkers, float* sums, const float* radii, float* logs,
                 uint64* totals) {
  __shared__ uint64 of_block[3];
  for (int k = threadIdx.x; k < 3; k += blockDim.x) of_block[k] = 0;
  BLOCK_BARRIER();
  int64 of_logs = 0, of_squares = 0, of_products = 0;
  for (int64 i = thread_number(); i < n; i += (int64)gridDim.x * blockDim.x) {
    const int64 first = first_walkers[i], last = first_walkers[i + 1];
    float phi_sum = sums[2 * first], spread = sums[2 * first + 1];
    for (int64 w = first + 1; w < last; w++) {
      phi_sum += sums[2 * w];
      spread += sums[2 * w + 1];
    }
    if (!(phi_sum > 0.0f)) continue;
    const float ratio = spread / phi_sum;
    const float log_radius = 0.6931471805599453f * log2_of((float)EPSILON + ratio);
    sums[2 * first] = phi_sum;
    sums[2 * first + 1] = ratio;
    logs[i] = log_radius;
    const double exact = (double)log_radius;
    of_logs += (int64)(exact * SUM_UNITS);
    of_squares += (int64)(exact * exact * SUM_UNITS);
    of_products += (int64)(exact * (double)radii[i] * SUM_UNITS);
  }
  atomicAdd(&of_block[0], (uint64)of_logs);
  atomicAdd(&of_block[1], (uint64)of_squares);
  atomicAdd(&of_block[2], (uint64)of_products);
  BLOCK_BARRIER();
  for (int k = threadIdx.x; k < 3; k += blockDim.x) atomicAdd(&totals[k], of_block[k]);
}

DEVICE double within(double x, double limit) {
  const double low = x > -limit ? x : -limit;
  return low < limit ? low : limit;
}

// Computes the terms of the vertices; `counted` vertices have edges.
KERNEL weigh(int64 n, const int64* first_walkers, const float* sums, const float* radii,
             const float* logs, const uint64* totals, double strength, double shift,
             double counted, float* terms) {
  const int64 i = thread_number();
  if (i >= n) return;
  const double mean = (double)(int64)totals[0] / SUM_UNITS / counted;
  const double spread = (double)(int64)totals[1] / SUM_UNITS / counted - mean * mean;
  const double variance = (spread > 0.0 ? spread : 0.0) + shift;
  const int64 first = first_walkers[i];
  const double phi_sum = (double)sums[2 * first];
  if (!(variance > 0.0 && phi_sum > 0.0)) {
    terms[2 * i] = terms[2 * i + 1] = 0.0f;
    return;
  }
  const double others = counted - 1.0 > 1.0 ? counted - 1.0 : 1.0;
  const double slope = (double)(int64)totals[2] / SUM_UNITS / others / variance;
  const double factor = strength / sqrt(variance);
  const double weight = (double)radii[i] - slope * ((double)logs[i] - mean);
  const double term = factor * weight / (2.0 * phi_sum);
  const double by_radius = term / (EPSILON + (double)sums[2 * first + 1]);
  terms[2 * i] = (float)within(term, MOST_TERM);
  terms[2 * i + 1] = (float)within(by_radius, MOST_TERM_BY_RADIUS);
}
