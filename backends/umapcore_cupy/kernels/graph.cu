// Checks of a graph that is already on the device. If one fails, the host prepares the graph.
#include "cuda.cuh"

#define BAD_WEIGHT 1
#define OUT_OF_RANGE 2
#define ZERO_OR_LOOP 4
#define UNSORTED 8
#define ASYMMETRIC 16

KERNEL widen(int64 count, const int* narrow, int64* wide) {
  const int64 i = thread_number();
  if (i < count) wide[i] = narrow[i];
}

// Checks that row offsets rise from 0 to the number of edges, that columns are vertices and rise
// within a row, and that weights are finite and above 0.
KERNEL inspect_rows(int64 n, int64 n_edges, const int64* indptr, const int* indices,
                    const float* weights, int* found) {
  const int64 vertex = thread_number();
  if (vertex >= n) return;
  const int64 begin = indptr[vertex], end = indptr[vertex + 1];
  int flags = 0;
  if ((vertex == 0 && begin != 0) || (vertex == n - 1 && end != n_edges) || begin > end ||
      begin < 0 || end > n_edges) {
    atomicOr(found, OUT_OF_RANGE);
    return;
  }
  int64 previous = -1;
  for (int64 e = begin; e < end; e++) {
    const int64 tail = indices[e];
    const float weight = weights[e];
    if (tail < 0 || tail >= n) flags |= OUT_OF_RANGE;
    if (tail <= previous) flags |= UNSORTED;
    if (tail == vertex || weight == 0.0f) flags |= ZERO_OR_LOOP;
    if (!(weight >= 0.0f && weight <= 3.4028234e38f)) flags |= BAD_WEIGHT;
    previous = tail;
  }
  if (flags) atomicOr(found, flags);
}

// Checks that every edge has a mirror of equal weight. Only for rows that inspect_rows accepted.
KERNEL inspect_mirrors(int64 n, const int64* indptr, const int* indices, const float* weights,
                       int* found) {
  const int64 vertex = thread_number();
  if (vertex >= n) return;
  for (int64 e = indptr[vertex]; e < indptr[vertex + 1]; e++) {
    const int tail = indices[e];
    int64 low = indptr[tail], high = indptr[tail + 1];
    while (low < high) {
      const int64 middle = low + (high - low) / 2;
      if (indices[middle] < vertex)
        low = middle + 1;
      else
        high = middle;
    }
    if (low == indptr[tail + 1] || indices[low] != vertex || weights[low] != weights[e]) {
      atomicOr(found, ASYMMETRIC);
      return;
    }
  }
}
