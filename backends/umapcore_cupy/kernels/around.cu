// Neighbours of neighbours, as in umapcore/neighbors/refine.py, and the share of the neighbours found.
#include "lists.cuh"
#include "pairs.cuh"

// `before` and `found` are all lists before and after. Of the threads of a point, each looks at one
// neighbour of a neighbour: `reach` squared is at most THREADS_A_POINT.
KERNEL look_around(int64 n, const float* __restrict__ rows, int64 stride,
                   const int64* __restrict__ before, int k, int reach, int64* found) {
  __shared__ int64 near[THREADS];
  __shared__ int counts[THREADS / THREADS_A_POINT];
  const int own = threadIdx.x / THREADS_A_POINT, thread = threadIdx.x % THREADS_A_POINT;
  const int64 point = (int64)blockIdx.x * (THREADS / THREADS_A_POINT) + own;
  int64* const waiting = near + own * THREADS_A_POINT;
  if (thread == 0) counts[own] = 0;
  BLOCK_BARRIER();
  if (point < n) {
    const int64* const list = before + point * k;
    for (int i = thread; i < k; i += THREADS_A_POINT) found[point * k + i] = list[i];
    int64 key = thread < reach * reach ? list[thread / reach] : NO_KEY;
    if (key != NO_KEY) key = before[number_of(key) * k + thread % reach];
    const int64 number = number_of(key);
    if (key != NO_KEY && number != point) {
      key = key_of(square(rows + point * stride, rows + number * stride, stride), number);
      if (key < list[k - 1]) waiting[atomicAdd(&counts[own], 1)] = key;
    }
  }
  BLOCK_BARRIER();
  if (point < n && thread == 0)
    for (int i = 0; i < counts[own]; i++) insert(found + point * k, k, waiting[i]);
}

// Counts the keys in the lists of some points whose distance is not greater than that of the last of
// their nearest neighbours. `exact` are the lists of these points alone.
KERNEL count_found(int64 n_queries, int k, const int* queries, const int64* exact,
                   const int64* found, int* count) {
  const int64 i = thread_number();
  if (i >= n_queries * k) return;
  const int64 query = i / k, last = exact[query * k + k - 1] | 0xFFFFFFFFll;
  if (found[queries[query] * (int64)k + (i - query * k)] <= last) atomicAdd(count, 1);
}

// Keeps the nearest of the candidates of every point; each has `count` of them, the point itself among
// them or not. A negative number is none.
KERNEL keep_candidates(int64 n, const float* rows, int64 stride, int count, const int* candidates,
                       int k, int64* found) {
  const int64 point = thread_number();
  if (point >= n) return;
  for (int i = 0; i < count; i++) {
    const int number = candidates[point * count + i];
    if (number < 0 || number == point) continue;
    const float squared = square(rows + point * stride, rows + number * stride, stride);
    insert(found + point * k, k, key_of(squared, number));
  }
}
