// How many edges of each row survive pruning, and how often they fire.
#include "rows.cuh"

// Ranks distinguish up to this many fires: rank and bucket together fill 16 bits, as on the CPU.
#define MOST_FIRES ((1 << 16) / N_BUCKETS - 1)

// Finds the largest weight, as the bits of a float. Weights are not negative, so their bits have the
// same order as the weights.
KERNEL find_heaviest(int64 n_edges, const float* weights, int* heaviest) {
  int most = 0;
  for (int64 e = thread_number(); e < n_edges; e += (int64)gridDim.x * blockDim.x) {
    const int bits = __float_as_int(weights[e]);
    most = bits > most ? bits : most;
  }
  atomicMax(heaviest, most);
}

// Degrees after pruning, and ranks: the more fires per walker, the lower the rank.
KERNEL count_rows(int64 n, const int64* indptr, const float* weights, double heaviest,
                  double least, int* degrees, int* ranks) {
  const int64 vertex = thread_number();
  if (vertex >= n) return;
  int kept = 0;
  double fires = 0.0;
  for (int64 e = indptr[vertex]; e < indptr[vertex + 1]; e++) {
    const double weight = relative(weights, e, heaviest);
    if (weight >= least) {
      kept += 1;
      fires += weight;
    }
  }
  degrees[vertex] = kept;
  const double share = rint(fires / (double)walkers_of(kept));
  ranks[vertex] = MOST_FIRES - (share < (double)MOST_FIRES ? (int)share : MOST_FIRES);
}
