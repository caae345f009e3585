// Heavy-edge matching: which vertices of a level become one of the next. What it does, and why, is
// said in umapcore_numba/coarsen.py.
#include "floats.cuh"

// Edges of less than this share of a vertex's heaviest weight are not proposed along.
#define STRONG 0.25f

// Secluded vertices stay as they are. `root` will be the first vertex of each one's pair.
KERNEL begin_matching(int64 n, const double* shares, const float* inverse, double least_share,
                      unsigned char* stays, unsigned char* taken, unsigned char* free,
                      float* scale, float* least, int* root) {
  const int64 vertex = thread_number();
  if (vertex >= n) return;
  const bool secluded = shares[vertex] < least_share;
  stays[vertex] = taken[vertex] = secluded;
  free[vertex] = !secluded;
  scale[vertex] = sqrtf(inverse[vertex]);
  least[vertex] = 0.0f;
  root[vertex] = (int)vertex;
}

// The two directions of an edge have one number, unlike that of other edges.
DEVICE uint64 edge_hash(int64 i, int64 j) {
  const uint64 low = (uint64)(i < j ? i : j), high = (uint64)(i < j ? j : i);
  return mix64(low << 32 | high);
}

// The heaviest neighbour that is not taken, of equals the one whose edge has the largest hash.
KERNEL propose(int64 n, const int64* indptr, const int* indices, const float* weights,
               const float* scale, const unsigned char* taken, const unsigned char* free,
               float* least, int* choice) {
  const int64 vertex = thread_number();
  if (vertex >= n || !free[vertex]) return;
  int64 best = -1;
  float most = least[vertex];
  uint64 largest = 0;
  for (int64 e = indptr[vertex]; e < indptr[vertex + 1]; e++) {
    const int64 tail = indices[e];
    if (taken[tail]) continue;
    const float weight = weights[e] * scale[tail];
    if (weight < most) continue;
    const uint64 hashed = edge_hash(vertex, tail);
    if (best < 0 || weight > most || hashed > largest) {
      best = tail;
      most = weight;
      largest = hashed;
    }
  }
  choice[vertex] = (int)best;
  least[vertex] = larger(least[vertex], STRONG * most);
}

// Pairs who chose each other.
KERNEL match(int64 n, const int* choice, unsigned char* free, unsigned char* taken, int* root,
             int* n_matched) {
  const int64 vertex = thread_number();
  if (vertex >= n || !free[vertex]) return;
  const int chosen = choice[vertex];
  // Whoever was chosen was free, so its own choice is of this round too.
  if (chosen < 0 || choice[chosen] != vertex) return;
  root[vertex] = (int)(vertex < chosen ? vertex : chosen);
  taken[vertex] = 1;
  free[vertex] = 0;
  atomicAdd(n_matched, 1);
}

KERNEL count_free(int64 n, const unsigned char* free, int* count) {
  const int64 vertex = thread_number();
  if (vertex < n && free[vertex]) atomicAdd(count, 1);
}

// What is left, sorted by its heaviest neighbour and then by number; everything else comes last.
KERNEL make_leftover_keys(int64 n, const unsigned char* free, const int* choice, uint64* keys) {
  const int64 vertex = thread_number();
  if (vertex >= n) return;
  keys[vertex] = free[vertex] ? (uint64)choice[vertex] << 32 | (uint64)vertex : ~0ull;
}

// Of those with the same heaviest neighbour, every second joins the one before it; one that is
// over is lone.
KERNEL pair_leftovers(int64 count, const uint64* keys, int* root, unsigned char* lone) {
  const int64 place = thread_number();
  if (place >= count) return;
  const int64 neighbour = (int64)(keys[place] >> 32), vertex = (int64)(keys[place] & 0xFFFFFFFFu);
  int64 first = 0, high = place;
  while (first < high) {
    const int64 middle = first + (high - first) / 2;
    if ((int64)(keys[middle] >> 32) < neighbour)
      first = middle + 1;
    else
      high = middle;
  }
  if ((place - first) % 2 == 1)
    root[vertex] = (int)(keys[place - 1] & 0xFFFFFFFFu);
  else if (place + 1 == count || (int64)(keys[place + 1] >> 32) != neighbour)
    lone[vertex] = 1;
}

DEVICE bool heads_up(int64 vertex, int toss) {
  return mix64((uint64)vertex + ((uint64)toss << 32)) >> 63;
}

// Which lone vertices join their heaviest neighbour: in even tosses, where that is not lone itself;
// in odd ones, those whose coin shows heads where the neighbour's shows tails.
KERNEL toss(int64 count, const uint64* keys, int number, const unsigned char* stays,
            const unsigned char* lone, unsigned char* joins) {
  const int64 place = thread_number();
  if (place >= count) return;
  const int64 neighbour = (int64)(keys[place] >> 32), vertex = (int64)(keys[place] & 0xFFFFFFFFu);
  bool join = false;
  if (lone[vertex]) {
    if (number % 2 == 0)
      join = !lone[neighbour] && !stays[neighbour];
    else
      join = lone[neighbour] && heads_up(vertex, number) && !heads_up(neighbour, number);
  }
  joins[place] = join;
}

// No two lone vertices have the same heaviest neighbour, so nobody is joined twice.
KERNEL join(int64 count, const uint64* keys, const unsigned char* joins, unsigned char* lone,
            int* root) {
  const int64 place = thread_number();
  if (place >= count || !joins[place]) return;
  const int64 neighbour = (int64)(keys[place] >> 32), vertex = (int64)(keys[place] & 0xFFFFFFFFu);
  root[vertex] = root[neighbour];
  lone[vertex] = lone[neighbour] = 0;
}
