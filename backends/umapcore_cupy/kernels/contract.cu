// Builds the graph of aggregates of vertices.
#include "cooperative.cuh"
#include "level.cuh"

// A whole block processes an aggregate whose members have more than LONG_ROW edges.

// Edges between aggregates, in the order in which the members' edges first reach them. Weights are
// summed in float64, in the order of the members' edges. A hash table finds where a neighbour was
// written. It has twice as many slots as there are edges, starts as 0 and holds numbers within the
// row, plus 1.
struct Contraction {
  const int64* offsets;
  const int* members;
  const int* coarse;
  const int64* indptr;
  const int* indices;
  const float* weights;
  const int64* starts;  // where the row of an aggregate would begin if no edges were merged
  uint32* table;
  int* out_indices;
  double* out_weights;
};

DEVICE uint32 place_of(int other, uint32 size) {
  return (uint32)(((uint64)((uint32)other * 2654435769u) * size) >> 32);
}

// Computes the row of an aggregate in one thread and returns its length. While an edge is processed,
// the neighbour of the next edge is loaded, and the tail of the edge after that.
DEVICE int64 contract_row(int64 aggregate, const Contraction& c) {
  const int64 start = c.starts[aggregate];
  const uint32 size = 2 * (uint32)(c.starts[aggregate + 1] - start);
  uint32* const places = c.table + 2 * start;
  uint32 used = 0;
#pragma unroll 1
  for (int64 m = c.offsets[aggregate]; m < c.offsets[aggregate + 1]; m++) {
    const int64 begin = c.indptr[c.members[m]], end = c.indptr[c.members[m] + 1];
    int next = begin < end ? c.coarse[c.indices[begin]] : 0;
    int tail_after = begin + 1 < end ? c.indices[begin + 1] : 0;
#pragma unroll 1
    for (int64 e = begin; e < end; e++) {
      const int other = next;
      const double weight = (double)c.weights[e];
      next = c.coarse[tail_after];
      tail_after = e + 2 < end ? c.indices[e + 2] : 0;
      if (other == aggregate) continue;
      uint32 at = place_of(other, size);
#pragma unroll 1
      while (places[at] != 0 && c.out_indices[start + places[at] - 1] != other)
        at = at + 1 < size ? at + 1 : 0;
      if (places[at] == 0) {
        c.out_indices[start + used] = other;
        c.out_weights[start + used] = weight;
        used += 1;
        places[at] = used;
      } else {
        c.out_weights[start + places[at] - 1] += weight;
      }
    }
  }
  return used;
}

// Does the same with all threads of a block. Every thread reads all edges and adds up those to its
// own share of the neighbours, so that each sum keeps its order. A neighbour is written at the
// position of its first edge; the gaps are removed afterwards.
DEVICE int64 contract_long_row(int64 aggregate, const Contraction& c) {
  __shared__ int others[THREADS];
  __shared__ float weighed[THREADS];
  const int64 start = c.starts[aggregate];
  const int64 n_edges = c.starts[aggregate + 1] - start;
  const uint32 size = 2 * (uint32)n_edges;
  uint32* const places = c.table + 2 * start;
  const int thread = threadIdx.x;
  for (int64 i = thread; i < n_edges; i += THREADS) c.out_indices[start + i] = -1;
  int64 before = 0;  // edges of the members that have been processed
  for (int64 m = c.offsets[aggregate]; m < c.offsets[aggregate + 1]; m++) {
    const int64 begin = c.indptr[c.members[m]], end = c.indptr[c.members[m] + 1];
    for (int64 first = begin; first < end; first += THREADS) {
      BLOCK_BARRIER();
      if (first + thread < end) {
        others[thread] = c.coarse[c.indices[first + thread]];
        weighed[thread] = c.weights[first + thread];
      }
      BLOCK_BARRIER();
      const int count = end - first < THREADS ? (int)(end - first) : THREADS;
#pragma unroll 1
      for (int i = 0; i < count; i++) {
        const int other = others[i];
        if (other == aggregate || ((uint32)other * 2654435769u >> 8) % THREADS != thread) continue;
        const int64 number = before + (first - begin) + i;
#pragma unroll 1
        for (uint32 at = place_of(other, size);; at = at + 1 < size ? at + 1 : 0) {
          uint32 there = load_fresh(places + at);
          if (there == 0) {
            c.out_indices[start + number] = other;
            c.out_weights[start + number] = (double)weighed[i];
            __threadfence();  // a thread that finds the slot sees its neighbour
            there = atomicCAS(places + at, 0u, (uint32)number + 1);
            if (there == 0) break;
          }
          // A slot that another thread took first holds another neighbour.
          if (load_fresh(c.out_indices + start + there - 1) == other) {
            c.out_weights[start + there - 1] += (double)weighed[i];
            break;
          }
        }
      }
    }
    before += end - begin;
  }
  BLOCK_BARRIER();
  int64 used = 0;
#pragma unroll 1
  for (int64 first = 0; first < n_edges; first += THREADS) {
    const int64 from = start + first + thread;
    const bool inside = first + thread < n_edges;
    const int other = inside ? c.out_indices[from] : -1;
    const double weight = inside ? c.out_weights[from] : 0.0;
    const BlockSums written = block_sums(other >= 0);
    if (other >= 0) {
      c.out_indices[start + used + written.so_far - 1] = other;
      c.out_weights[start + used + written.so_far - 1] = weight;
    }
    used += written.total;
  }
  return used;
}

