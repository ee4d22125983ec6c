// Norms with more than rows.cu's: their backward passes, layer norm, and the sum that enters the
// residual stream. One block per row; a row's bits depend on itself alone. A kernel's name ends with the
// types of its tensors, which is one type if they are the same.
#include "rows.h"

// inverse_rms: 1/√(mean(x²)+eps) of a row.
template <class X> DEVICE float inverse_rms(const X *x, int D, float eps, float *partial) {
  float sum = 0;
  for (int i = thread_x(); i < D; i += THREADS)
    sum = fma_(to_float(x[i]), to_float(x[i]), sum);
  return div_(1.0f, sqrt_(div_(reduce(sum, partial), (float)D) + eps));
}

// rms_norm_backward: dx = ρ·g - x·ρ³·mean(g·x) with g = dy·w, or dy·(1+w) with plus_one; with
// accumulate it is added to dx. dx may be dy.
template <class DX, class DY, class X>
DEVICE void rms_norm_backward(DX *dx, const DY *dy, const X *x, const float *w, int D, float eps, int plus_one,
                              int accumulate, u8 *shared) {
  float *partial = (float *)shared, one = plus_one ? 1.0f : 0.0f, dot = 0;
  u64 row = (u64)block_x() * D;
  dx += row, dy += row, x += row;
  float rho = inverse_rms(x, D, eps, partial);
  for (int i = thread_x(); i < D; i += THREADS)
    dot = fma_(to_float(dy[i]) * (one + w[i]), to_float(x[i]), dot);
  float c = div_(reduce(dot, partial + THREADS / 32), (float)D) * rho * rho * rho;
  for (int i = thread_x(); i < D; i += THREADS) {
    float v = fma_(-c, to_float(x[i]), rho * (to_float(dy[i]) * (one + w[i])));
    store(dx + i, accumulate ? to_float(dx[i]) + v : v);
  }
}
#define RMS_NORM_BACKWARD(NAME, DX, DY, X)                                                                   \
  KERNEL(NAME, THREADS, 4)                                                                                   \
  (DX *dx, const DY *dy, const X *x, const float *w, int D, float eps, int plus_one, int accumulate) {       \
    SHARED(shared);                                                                                          \
    rms_norm_backward(dx, dy, x, w, D, eps, plus_one, accumulate, shared);                                   \
  }                                                                                                          \
  ENTRY(NAME)
RMS_NORM_BACKWARD(rms_norm_backward_f32, float, float, float)
RMS_NORM_BACKWARD(rms_norm_backward_bf16, bf16, bf16, bf16)
RMS_NORM_BACKWARD(rms_norm_backward_bf16_f32_bf16, bf16, float, bf16)

// add_rms_norm: sum = x + d, or x + the norm of d with post; y = the norm of sum. sum may be x or d.
template <class Y, class D_>
DEVICE void add_rms_norm(Y *y, float *sum, const float *x, const D_ *d, const float *post, const float *next, int D,
                         float post_eps, float next_eps, int post_one, int next_one, u8 *shared) {
  float *partial = (float *)shared, one = post_one ? 1.0f : 0.0f, squares = 0, rho = 1;
  u64 row = (u64)block_x() * D;
  y += row, sum += row, x += row, d += row;
  if (post)
    rho = inverse_rms(d, D, post_eps, partial);
  for (int i = thread_x(); i < D; i += THREADS) {
    float v = x[i] + (post ? to_float(d[i]) * rho * (one + post[i]) : to_float(d[i]));
    sum[i] = v;
    squares = fma_(v, v, squares);
  }
  rho = div_(1.0f, sqrt_(div_(reduce(squares, partial + THREADS / 32), (float)D) + next_eps));
  one = next_one ? 1.0f : 0.0f;
  for (int i = thread_x(); i < D; i += THREADS)
    store(y + i, sum[i] * rho * (one + next[i]));
}
#define ADD_RMS_NORM(NAME, Y, D_)                                                                            \
  KERNEL(NAME, THREADS, 4)                                                                                   \
  (Y *y, float *sum, const float *x, const D_ *d, const float *post, const float *next, int D, float post_eps, \
   float next_eps, int post_one, int next_one) {                                                             \
    SHARED(shared);                                                                                          \
    add_rms_norm(y, sum, x, d, post, next, D, post_eps, next_eps, post_one, next_one, shared);               \
  }                                                                                                          \
  ENTRY(NAME)
ADD_RMS_NORM(add_rms_norm_f32, float, float)
ADD_RMS_NORM(add_rms_norm_bf16_f32, bf16, float)
ADD_RMS_NORM(add_rms_norm_bf16, bf16, bf16)

// moments: the mean of a row and 1/√(var+eps). The variance is that of the differences from the mean.
DEVICE void moments(const float *x, int D, float eps, float *partial, float *mean, float *rho) {
  float sum = 0, squares = 0;
  for (int i = thread_x(); i < D; i += THREADS)
    sum += x[i];
  *mean = div_(reduce(sum, partial), (float)D);
  for (int i = thread_x(); i < D; i += THREADS)
    squares = fma_(x[i] - *mean, x[i] - *mean, squares);
  *rho = div_(1.0f, sqrt_(div_(reduce(squares, partial + THREADS / 32), (float)D) + eps));
}

// layer_norm: y = (x-mean)/√(var+eps)·w + b. y may be x.
template <class Y>
DEVICE void layer_norm(Y *y, const float *x, const float *w, const float *b, int D, float eps, u8 *shared) {
  u64 row = (u64)block_x() * D;
  y += row, x += row;
  float mean, rho;
  moments(x, D, eps, (float *)shared, &mean, &rho);
  for (int i = thread_x(); i < D; i += THREADS)
    store(y + i, fma_((x[i] - mean) * rho, w[i], b[i]));
}
#define LAYER_NORM(NAME, Y)                                                                                  \
  KERNEL(NAME, THREADS, 4)(Y *y, const float *x, const float *w, const float *b, int D, float eps) {         \
    SHARED(shared);                                                                                          \
    layer_norm(y, x, w, b, D, eps, shared);                                                                  \
  }                                                                                                          \
  ENTRY(NAME)
LAYER_NORM(layer_norm_f32, float)
LAYER_NORM(layer_norm_bf16_f32, bf16)

// layer_norm_backward: with g = dy·w and n the normalised row, dx = ρ·(g - mean(g) - n·mean(g·n)); with
// accumulate it is added to dx. dx may be dy.
KERNEL(layer_norm_backward_f32, THREADS, 4)
(float *dx, const float *dy, const float *x, const float *w, int D, float eps, int accumulate) {
  SHARED(shared);
  float *partial = (float *)shared, mean, rho, sum = 0, dot = 0;
  u64 row = (u64)block_x() * D;
  dx += row, dy += row, x += row;
  moments(x, D, eps, partial, &mean, &rho);
  for (int i = thread_x(); i < D; i += THREADS) {
    float g = dy[i] * w[i];
    sum += g;
    dot = fma_(g, (x[i] - mean) * rho, dot);
  }
  sum = div_(reduce(sum, partial + 2 * (THREADS / 32)), (float)D);
  dot = div_(reduce(dot, partial + 3 * (THREADS / 32)), (float)D);
  for (int i = thread_x(); i < D; i += THREADS) {
    float v = rho * (dy[i] * w[i] - sum - (x[i] - mean) * rho * dot);
    dx[i] = accumulate ? dx[i] + v : v;
  }
}
ENTRY(layer_norm_backward_f32)
