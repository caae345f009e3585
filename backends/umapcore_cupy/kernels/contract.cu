// From pairs of vertices to the graph of aggregates.
#include "cuda.cuh"

KERNEL mark_roots(int64 n, const int* root, int64* marks) {
  const int64 vertex = thread_number();
  if (vertex < n) marks[vertex] = root[vertex] == vertex;
}

// `numbers` are the running sums of the marks. Keys sort vertices by aggregate, then by number.
KERNEL number_aggregates(int64 n, const int* root, const int64* numbers, int* coarse,
                         uint64* keys) {
  const int64 vertex = thread_number();
  if (vertex >= n) return;
  coarse[vertex] = (int)(numbers[root[vertex]] - 1);
  keys[vertex] = (uint64)coarse[vertex] << 32 | (uint64)vertex;
}

KERNEL group(int64 n, int64 n_coarse, const uint64* keys, int64* offsets, int* members) {
  const int64 place = thread_number();
  if (place >= n) return;
  members[place] = (int)(keys[place] & 0xFFFFFFFFu);
  const int64 aggregate = (int64)(keys[place] >> 32);
  if (place == 0 || (int64)(keys[place - 1] >> 32) != aggregate) offsets[aggregate] = place;
  if (place == 0) offsets[n_coarse] = n;
}

// Degrees of aggregates, and how many edges their members have, from index 1 on.
KERNEL add_members(int64 n_coarse, const int64* offsets, const int* members, const double* degrees,
                   const int64* indptr, double* sums, int64* lengths) {
  const int64 aggregate = thread_number();
  if (aggregate >= n_coarse) return;
  double total = 0.0;
  int64 length = 0;
  for (int64 m = offsets[aggregate]; m < offsets[aggregate + 1]; m++) {
    total += degrees[members[m]];
    length += indptr[members[m] + 1] - indptr[members[m]];
  }
  sums[aggregate] = total;
  lengths[aggregate + 1] = length;
  if (aggregate == 0) lengths[0] = 0;
}

// Edges between aggregates, in the order in which the members' edges first meet them, summed in
// float64 in that order. Where a neighbour was written is found by a hash table of twice as many
// places as there are edges: `table`, which starts as 0, holds numbers within the row, plus 1. Rows
// begin where those of the members would, and counts are written from index 1 on.
KERNEL contract(int64 n_coarse, const int64* offsets, const int* members, const int* coarse,
                const int64* indptr, const int* indices, const float* weights,
                const int64* starts, uint32* table, int* out_indices, double* out_weights,
                int64* counts) {
  const int64 aggregate = thread_number();
  if (aggregate >= n_coarse) return;
  const int64 start = starts[aggregate];
  const uint64 size = 2 * (uint64)(starts[aggregate + 1] - start);
  uint32* const places = table + 2 * start;
  uint32 used = 0;
  for (int64 m = offsets[aggregate]; m < offsets[aggregate + 1]; m++) {
    const int64 vertex = members[m];
    for (int64 e = indptr[vertex]; e < indptr[vertex + 1]; e++) {
      const int other = coarse[indices[e]];
      if (other == aggregate) continue;
      uint64 at = ((uint64)((uint32)other * 2654435769u) * size) >> 32;
      while (places[at] != 0 && out_indices[start + places[at] - 1] != other) {
        at = at + 1 < size ? at + 1 : 0;
      }
      if (places[at] == 0) {
        out_indices[start + used] = other;
        out_weights[start + used] = (double)weights[e];
        used += 1;
        places[at] = used;
      } else {
        out_weights[start + places[at] - 1] += (double)weights[e];
      }
    }
  }
  counts[aggregate + 1] = used;
  if (aggregate == 0) counts[0] = 0;
}

KERNEL pack_rows(int64 n_coarse, const int64* starts, const int* loose_indices,
                 const double* loose_weights, const int64* indptr, int* indices,
                 float* weights) {
  const int64 row = thread_number();
  if (row >= n_coarse) return;
  int64 from = starts[row];
  for (int64 to = indptr[row]; to < indptr[row + 1]; to++, from++) {
    indices[to] = loose_indices[from];
    weights[to] = (float)loose_weights[from];
  }
}
