// The plan order: by bucket, then by decreasing fires, then by number, which makes every key unique.
#include "rows.cuh"

KERNEL make_keys(int64 n, const unsigned char* buckets, const int* ranks, uint64* keys) {
  const int64 vertex = thread_number();
  if (vertex >= n) return;
  const uint64 high = (uint64)buckets[vertex] << 16 | (uint64)ranks[vertex];
  keys[vertex] = high << 32 | (uint64)vertex;
}

// Computes from the sorted keys: the order, the places, the number of walkers of every place (from
// index 1 on; running sums follow) and the first place of every bucket.
KERNEL place_vertices(int64 n, const uint64* keys, const int* degrees, int* order, int* places,
                      int64* walkers, int64* bucket_offsets) {
  const int64 place = thread_number();
  if (place >= n) return;
  const int vertex = (int)(keys[place] & 0xFFFFFFFFull);
  order[place] = vertex;
  places[vertex] = (int)place;
  walkers[place + 1] = walkers_of(degrees[vertex]);
  if (place == 0) walkers[0] = 0;
  const int bucket = (int)(keys[place] >> 48);
  const int previous = place == 0 ? -1 : (int)(keys[place - 1] >> 48);
  for (int b = previous + 1; b <= bucket; b++) bucket_offsets[b] = place;
  if (place == n - 1)
    for (int b = bucket + 1; b <= N_BUCKETS; b++) bucket_offsets[b] = n;
}

// Writes the first walkers of the buckets behind their first places.
KERNEL take_firsts(const int64* first_walkers, int64* firsts) {
  const int64 bucket = thread_number();
  if (bucket <= N_BUCKETS) firsts[N_BUCKETS + 1 + bucket] = first_walkers[firsts[bucket]];
}
