// Buckets of heads, chosen so that neighbours are rarely in the same bucket.
#include "floats.cuh"

// Each vertex of one phase gets the bucket in which its neighbours of earlier phases have the least
// weight. Ties go to the first such bucket, counting from the vertex's hash.
KERNEL part_neighbours(int phase, int64 n, const int64* indptr, const int* indices,
                       const float* weights, unsigned char* buckets) {
  const int64 vertex = thread_number() * N_PHASES + phase;
  if (vertex >= n) return;
  double weight[N_BUCKETS];
  for (int b = 0; b < N_BUCKETS; b++) weight[b] = 0.0;
  for (int64 e = indptr[vertex]; e < indptr[vertex + 1]; e++) {
    const int tail = indices[e];
    if ((tail & (N_PHASES - 1)) < phase) weight[buckets[tail]] += (double)weights[e];
  }
  const int own = (int)(mix64((uint64)vertex) % N_BUCKETS);
  int best = own;
  for (int i = 1; i < N_BUCKETS; i++) {
    const int bucket = (own + i) & (N_BUCKETS - 1);
    if (weight[bucket] < weight[best]) best = bucket;
  }
  buckets[vertex] = (unsigned char)best;
}
