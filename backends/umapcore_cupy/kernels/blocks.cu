// Operations on blocks of vectors: n rows of `width` columns, float32, row after row. Sums run in the
// order that umapcore/device/spectral_ops.py describes. A thread computes one entry, so that
// neighbouring threads read neighbouring columns of the same row.
#include "cooperative.cuh"

// A row and a column of a block.
struct Entry {
  int64 row;
  int column;
};

// Number of rows of `width` columns that a block of threads processes at a time, at least 1.
DEVICE int rows_at_once(int width) { return width < THREADS ? THREADS / width : 1; }

// Where a thread of a block begins. It stays in one row and processes every THREADS-th column of it.
// Spare threads get no row.
DEVICE Entry own_entry(int width) {
  const int row = (int)threadIdx.x / width;
  if (row >= rows_at_once(width)) return {1ll << 62, 0};
  return {(int64)blockIdx.x * rows_at_once(width) + row, (int)threadIdx.x - row * width};
}

#define FOR_COLUMNS(column, own, width)                               \
  _Pragma("unroll 1") for (int column = (own).column; column < (width); column += THREADS)

// Sum of w_ij (x_j - x_i) over the edges begin ... end - 1 of a row, for one column. The loads of
// several edges overlap.
DEVICE float sum_differences(int64 begin, int64 end, const int* indices, const float* weights,
                             const float* x, int width, int column, float own) {
  float total = 0.0f;
  for (int64 first = begin; first < end; first += 8) {
    int tails[8];
    float weighed[8], others[8];
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const bool inside = first + i < end;
      tails[i] = inside ? indices[first + i] : 0;
      weighed[i] = inside ? weights[first + i] : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < 8; i++) others[i] = x[(int64)tails[i] * width + column];
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const float with = total + weighed[i] * (others[i] - own);
      total = first + i < end ? with : total;
    }
  }
  return total;
}

// y = alpha (P - 1) x + beta x + gamma y, once per step (alpha, beta, gamma); x and y are swapped
// after each step. Rows of more than RUN edges are summed in runs of RUN edges: run r belongs to row
// run_rows[r], and the first run of a row is first_runs[row].
COOPERATIVE __launch_bounds__(THREADS, 3)
apply_laplacian(uint64* grid, int64 n, int width, const int64* indptr,
                            const int* indices, const float* weights, const float* inverse,
                            int64 n_runs, const int64* first_runs, const int* run_rows,
                            float* sums, float* x, float* y, int n_steps, const float* steps) {
  const Entry own = own_entry(width);
  const int64 stride = (int64)gridDim.x * rows_at_once(width);
#pragma unroll 1
  for (int step = 0; step < n_steps; step++) {
    const float alpha = steps[3 * step], beta = steps[3 * step + 1], gamma = steps[3 * step + 2];
#pragma unroll 1
    for (int64 i = own.row; i < n + n_runs; i += stride) {
      const int64 run = i - n;
      const int64 row = run < 0 ? i : run_rows[run];
      int64 begin = indptr[row], end = indptr[row + 1];
      if (run < 0 && end - begin > RUN) continue;
      if (run >= 0) {
        begin += (run - first_runs[row]) * RUN;
        end = begin + RUN < end ? begin + RUN : end;
      }
      FOR_COLUMNS(column, own, width) {
        const int64 at = row * width + column;
        const float here = x[at];
        const float total = sum_differences(begin, end, indices, weights, x, width, column, here);
        if (run < 0)
          y[at] = (alpha * inverse[row]) * total + beta * here + gamma * y[at];
        else
          sums[run * width + column] = total;
      }
    }
    if (n_runs > 0) {
      grid_barrier(grid);
#pragma unroll 1
      for (int64 i = own.row; i < n_runs; i += stride) {
        const int64 row = run_rows[i];
        if (first_runs[row] != i) continue;
        FOR_COLUMNS(column, own, width) {
          const int64 at = row * width + column;
          float total = sums[i * width + column];
#pragma unroll 1
          for (int64 run = i + 1; run < first_runs[row + 1]; run++)
            total += sums[run * width + column];
          y[at] = (alpha * inverse[row]) * total + beta * x[at] + gamma * y[at];
        }
      }
    }
    if (step + 1 < n_steps) grid_barrier(grid);
    float* const newest = y;
    y = x;
    x = newest;
  }
}

