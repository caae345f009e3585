// Operations on blocks of vectors: n rows of `width` columns, float32, row after row. Sums have the
// order that umapcore/linalg.py describes. A thread works out one entry, so that neighbouring
// threads read neighbouring columns of the same row.
#include "cuda.cuh"

// A row and a column of a block.
struct Entry {
  int64 row;
  int column;
};

// The entry that a thread works out, of rows of `width` columns. A division of 64 bits would take as
// long as several edges.
DEVICE Entry entry_of(int64 thread, int width) {
  if (thread < 4294967296ll) {
    const uint32 number = (uint32)thread, row = number / (uint32)width;
    return {(int64)row, (int)(number - row * (uint32)width)};
  }
  return {thread / width, (int)(thread % width)};
}

// w_ij (x_j - x_i), summed over the edges begin ... end - 1 of vertex `row`, for one column.
DEVICE float sum_differences(int64 begin, int64 end, const int* indices, const float* weights,
                             const float* x, int width, int column, float own) {
  float total = 0.0f;
  for (int64 e = begin; e < end; e++) {
    total += weights[e] * (x[(int64)indices[e] * width + column] - own);
  }
  return total;
}

// Rows of more than RUN edges are summed in runs of so many: here the runs, each by a thread a
// column. Run r belongs to row run_rows[r]; the first run of a row is first_runs[row].
KERNEL sum_runs(int64 n_runs, int width, const int* run_rows, const int64* first_runs,
                const int64* indptr, const int* indices, const float* weights, const float* x,
                float* sums) {
  const int64 thread = thread_number();
  const Entry entry = entry_of(thread, width);
  const int64 run = entry.row;
  const int column = entry.column;
  if (run >= n_runs) return;
  const int64 row = run_rows[run];
  const int64 begin = indptr[row] + (run - first_runs[row]) * RUN;
  const int64 end = begin + RUN < indptr[row + 1] ? begin + RUN : indptr[row + 1];
  sums[thread] = sum_differences(begin, end, indices, weights, x, width, column,
                                 x[row * width + column]);
}

// y = alpha (P - 1) x + beta x + gamma y.
KERNEL apply_laplacian(int64 n, int width, const int64* indptr, const int* indices,
                       const float* weights, const float* inverse, const int64* first_runs,
                       const float* sums, const float* x, float* y, float alpha, float beta,
                       float gamma) {
  const int64 thread = thread_number();
  const Entry entry = entry_of(thread, width);
  const int64 row = entry.row;
  const int column = entry.column;
  if (row >= n) return;
  const int64 begin = indptr[row], end = indptr[row + 1];
  const float own = x[thread];
  float total;
  if (end - begin <= RUN) {
    total = sum_differences(begin, end, indices, weights, x, width, column, own);
  } else {
    const int64 first = first_runs[row], last = first_runs[row + 1];
    total = sums[first * width + column];
    for (int64 run = first + 1; run < last; run++) total += sums[run * width + column];
  }
  y[thread] = (alpha * inverse[row]) * total + beta * own + gamma * y[thread];
}

// x'Dx, x'Dy and x'D1 over blocks of BLOCK_ROWS rows: three matrices a block, of the third of
// which only the first row is used.
KERNEL sum_products(int64 n, int width, const double* degrees, const float* x, const float* y,
                    double* parts) {
  const int64 thread = thread_number();
  const int entries = width * width;
  const Entry entry = entry_of(thread, entries);
  const int64 block = entry.row;
  const int k = entry.column / width, other = entry.column % width;
  const int64 begin = block * BLOCK_ROWS;
  if (begin >= n) return;
  const int64 end = begin + BLOCK_ROWS < n ? begin + BLOCK_ROWS : n;
  double with_x = 0.0, with_y = 0.0, with_ones = 0.0;
  for (int64 row = begin; row < end; row++) {
    const double weighted = degrees[row] * (double)x[row * width + k];
    with_x += weighted * (double)x[row * width + other];
    with_y += weighted * (double)y[row * width + other];
    with_ones += weighted;
  }
  double* part = parts + block * 3 * entries;
  part[k * width + other] = with_x;
  part[entries + k * width + other] = with_y;
  if (other == 0) part[2 * entries + k] = with_ones;
  if (k > 0) part[2 * entries + k * width + other] = 0.0;
}

// Add the blocks' matrices up by a tree: the last half of them to the first, again and again.
KERNEL add_parts(int64 n_blocks, int entries, double* parts) {
  const int64 entry = thread_number();
  if (entry >= entries) return;
  for (int64 count = n_blocks; count > 1; count -= count / 2) {
    const int64 half = count / 2;
    for (int64 i = 0; i < half; i++) {
      parts[i * entries + entry] += parts[(count - half + i) * entries + entry];
    }
  }
}

// out = x rotation - offset, in float64.
KERNEL rotate_block(int64 n, int width, const float* x, const double* rotation,
                    const double* offset, float* out) {
  const int64 thread = thread_number();
  const Entry entry = entry_of(thread, width);
  const int64 row = entry.row;
  const int column = entry.column;
  if (row >= n) return;
  double total = -offset[column];
  for (int k = 0; k < width; k++) {
    total += (double)x[row * width + k] * rotation[k * width + column];
  }
  out[thread] = (float)total;
}

KERNEL prolong(int64 n, int width, const float* x, const int* source, float* out) {
  const int64 thread = thread_number();
  const Entry entry = entry_of(thread, width);
  if (entry.row < n) out[thread] = x[(int64)source[entry.row] * width + entry.column];
}

// sqrt(D) x of the first columns, in float64; `order` is null where rows are in the graph's order.
KERNEL unscale(int64 n, int width, int n_vectors, const double* degrees, const float* x,
               const int* order, double* out) {
  const int64 thread = thread_number();
  const Entry entry = entry_of(thread, n_vectors);
  const int64 row = entry.row;
  const int column = entry.column;
  if (row >= n) return;
  const int64 vertex = order ? order[row] : row;
  out[vertex * n_vectors + column] = sqrt(degrees[row]) * (double)x[row * width + column];
}
