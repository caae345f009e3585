// Levels of the hierarchy of graphs: their degrees, and the order of their vertices.
#include "cuda.cuh"

// Degrees can be so small that their inverse is no float.
#define LARGEST_INVERSE 1e38

KERNEL sum_rows(int64 n, const int64* indptr, const float* weights, double* sums) {
  const int64 vertex = thread_number();
  if (vertex >= n) return;
  double total = 0.0;
  for (int64 e = indptr[vertex]; e < indptr[vertex + 1]; e++) total += (double)weights[e];
  sums[vertex] = total;
}

// What of its degree leaves a vertex, and the inverse of the degree, which has to be a float32.
KERNEL scale_level(int64 n, const double* leaving, const double* degrees, double* shares,
                   float* inverse) {
  const int64 vertex = thread_number();
  if (vertex >= n) return;
  shares[vertex] = leaving[vertex] / degrees[vertex];
  const double exact = 1.0 / degrees[vertex];
  inverse[vertex] = (float)(exact < LARGEST_INVERSE ? exact : LARGEST_INVERSE);
}

// Bits of a number that is not negative, which rise with it.
KERNEL copy_bits(int64 n, const double* values, uint64* bits) {
  const int64 i = thread_number();
  if (i < n) bits[i] = (uint64)__double_as_longlong(values[i]);
}

// The median's two neighbours and the largest of numbers that are sorted by their bits.
KERNEL pick_sorted(int64 n, const uint64* bits, double* found) {
  const int64 which = thread_number();
  if (which >= 3) return;
  const int64 place = which == 0 ? (n - 1) / 2 : which == 1 ? n / 2 : n - 1;
  found[which] = __longlong_as_double((int64)bits[place]);
}

// Runs that each row of more than RUN edges is summed in; no runs for the others. Written from
// index 1 on, to be summed up to offsets.
KERNEL count_runs(int64 n, const int64* indptr, int64* counts) {
  const int64 row = thread_number();
  if (row >= n) return;
  const int64 length = indptr[row + 1] - indptr[row];
  counts[row + 1] = length > RUN ? (length + RUN - 1) / RUN : 0;
  if (row == 0) counts[0] = 0;
}

KERNEL fill_runs(int64 n, const int64* first_runs, int* run_rows) {
  const int64 row = thread_number();
  if (row >= n) return;
  for (int64 run = first_runs[row]; run < first_runs[row + 1]; run++) run_rows[run] = (int)row;
}

// Vertices are ordered by their aggregates, these by `order` (null: by their numbers). Lengths are
// written from index 1 on.
KERNEL count_unfolded(int64 n_coarse, const int* order, const int64* offsets, int64* lengths) {
  const int64 place = thread_number();
  if (place >= n_coarse) return;
  const int64 aggregate = order ? order[place] : place;
  lengths[place + 1] = offsets[aggregate + 1] - offsets[aggregate];
  if (place == 0) lengths[0] = 0;
}

KERNEL unfold(int64 n_coarse, const int* order, int by_place, const int64* offsets,
              const int* members, const int64* starts, int* fine_order, int* source) {
  const int64 place = thread_number();
  if (place >= n_coarse) return;
  const int64 aggregate = order ? order[place] : place;
  int64 to = starts[place];
  for (int64 m = offsets[aggregate]; m < offsets[aggregate + 1]; m++, to++) {
    fine_order[to] = members[m];
    source[to] = (int)(by_place ? place : aggregate);
  }
}

// Row `place` of the new graph is row order[place] of the old one.
KERNEL count_reordered(int64 n, const int* order, const int64* indptr, int* places,
                       int64* lengths) {
  const int64 place = thread_number();
  if (place >= n) return;
  const int64 vertex = order[place];
  places[vertex] = (int)place;
  lengths[place + 1] = indptr[vertex + 1] - indptr[vertex];
  if (place == 0) lengths[0] = 0;
}

KERNEL reorder(int64 n, const int* order, const int* places, const int64* indptr,
               const int* indices, const float* weights, const double* degrees,
               const float* inverse, const int64* new_indptr, int* new_indices,
               float* new_weights, double* new_degrees, float* new_inverse) {
  const int64 place = thread_number();
  if (place >= n) return;
  const int64 vertex = order[place];
  int64 to = new_indptr[place];
  for (int64 e = indptr[vertex]; e < indptr[vertex + 1]; e++, to++) {
    new_indices[to] = places[indices[e]];
    new_weights[to] = weights[e];
  }
  new_degrees[place] = degrees[vertex];
  new_inverse[place] = inverse[vertex];
}