// x'Dx, x'Dy and x'D1 over blocks of BLOCK_ROWS rows: three matrices per block; the third uses its
// first row only. They are then added up in a tree: the last half is added to the first half, until
// one block is left.
COOPERATIVE __launch_bounds__(THREADS, 3)
products(uint64* grid, int64 n, int width, const double* degrees, const float* x,
                     const float* y, double* parts) {
  const int entries = width * width;
  const int64 n_blocks = (n + BLOCK_ROWS - 1) / BLOCK_ROWS;
  // Small matrices: the threads share several at a time. Large ones: each thread has several entries.
  const int at_once = entries < THREADS ? THREADS / entries : 1;
  const int own = (int)threadIdx.x / entries;
  const int64 first = own < at_once ? (int64)blockIdx.x * at_once + own : n_blocks;
#pragma unroll 1
  for (int64 block = first; block < n_blocks; block += (int64)gridDim.x * at_once) {
    const int64 begin = block * BLOCK_ROWS;
    const int64 end = begin + BLOCK_ROWS < n ? begin + BLOCK_ROWS : n;
#pragma unroll 1
    for (int entry = (int)threadIdx.x - own * entries; entry < entries; entry += THREADS) {
      const int k = entry / width, other = entry - k * width;
      double with_x = 0.0, with_y = 0.0, with_ones = 0.0;
#pragma unroll 4
      for (int64 row = begin; row < end; row++) {
        const double weighted = degrees[row] * (double)x[row * width + k];
        with_x += weighted * (double)x[row * width + other];
        with_y += weighted * (double)y[row * width + other];
        with_ones += weighted;
      }
      double* part = parts + block * 3 * entries;
      part[entry] = with_x;
      part[entries + entry] = with_y;
      if (other == 0) part[2 * entries + k] = with_ones;
      if (k > 0) part[2 * entries + entry] = 0.0;
    }
  }
#pragma unroll 1
  for (int64 count = n_blocks; count > 1; count -= count / 2) {
    grid_barrier(grid);
    const int64 half = count / 2;
    FOR_EACH(i, half * 3 * entries) parts[i] += parts[(count - half) * 3 * entries + i];
  }
}

// out = x rotation - offset, in float64. In memory, the offset follows the rotation.
KERNEL rotate_block(int64 n, int width, const float* x, const double* rotation, float* out) {
  const Entry own = own_entry(width);
  if (own.row >= n) return;
  const float* const row = x + own.row * width;
  FOR_COLUMNS(column, own, width) {
    double total = -rotation[width * width + column];
    for (int k = 0; k < width; k++) total += (double)row[k] * rotation[k * width + column];
    out[own.row * width + column] = (float)total;
  }
}

KERNEL prolong(int64 n, int width, const float* x, const int* source, float* out) {
  const Entry own = own_entry(width);
  if (own.row >= n) return;
  const float* const from = x + (int64)source[own.row] * width;
  FOR_COLUMNS(column, own, width) out[own.row * width + column] = from[column];
}

// sqrt(D) x of the first n_vectors columns, in float64. `order` is null if rows are in graph order.
KERNEL unscale(int64 n, int width, int n_vectors, const double* degrees, const float* x,
               const int* order, double* out) {
  const Entry own = own_entry(n_vectors);
  if (own.row >= n) return;
  const int64 vertex = order ? order[own.row] : own.row;
  const double root = sqrt(degrees[own.row]);
  FOR_COLUMNS(column, own, n_vectors)
    out[vertex * n_vectors + column] = root * (double)x[own.row * width + column];
}
