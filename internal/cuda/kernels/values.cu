// Operations on single values and on columns. Kernels for several types end with the type of their tensors.
#include "rows.h"

// EACH goes through n values, the grid's threads side by side.
#define EACH(i, n)                                                                                           \
  for (u64 i = (u64)block_x() * THREADS + thread_x(), step_ = (u64)grid_x() * THREADS; i < (n); i += step_)

// scale: x = a·x
KERNEL(scale, THREADS, 4)(float *x, float a, u64 n) {
  EACH(i, n)
    x[i] *= a;
}
ENTRY(scale)

// softcap: x = c·tanh(x/c)
KERNEL(softcap, THREADS, 4)(float *x, float c, u64 n) {
  EACH(i, n)
    x[i] = capped(x[i], c);
}
ENTRY(softcap)

// activation: y = act(x). y may be x.
#define ACTIVATION(NAME, V)                                                                                  \
  KERNEL(NAME, THREADS, 4)(V *y, const V *x, u64 n, int act) {                                               \
    EACH(i, n)                                                                                               \
      store(y + i, activate(to_float(x[i]), act));                                                           \
  }                                                                                                          \
  ENTRY(NAME)
ACTIVATION(activation_f32, float)
ACTIVATION(activation_bf16, bf16)

// activation_backward: dx = dy·act'(x). dx may be dy.
#define ACTIVATION_BACKWARD(NAME, V)                                                                         \
  KERNEL(NAME, THREADS, 4)(V *dx, const V *dy, const V *x, u64 n, int act) {                                 \
    EACH(i, n)                                                                                               \
      store(dx + i, to_float(dy[i]) * activate_slope(to_float(x[i]), act));                                  \
  }                                                                                                          \
  ENTRY(NAME)
ACTIVATION_BACKWARD(activation_backward_f32, float)
ACTIVATION_BACKWARD(activation_backward_bf16, bf16)

// gate_backward: dgate = dy·up·act'(gate), dup = dy·act(gate). dgate may be dy.
template <class V>
DEVICE void gate_backward(V *dgate, V *dup, const V *dy, const V *gate, const V *up, u64 n, int act) {
  EACH(i, n) {
    float d = to_float(dy[i]), g = to_float(gate[i]);
    store(dup + i, d * activate(g, act));
    store(dgate + i, d * to_float(up[i]) * activate_slope(g, act));
  }
}
#define GATE_BACKWARD(NAME, V)                                                                               \
  KERNEL(NAME, THREADS, 4)(V *dgate, V *dup, const V *dy, const V *gate, const V *up, u64 n, int act) {      \
    gate_backward(dgate, dup, dy, gate, up, n, act);                                                         \
  }                                                                                                          \
  ENTRY(NAME)
GATE_BACKWARD(gate_backward_f32, float)
GATE_BACKWARD(gate_backward_bf16, bf16)

// mix: the output function of splitmix64.
DEVICE u64 mix(u64 z) {
  z += 0x9e3779b97f4a7c15ull;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ z >> 27) * 0x94d049bb133111ebull;
  return z ^ z >> 31;
}

// dropout: y = x·keep, or 0 where a hash of seed, row number and column is less than limit, as
// fractions of 2^32. y may be x. Grid: T.
template <class V>
DEVICE void dropout(V *y, const V *x, const u64 *rows, int D, u64 seed, float keep, u64 limit) {
  u64 row = mix(seed ^ mix(rows[block_x()])), from = (u64)block_x() * D;
  for (int i = thread_x(); i < D; i += THREADS)
    store(y + from + i, mix(row + (u64)i) >> 32 < limit ? 0 : to_float(x[from + i]) * keep);
}
#define DROPOUT(NAME, V)                                                                                     \
  KERNEL(NAME, THREADS, 4)(V *y, const V *x, const u64 *rows, int D, u64 seed, float keep, u64 limit) {      \
    dropout(y, x, rows, D, seed, keep, limit);                                                               \
  }                                                                                                          \
  ENTRY(NAME)
DROPOUT(dropout_f32, float)
DROPOUT(dropout_bf16, bf16)

// scale_columns: y[t,n] = x[t,n]·factor[n] + bias[n]; bias may be 0. y may be x. Grid: T.
KERNEL(scale_columns, THREADS, 4)(float *y, const float *x, const float *factor, const float *bias, int D) {
  u64 from = (u64)block_x() * D;
  for (int i = thread_x(); i < D; i += THREADS)
    y[from + i] = x[from + i] * factor[i] + (bias ? bias[i] : 0);
}
ENTRY(scale_columns)

// column_dots: dots[n] += Σ_t x[t,n]·y[t,n] in float64. A block has 32 columns; thread group r adds the
// rows r, r+8, …, and the groups' sums are added in order.
KERNEL(column_dots, THREADS, 4)(float *dots, const float *x, const float *y, int T, int D) {
  SHARED(shared);
  double *partial = (double *)shared, sum = 0;
  int column = block_x() * 32 + thread_x() % 32, group = thread_x() / 32;
  if (column < D)
    for (int t = group; t < T; t += THREADS / 32)
      sum += (double)x[(u64)t * D + column] * (double)y[(u64)t * D + column];
  partial[thread_x()] = sum;
  barrier();
  if (group > 0 || column >= D)
    return;
  for (int g = 1; g < THREADS / 32; g++)
    sum += partial[g * 32 + thread_x()];
  dots[column] += (float)sum;
}
ENTRY(column_dots)
