// Walkers and their edges.
#include "rows.cuh"

// Deals edges like cards: walker k of K gets the edges k, k + K, k + 2K, ... Lengths are written
// from index 1 on; running sums then make them offsets.
KERNEL deal_out(int64 n, const int* order, const int* degrees, const int64* first_walkers,
                int* heads, int64* lengths) {
  const int64 place = thread_number();
  if (place >= n) return;
  const int64 first = first_walkers[place];
  const int64 count = first_walkers[place + 1] - first;
  const int degree = degrees[order[place]];
  for (int64 k = 0; k < count; k++) {
    heads[first + k] = (int)place;
    lengths[first + k + 1] = (degree - k + count - 1) / count;
  }
  if (place == 0) lengths[0] = 0;
}

// Writes the tails and rates of the kept edges, and the largest number of edges from one vertex into
// one bucket.
KERNEL fill_rows(int64 n, const int64* indptr, const int* indices, const float* weights,
                 double heaviest, double least, const int* order, const int* places,
                 const unsigned char* buckets, const int64* first_walkers,
                 const int64* row_offsets, int* tails, uint32* rates, int* crowd) {
  const int64 place = thread_number();
  if (place >= n) return;
  const int vertex = order[place];
  const int64 walker = first_walkers[place];
  const int64 count = first_walkers[place + 1] - walker;
  int per_bucket[N_BUCKETS];
  for (int b = 0; b < N_BUCKETS; b++) per_bucket[b] = 0;
  int most = 0;
  int64 dealt = 0;
  for (int64 e = indptr[vertex]; e < indptr[vertex + 1]; e++) {
    const double weight = relative(weights, e, heaviest);
    if (weight < least) continue;
    const int tail = indices[e];
    const int64 out = count == 1 ? row_offsets[walker] + dealt
                                 : row_offsets[walker + dealt % count] + dealt / count;
    tails[out] = places[tail];
    const double rate = weight * 4294967296.0;
    rates[out] = rate < 4294967295.0 ? (uint32)rate : 4294967295u;
    dealt += 1;
    const int crowded = ++per_bucket[buckets[tail]];
    most = crowded > most ? crowded : most;
  }
  atomicMax(crowd, most);
}
