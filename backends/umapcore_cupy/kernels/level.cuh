// What a level knows of a vertex beside its row.
#pragma once
#include "cuda.cuh"

// Degrees can be so small that their inverse is no float.
#define LARGEST_INVERSE 1e38

// What of its degree leaves a vertex, as a number and as bits, which rise with it; and the inverse
// of the degree, which has to be a float32.
DEVICE void measure_vertex(int64 vertex, double leaving, double degree, double* shares,
                           float* inverse, uint64* bits) {
  const double share = leaving / degree;
  const double exact = 1.0 / degree;
  shares[vertex] = share;
  bits[vertex] = (uint64)__double_as_longlong(share);
  inverse[vertex] = (float)(exact < LARGEST_INVERSE ? exact : LARGEST_INVERSE);
}

// Runs that a row is summed in: none where it has no more than RUN edges.
DEVICE int64 runs_of(int64 n_edges) { return n_edges > RUN ? (n_edges + RUN - 1) / RUN : 0; }

// Notes which row the runs of a row belong to.
DEVICE void name_runs(int64 row, const int64* first_runs, int* run_rows) {
  for (int64 run = first_runs[row]; run < first_runs[row + 1]; run++) run_rows[run] = (int)row;
}
