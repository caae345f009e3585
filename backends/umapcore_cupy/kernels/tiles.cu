// Comparison of all pairs of some points with some others, a tile of pairs at a time.
#include "lists.cuh"
#include "pairs.cuh"

// A block has SIDE x SIDE threads, and each of them compares two rows with two others.
#define SIDE 16
static_assert(THREADS == SIDE * SIDE && TILE == 2 * SIDE, "the shape of a tile");
// Coordinates that are in shared memory at a time; rows there begin in different banks.
#define DEPTH 64
#define PADDED (DEPTH + 4)
// Each row has so many threads, the first of which inserts what was found near it.
#define THREADS_A_ROW (THREADS / TILE)

KERNEL fill_keys(int64 count, int64* keys) {
  const int64 i = thread_number();
  if (i < count) keys[i] = NO_KEY;
}

// Loads coordinates of the points at the places from `first` on, up to `end`, into shared memory. Beyond
// the end the last point is loaded again; nobody uses it.
DEVICE void load_tile(float (*tile)[PADDED], const float* rows, int64 stride, const int* numbers,
                      int64 first, int64 end, int64 coordinate) {
#pragma unroll
  for (int turn = 0; turn < TILE * DEPTH / 4 / THREADS; turn++) {
    const int i = turn * THREADS + threadIdx.x;
    const int row = i / (DEPTH / 4), within = i % (DEPTH / 4) * 4;
    const int64 place = first + row < end ? first + row : end - 1;
    if (coordinate + within < stride)
      *(float4*)(tile[row] + within) =
          load4(rows + number_at(numbers, place) * stride + coordinate + within);
  }
}

// Each block compares the points at some places with those at others, and keeps the k nearest of them.
// `tiles` has four numbers for each block: the first of at most TILE places and the one after the last,
// then the same for the others, of which there can be any number. `queries` and `members` are the points
// at these places, and `lists` the lists of the first ones, counted from `skipped`; without them, a place
// is the number itself. No two blocks have the same list.
//
// Of every tile of pairs, the keys that are before the last of their list wait in shared memory, until
// there may be no more room for those of the next tile.
KERNEL __launch_bounds__(THREADS, 2)
compare_tiles(const float* __restrict__ rows, int64 stride, const int64* __restrict__ tiles,
              const int* __restrict__ queries, const int* __restrict__ members,
              const int* __restrict__ lists, int64 skipped, int k, int64* found) {
  __shared__ __align__(16) float ours[TILE][PADDED];
  __shared__ __align__(16) float theirs[TILE][PADDED];
  __shared__ int64 near[TILE][2 * TILE];
  __shared__ int64 farthest[TILE];
  __shared__ int counts[TILE + 1];
  int& is_full = counts[TILE];
  const int64* const tile = tiles + 4 * (int64)blockIdx.x;
  const int64 first = tile[0], end = tile[1], last = tile[3];
  const int x = threadIdx.x % SIDE, y = threadIdx.x / SIDE;
  const int own = threadIdx.x / THREADS_A_ROW;
  const bool inserts = threadIdx.x % THREADS_A_ROW == 0 && first + own < end;
  int64* const list = found + (inserts ? number_at(lists, first + own) - skipped : 0) * k;
  if (inserts) {
    farthest[own] = list[k - 1];
    counts[own] = 0;
  }
  if (threadIdx.x == 0) is_full = 0;
#pragma unroll 1
  for (int64 others = tile[2]; others < last; others += TILE) {
    float sums[4][BLOCK] = {};
#pragma unroll 1
    for (int64 coordinate = 0; coordinate < stride; coordinate += DEPTH) {
      BLOCK_BARRIER();
      load_tile(ours, rows, stride, queries, first, end, coordinate);
      load_tile(theirs, rows, stride, members, others, last, coordinate);
      BLOCK_BARRIER();
      const int depth = stride - coordinate < DEPTH ? (int)(stride - coordinate) : DEPTH;
#pragma unroll 1
      for (int c = 0; c < depth; c += BLOCK) {
#pragma unroll
        for (int i = 0; i < BLOCK; i += 4) {
          const float4 a = load4(ours[y] + c + i), b = load4(ours[y + SIDE] + c + i);
          const float4 d = load4(theirs[x] + c + i), e = load4(theirs[x + SIDE] + c + i);
          add_squares(sums[0] + i, a, d);
          add_squares(sums[1] + i, a, e);
          add_squares(sums[2] + i, b, d);
          add_squares(sums[3] + i, b, e);
        }
      }
    }
#pragma unroll
    for (int pair = 0; pair < 4; pair++) {
      const int row = y + pair / 2 * SIDE;
      const int64 place = first + row, other = others + x + pair % 2 * SIDE;
      if (place >= end || other >= last) continue;
      const float squared = sum_of_halves(sums[pair]);
      if (key_of(squared, 0) > farthest[row]) continue;  // most pairs: the number is not loaded
      const int64 number = number_at(members, other), key = key_of(squared, number);
      if (key >= farthest[row] || number == number_at(queries, place)) continue;
      const int at = atomicAdd(&counts[row], 1);
      near[row][at] = key;
      if (at >= TILE) atomicMax(&is_full, 1);
    }
    BLOCK_BARRIER();
    if (is_full || others + TILE >= last) {
      if (inserts) {
        for (int i = 0; i < counts[own]; i++) insert(list, k, near[own][i]);
        counts[own] = 0;
        farthest[own] = list[k - 1];
      }
      BLOCK_BARRIER();
      // After this, there is a barrier before anybody sets it.
      if (threadIdx.x == 0) is_full = 0;
    }
  }
}
