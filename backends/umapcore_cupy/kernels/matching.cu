// Heavy-edge matching: chooses the vertices of a level that become one vertex of the next level.
// umapcore_numba/spectral/coarsen.py explains the method.
#include "cooperative.cuh"
#include "floats.cuh"

// Both directions of an edge have the same number, and no other edge has it.
DEVICE uint64 edge_hash(int64 i, int64 j) {
  const uint64 low = (uint64)(i < j ? i : j), high = (uint64)(i < j ? j : i);
  return mix64(low << 32 | high);
}

// The neighbour that a vertex, or a run of its row, proposes to: the heaviest one, and among equals
// the one whose edge has the largest hash. -1: none.
struct Proposal {
  int tail;
  float weight;
};

// Replaces `best` by `other` if that is better.
DEVICE void meet(int64 vertex, Proposal& best, const Proposal& other) {
  if (other.tail < 0 || (best.tail >= 0 && other.weight < best.weight)) return;
  if (best.tail >= 0 && other.weight == best.weight &&
      edge_hash(vertex, other.tail) <= edge_hash(vertex, best.tail))
    return;
  best = other;
}

// Returns the best proposal along the edges begin ... end - 1, to neighbours that are not taken (or to
// all neighbours) and not lighter than `least`. The loads of several edges overlap.
DEVICE Proposal best_of(int64 vertex, int64 begin, int64 end, const int* indices,
                        const float* weights, const float* scale, const unsigned char* taken,
                        bool all, float least) {
  Proposal best = {-1, least};
  bool equals = false;
#pragma unroll 1
  for (int64 first = begin; first < end; first += 8) {
    int tails[8];
    float weighed[8];
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const int64 e = first + i < end ? first + i : first;
      tails[i] = indices[e];
      weighed[i] = weights[e];
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
      weighed[i] *= scale[tails[i]];
      if (first + i >= end || (!all && taken[tails[i]])) tails[i] = -1;
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
      if (tails[i] < 0 || weighed[i] < best.weight) continue;
      equals = best.tail >= 0 && weighed[i] == best.weight;
      if (!equals) best = {tails[i], weighed[i]};
    }
  }
#pragma unroll 1
  for (int64 e = begin; e < (equals ? end : begin); e++) {
    const int tail = indices[e];
    if (!all && taken[tail]) continue;
    const float weight = weights[e] * scale[tail];
    if (weight == best.weight) meet(vertex, best, {tail, weight});
  }
  return best;
}

// Rows and what proposals need besides. Rows of more than RUN edges are searched in runs.
struct Market {
  const int64* indptr;
  const int* indices;
  const float* weights;
  int64 n_runs;
  const int64* first_runs;
  const int* run_rows;
  const float* scale;
  const unsigned char* taken;
  const unsigned char* free;
  float* least;
  int* choice;
  // One entry per run.
  int* run_tails;
  float* run_weights;
};

DEVICE void note_proposal(int64 vertex, const Proposal& best, const Market& m) {
  m.choice[vertex] = best.tail;
  m.least[vertex] = larger(m.least[vertex], STRONG * best.weight);
}

// Every free vertex proposes to a neighbour that is not taken, or to any neighbour if to_all is set.
DEVICE void propose(uint64* grid, int64 n, const Market& m, bool to_all) {
  FOR_EACH(i, n + m.n_runs) {
    const int64 run = i - n;
    const int64 vertex = run < 0 ? i : m.run_rows[run];
    if (!m.free[vertex]) continue;
    int64 begin = m.indptr[vertex], end = m.indptr[vertex + 1];
    if (run < 0 && end - begin > RUN) continue;
    if (run >= 0) {
      begin += (run - m.first_runs[vertex]) * RUN;
      end = begin + RUN < end ? begin + RUN : end;
    }
    const Proposal best = best_of(vertex, begin, end, m.indices, m.weights, m.scale, m.taken,
                                  to_all, m.least[vertex]);
    if (run < 0) {
      note_proposal(vertex, best, m);
    } else {
      m.run_tails[run] = best.tail;
      m.run_weights[run] = best.weight;
    }
  }
  if (m.n_runs > 0) {
    grid_barrier(grid);
    FOR_EACH(i, m.n_runs) {
      const int64 vertex = m.run_rows[i];
      if (m.first_runs[vertex] != i || !m.free[vertex]) continue;
      Proposal best = {-1, m.least[vertex]};
#pragma unroll 1
      for (int64 run = i; run < m.first_runs[vertex + 1]; run++)
        meet(vertex, best, {m.run_tails[run], m.run_weights[run]});
      note_proposal(vertex, best, m);
    }
  }
  grid_barrier(grid);
}

