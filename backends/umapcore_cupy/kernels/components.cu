// Connected components by union-find: see umapcore/graph/components.py.
#include "cuda.cuh"

KERNEL begin_trees(int64 n, int* parents) {
  const int64 vertex = thread_number();
  if (vertex < n) parents[vertex] = (int)vertex;
}

// Follows parents to the root and halves the path on the way. A parent that another thread writes
// meanwhile is an ancestor too.
DEVICE int find_root(int* parents, int vertex) {
  int above = parents[vertex];
  while (above != vertex) {
    const int next_above = parents[above];
    if (next_above != above) parents[vertex] = next_above;
    vertex = above;
    above = next_above;
  }
  return vertex;
}

// Joins trees: the root with the larger number becomes a child of the other root.
KERNEL join_trees(int64 n, const int64* indptr, const int* indices, int* parents) {
  const int64 vertex = thread_number();
  if (vertex >= n) return;
  for (int64 e = indptr[vertex]; e < indptr[vertex + 1]; e++) {
    if (indices[e] >= vertex) continue;  // the edge's other direction joins the same trees
    int a = find_root(parents, (int)vertex), b = find_root(parents, indices[e]);
    while (a != b) {
      const int low = a < b ? a : b, high = a < b ? b : a;
      const int found = atomicCAS(parents + high, high, low);
      if (found == high) break;
      a = find_root(parents, found);
      b = find_root(parents, low);
    }
  }
}

KERNEL count_roots(int64 n, const int* parents, int* count) {
  const int64 vertex = thread_number();
  if (vertex < n && parents[vertex] == vertex) atomicAdd(count, 1);
}
