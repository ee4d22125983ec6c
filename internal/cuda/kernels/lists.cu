// Rows moved by lists of row numbers, and heads. Kernels for several types end with the types of their
// tensors, which is one type if they are the same.
#include "rows.h"

template <class Y, class X> DEVICE void copy_row(Y *y, const X *x, int D) {
  for (int i = thread_x(); i < D; i += THREADS)
    store(y + i, to_float(x[i]));
}

// gather: y[i] = x[rows[i]]. Grid: rows of y. scatter: y[rows[i]] = x[i]; the rows are distinct. Grid: rows
// of x.
#define MOVE_ROWS(TYPES, Y, X)                                                                               \
  KERNEL(gather_##TYPES, THREADS, 4)(Y *y, const X *x, const int *rows, int D) {                             \
    copy_row(y + (u64)block_x() * D, x + (u64)rows[block_x()] * D, D);                                       \
  }                                                                                                          \
  ENTRY(gather_##TYPES)                                                                                      \
  KERNEL(scatter_##TYPES, THREADS, 4)(Y *y, const X *x, const int *rows, int D) {                            \
    copy_row(y + (u64)rows[block_x()] * D, x + (u64)block_x() * D, D);                                       \
  }                                                                                                          \
  ENTRY(scatter_##TYPES)
MOVE_ROWS(f32, float, float)
MOVE_ROWS(bf16, bf16, bf16)
MOVE_ROWS(f32_bf16, float, bf16)
MOVE_ROWS(bf16_f32, bf16, float)

// add_rows: y[i] += table[rows[i]]. Grid: rows of y.
KERNEL(add_rows_f32, THREADS, 4)(float *y, const float *table, const int *rows, int D) {
  const float *from = table + (u64)rows[block_x()] * D;
  float *to = y + (u64)block_x() * D;
  for (int i = thread_x(); i < D; i += THREADS)
    to[i] += from[i];
}
ENTRY(add_rows_f32)

// scatter_add: y[rows[i]] += x[i] for i < n, in order; rows may repeat. A thread has one column.
// Grid: ⌈D/THREADS⌉.
KERNEL(scatter_add, THREADS, 4)(float *y, const float *x, const int *rows, int n, int D) {
  int column = block_x() * THREADS + thread_x();
  if (column >= D)
    return;
  for (int i = 0; i < n; i++)
    y[(u64)rows[i] * D + column] += x[(u64)i * D + column];
}
ENTRY(scatter_add)

// heads: a row of qkv has q|k|v of `width` values for each head. They are copied to rows of q, k and v
// of D values, or back with join. Grid: T.
template <class V> DEVICE void split_heads(V *q, V *k, V *v, V *qkv, int D, int width, int join) {
  u64 row = (u64)block_x() * D;
  for (int i = thread_x(); i < 3 * D; i += THREADS) {
    int head = i / (3 * width), part = i / width % 3;
    V *own = (part == 0 ? q : part == 1 ? k : v) + row + head * width + i % width, *joint = qkv + 3 * row + i;
    if (join)
      *joint = *own;
    else
      *own = *joint;
  }
}
#define HEADS(NAME, V)                                                                                       \
  KERNEL(NAME, THREADS, 4)(V *q, V *k, V *v, V *qkv, int D, int width, int join) {                           \
    split_heads(q, k, v, qkv, D, width, join);                                                               \
  }                                                                                                          \
  ENTRY(NAME)
HEADS(heads_f32, float)
HEADS(heads_bf16, bf16)

// paste: copies x [rows, n] into y at a column, whose rows have `stride` values; without x it fills
// those columns with -∞. Grid: rows.
KERNEL(paste, THREADS, 4)(float *y, const float *x, int n, u64 stride, int column) {
  float *to = y + block_x() * stride + column;
  for (int i = thread_x(); i < n; i += THREADS)
    to[i] = x ? x[(u64)block_x() * n + i] : bits_float(0xff800000u);
}
ENTRY(paste)