// Pairs vertices in up to `rounds` rounds; a round that pairs fewer than `few` vertices is the last.
// Secluded vertices stay as they are. `root` gets the first vertex of each vertex's pair. The vertices
// that are left are sorted afterwards by heaviest neighbour and then by number: their `keys` are made
// for that, and all other vertices get the largest key. `counts` gets the number of vertices paired in
// each round, then the number of those left.
COOPERATIVE __launch_bounds__(THREADS, 3)
match(uint64* grid, int64 n, const int64* indptr, const int* indices,
                  const float* weights, const float* inverse, const double* shares,
                  double least_share, int64 n_runs, const int64* first_runs, const int* run_rows,
                  int* run_tails, float* run_weights, int rounds, double few,
                  unsigned char* stays, unsigned char* taken, unsigned char* free,
                  unsigned char* lone, float* scale, float* least, int* choice, int* root,
                  uint64* keys, uint64* counts) {
  FOR_EACH(vertex, n) {
    const bool secluded = shares[vertex] < least_share;
    stays[vertex] = taken[vertex] = secluded;
    free[vertex] = !secluded;
    lone[vertex] = 0;
    scale[vertex] = sqrtf(inverse[vertex]);
    least[vertex] = 0.0f;
    root[vertex] = (int)vertex;
  }
  FOR_EACH(round, rounds + 1) counts[round] = 0;
  grid_barrier(grid);

  const Market market = {indptr, indices, weights, n_runs, first_runs, run_rows, scale,
                         taken,  free,    least,   choice, run_tails,  run_weights};
  // The last proposals may also go to taken neighbours.
  for (int round = 0, last = rounds;; round++) {
    propose(grid, n, market, round == last);
    if (round == last) break;
    int64 paired = 0;
    FOR_EACH(vertex, n) {
      if (!free[vertex]) continue;
      const int chosen = choice[vertex];
      // The chosen vertex was free, so its own choice is from this round too.
      if (chosen < 0 || choice[chosen] != vertex) continue;
      root[vertex] = (int)(vertex < chosen ? vertex : chosen);
      taken[vertex] = 1;
      free[vertex] = 0;
      paired += 1;
    }
    paired = block_sums(paired).total;
    if (threadIdx.x == 0) atomicAdd(&counts[round], (uint64)paired);
    grid_barrier(grid);
    if ((double)counts[round] < few) last = round + 1;
  }

  int64 left = 0;
  FOR_EACH(vertex, n) {
    keys[vertex] = free[vertex] ? (uint64)choice[vertex] << 32 | (uint64)vertex : ~0ull;
    left += free[vertex];
  }
  left = block_sums(left).total;
  if (threadIdx.x == 0) atomicAdd(&counts[rounds], (uint64)left);
}

DEVICE bool heads_up(int64 vertex, int toss) {
  return mix64((uint64)vertex + ((uint64)toss << 32)) >> 63;
}

// Among leftover vertices with the same heaviest neighbour, every second one joins the one before it.
// If one remains, it is lone.
DEVICE void pair_leftover(int64 place, int64 count, const uint64* keys, int* root,
                          unsigned char* lone) {
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

// Returns whether a lone vertex joins its heaviest neighbour. In even tosses it does if the neighbour
// is neither lone nor secluded. In odd tosses it does if the neighbour is lone too, its own coin shows
// heads and the neighbour's coin shows tails.
DEVICE bool joins_in(int number, int64 vertex, int64 neighbour, const unsigned char* stays,
                     const unsigned char* lone) {
  if (!lone[vertex]) return false;
  if (number % 2 == 0) return !lone[neighbour] && !stays[neighbour];
  return lone[neighbour] && heads_up(vertex, number) && !heads_up(neighbour, number);
}

// Pairs the vertices that `match` has left, whose sorted keys come first. Numbers the aggregates in
// the order of their first vertices: aggregate c has the vertices members[offsets[c]] ..., at most
// four, in their order. `size` gets the number of aggregates.
COOPERATIVE __launch_bounds__(THREADS, 3)
aggregate(uint64* grid, int64 n, const uint64* n_left, const uint64* keys, int tosses,
                      const unsigned char* stays, unsigned char* lone, unsigned char* joins,
                      int* root, int64* numbers, int* coarse, int64* offsets, int* filled,
                      int* members, int64* size) {
  const int64 left = (int64)*n_left;
  FOR_EACH(place, left) pair_leftover(place, left, keys, root, lone);
  grid_barrier(grid);
  for (int number = 0; number < tosses; number++) {
    FOR_EACH(place, left) {
      const int64 neighbour = (int64)(keys[place] >> 32);
      const int64 vertex = (int64)(keys[place] & 0xFFFFFFFFu);
      joins[place] = joins_in(number, vertex, neighbour, stays, lone);
    }
    grid_barrier(grid);
    // No two lone vertices have the same heaviest neighbour, so no vertex is joined twice.
    FOR_EACH(place, left) {
      if (!joins[place]) continue;
      const int64 neighbour = (int64)(keys[place] >> 32);
      const int64 vertex = (int64)(keys[place] & 0xFFFFFFFFu);
      root[vertex] = root[neighbour];
      lone[vertex] = lone[neighbour] = 0;
    }
    grid_barrier(grid);
  }

  FOR_EACH(vertex, n) {
    numbers[vertex] = root[vertex] == vertex;
    offsets[vertex + 1] = 0;
    filled[vertex] = 0;
  }
  if (thread_number() == 0) offsets[0] = 0;
  running_sums(grid, n, numbers);
  grid_barrier(grid);
  FOR_EACH(vertex, n) {
    const int64 number = numbers[root[vertex]] - 1;
    coarse[vertex] = (int)number;
    atomicAdd((uint64*)&offsets[number + 1], 1ull);
  }
  const int64 n_coarse = numbers[n - 1];
  if (thread_number() == 0) *size = n_coarse;
  running_sums(grid, n_coarse + 1, offsets);
  grid_barrier(grid);
  FOR_EACH(vertex, n) {
    const int number = coarse[vertex];
    members[offsets[number] + atomicAdd(&filled[number], 1)] = (int)vertex;
  }
  grid_barrier(grid);
  FOR_EACH(number, n_coarse) {
#pragma unroll 1
    for (int64 m = offsets[number] + 1; m < offsets[number + 1]; m++) {
      const int vertex = members[m];
      int64 at = m;
#pragma unroll 1
      for (; at > offsets[number] && members[at - 1] > vertex; at--) members[at] = members[at - 1];
      members[at] = vertex;
    }
  }
}
