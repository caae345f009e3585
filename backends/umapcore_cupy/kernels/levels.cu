// Levels of the hierarchy of graphs: their degrees, and the order of their vertices.
#include "level.cuh"

// Computes what a level needs besides its rows: see level.cuh. The degrees are the sums of the rows.
// Numbers of runs are written from index 1 on; running sums follow.
KERNEL measure_level(int64 n, const int64* indptr, const float* weights, double* degrees,
                     double* shares, float* inverse, uint64* bits, int64* first_runs) {
  const int64 vertex = thread_number();
  if (vertex >= n) return;
  double total = 0.0;
  for (int64 e = indptr[vertex]; e < indptr[vertex + 1]; e++) total += (double)weights[e];
  degrees[vertex] = total;
  measure_vertex(vertex, total, total, shares, inverse, bits);
  first_runs[vertex + 1] = runs_of(indptr[vertex + 1] - indptr[vertex]);
  if (vertex == 0) first_runs[0] = 0;
}

// Collects what the host must know about a level: the two shares next to the median, the largest
// share, and the numbers of vertices, edges and runs. `bits` is sorted. If `size` is not null, n is
// *size.
KERNEL summarise(int64 n, const int64* size, const uint64* bits, const int64* indptr,
                 const int64* first_runs, double* found) {
  if (thread_number() > 0) return;
  if (size) n = *size;
  found[0] = __longlong_as_double((int64)bits[(n - 1) / 2]);
  found[1] = __longlong_as_double((int64)bits[n / 2]);
  found[2] = __longlong_as_double((int64)bits[n - 1]);
  found[3] = (double)n;
  found[4] = (double)indptr[n];
  found[5] = (double)first_runs[n];
}

KERNEL fill_runs(int64 n, const int64* first_runs, int* run_rows) {
  const int64 row = thread_number();
  if (row < n) name_runs(row, first_runs, run_rows);
}

// Vertices are ordered by their aggregates, and aggregates by `order` (null: by their numbers).
// Lengths are written from index 1 on; running sums follow.
KERNEL count_unfolded(int64 n_coarse, const int* order, const int64* offsets, int64* starts) {
  const int64 place = thread_number();
  if (place >= n_coarse) return;
  const int64 aggregate = order ? order[place] : place;
  starts[place + 1] = offsets[aggregate + 1] - offsets[aggregate];
  if (place == 0) starts[0] = 0;
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

// Row `place` of the new graph is row order[place] of the old one. Lengths and numbers of runs are
// written from index 1 on; running sums follow.
KERNEL count_reordered(int64 n, const int* order, const int64* indptr, int* places,
                       int64* new_indptr, int64* first_runs) {
  const int64 place = thread_number();
  if (place >= n) return;
  const int64 vertex = order[place];
  const int64 length = indptr[vertex + 1] - indptr[vertex];
  places[vertex] = (int)place;
  new_indptr[place + 1] = length;
  first_runs[place + 1] = runs_of(length);
  if (place == 0) new_indptr[0] = first_runs[0] = 0;
}

KERNEL reorder(int64 n, const int* order, const int* places, const int64* indptr,
               const int* indices, const float* weights, const double* degrees,
               const float* inverse, const int64* new_indptr, int* new_indices,
               float* new_weights, double* new_degrees, float* new_inverse,
               const int64* first_runs, int* run_rows) {
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
  name_runs(place, first_runs, run_rows);
}