// Computes the rows of the graph of aggregates, not packed yet, and what its level needs: see
// level.cuh. Rows begin where the members' rows would. `n_long` counts the long rows, from 0. `bits`
// has one entry per vertex of the finer level; those beyond the aggregates get the largest value.
COOPERATIVE __launch_bounds__(THREADS, 3)
contract(uint64* grid, int64 n, const int64* n_coarse, int64 n_edges,
                     const int64* offsets, const int* members, const int* coarse,
                     const int64* indptr, const int* indices, const float* weights,
                     const double* degrees, int64* starts, uint32* table, int* loose_indices,
                     double* loose_weights, uint64* n_long, int* long_rows, double* new_degrees,
                     double* new_shares, float* new_inverse, uint64* bits, int64* new_indptr,
                     int64* first_runs) {
  const int64 size = *n_coarse;
  FOR_EACH(aggregate, size) {
    double total = 0.0;
    int64 length = 0;
    for (int64 m = offsets[aggregate]; m < offsets[aggregate + 1]; m++) {
      total += degrees[members[m]];
      length += indptr[members[m] + 1] - indptr[members[m]];
    }
    new_degrees[aggregate] = total;
    starts[aggregate + 1] = length;
  }
  FOR_EACH(i, 2 * n_edges) table[i] = 0;
  FOR_EACH(i, n - size) bits[size + i] = ~0ull;
  if (thread_number() == 0) {
    starts[0] = new_indptr[0] = first_runs[0] = 0;
    *n_long = 0;
  }
  running_sums(grid, size + 1, starts);
  grid_barrier(grid);

  const Contraction c = {offsets, members, coarse, indptr,        indices,
                         weights, starts,  table,  loose_indices, loose_weights};
  FOR_EACH(aggregate, size) {
    if (starts[aggregate + 1] - starts[aggregate] > LONG_ROW)
      long_rows[atomicAdd(n_long, 1ull)] = (int)aggregate;
    else
      new_indptr[aggregate + 1] = contract_row(aggregate, c);
  }
  grid_barrier(grid);
  const int64 n_long_rows = (int64)*n_long;
  for (int64 i = blockIdx.x; i < n_long_rows; i += gridDim.x) {
    const int64 used = contract_long_row(long_rows[i], c);
    if (threadIdx.x == 0) new_indptr[long_rows[i] + 1] = used;
  }
  if (n_long_rows > 0) grid_barrier(grid);

  FOR_EACH(aggregate, size) {
    const int64 length = new_indptr[aggregate + 1];
    double leaving = 0.0;
    for (int64 e = starts[aggregate]; e < starts[aggregate] + length; e++)
      leaving += (double)(float)loose_weights[e];
    measure_vertex(aggregate, leaving, new_degrees[aggregate], new_shares, new_inverse, bits);
    first_runs[aggregate + 1] = runs_of(length);
  }
#pragma unroll 1
  for (int k = 0; k < 2; k++) running_sums(grid, size + 1, k == 0 ? new_indptr : first_runs);
}

KERNEL pack_rows(int64 n_coarse, const int64* starts, const int* loose_indices,
                 const double* loose_weights, const int64* indptr, const int64* first_runs,
                 int* indices, float* weights, int* run_rows) {
  const int64 row = thread_number();
  if (row >= n_coarse) return;
  int64 from = starts[row];
  for (int64 to = indptr[row]; to < indptr[row + 1]; to++, from++) {
    indices[to] = loose_indices[from];
    weights[to] = (float)loose_weights[from];
  }
  name_runs(row, first_runs, run_rows);
}
