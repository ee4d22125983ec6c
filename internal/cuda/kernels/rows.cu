// Operations on rows. float32 inside; the residual stream is float32, what products read is
// bfloat16. Every row is computed by one block in one order, so its bits depend on itself alone. A
// kernel's name ends with the types of its tensors, which is one type if they are the same.
#include "rows.h"

// Rows are read eight values a thread where their length allows it.

// rms_norm: y [T,D] = x/rms(x)·w, or ·(1+w) with plus_one. One block per row.
template <class Out, class In>
DEVICE void rms_norm(Out *y, const In *x, const float *w, int D, float eps, int plus_one, u8 *shared) {
  const In *row = x + (u64)block_x() * D;
  Out *out = y + (u64)block_x() * D;
  int wide = D % 8 == 0 ? D : 0; // the values that are read by eight
  float sum = 0, v[8], a[8];
  for (int i = thread_x() * 8; i < wide; i += THREADS * 8) {
    load8(v, row + i);
    UNROLL
    for (int j = 0; j < 8; j++)
      sum = fma_(v[j], v[j], sum);
  }
  for (int i = wide + thread_x(); i < D; i += THREADS)
    sum = fma_(to_float(row[i]), to_float(row[i]), sum);
  float scale = div_(1.0f, sqrt_(div_(reduce(sum, (float *)shared), (float)D) + eps)), one = plus_one ? 1.0f : 0.0f;
  for (int i = thread_x() * 8; i < wide; i += THREADS * 8) {
    load8(v, row + i);
    load8(a, w + i);
    UNROLL
    for (int j = 0; j < 8; j++)
      v[j] = v[j] * scale * (one + a[j]);
    store8(out + i, v);
  }
  for (int i = wide + thread_x(); i < D; i += THREADS)
    store(out + i, to_float(row[i]) * scale * (one + w[i]));
}
#define RMS_NORM(NAME, OUT, IN)                                                                              \
  KERNEL(NAME, THREADS, 4)(OUT *y, const IN *x, const float *w, int D, float eps, int plus_one) {            \
    SHARED(shared);                                                                                          \
    rms_norm(y, x, w, D, eps, plus_one, shared);                                                             \
  }                                                                                                          \
  ENTRY(NAME)
RMS_NORM(rms_norm_f32, float, float)
RMS_NORM(rms_norm_bf16, bf16, bf16)
RMS_NORM(rms_norm_bf16_f32, bf16, float)
RMS_NORM(rms_norm_f32_bf16, float, bf16)

// add: y += x, n values.
template <class In> DEVICE void add(float *y, const In *x, u64 n) {
  u64 first = (u64)block_x() * THREADS + thread_x(), step = (u64)grid_x() * THREADS;
  for (u64 i = first; i < n / 8; i += step) {
    float u[8], v[8];
    load8(u, y + i * 8);
    load8(v, x + i * 8);
    UNROLL
    for (int j = 0; j < 8; j++)
      u[j] += v[j];
    store8(y + i * 8, u);
  }
  for (u64 i = n / 8 * 8 + first; i < n; i += step)
    y[i] += to_float(x[i]);
}
KERNEL(add_f32, THREADS, 4)(float *y, const float *x, u64 n) { add(y, x, n); }
ENTRY(add_f32)
KERNEL(add_f32_bf16, THREADS, 4)(float *y, const bf16 *x, u64 n) { add(y, x, n); }
ENTRY(add_f32_bf16)

// gate: y [T,F] = act(gate)·up. gate and up have rows of `stride` values, so that they can be the
// halves of one product. Grid: (⌈F/(8·THREADS)⌉, T).
template <class V> DEVICE void gate(V *y, const V *gate, const V *up, int F, int stride, int act) {
  int first = (block_x() * THREADS + thread_x()) * 8;
  if (first >= F)
    return;
  y += (u64)block_y() * F + first;
  gate += (u64)block_y() * stride + first;
  up += (u64)block_y() * stride + first;
  if (first + 8 <= F && aligned16(y) && aligned16(gate) && aligned16(up)) {
    float u[8], v[8];
    load8(u, gate);
    load8(v, up);
    UNROLL
    for (int i = 0; i < 8; i++)
      v[i] *= activate(u[i], act);
    store8(y, v);
    return;
  }
  for (int i = 0; i < min_(8, F - first); i++)
    store(y + i, activate(to_float(gate[i]), act) * to_float(up[i]));
}
KERNEL(gate_bf16, THREADS, 4)
(bf16 *y, const bf16 *g, const bf16 *up, int F, int stride, int act) { gate(y, g, up, F, stride, act); }
ENTRY(gate_bf16)
KERNEL(gate_f32, THREADS, 4)
(float *y, const float *g, const float *up, int F, int stride, int act) { gate(y, g, up, F, stride, act); }
ENTRY(gate_f32)

// sin_cos: the angle is reduced by multiples of π/2 in three steps (Cody and Waite), which is exact
// enough to 2^17, and then by the polynomials of the Cephes library. No table, no local memory, and
// the same bits on a CPU.
DEVICE void sin_cos(float angle, float *sin, float *cos) {
  float n = rint_(angle * 0.636619772f);
  float r = fma_(n, -1.5707962513f, angle);
  r = fma_(n, -7.5497894159e-08f, r);
  r = fma_(n, -5.3903029534e-15f, r);
  float z = r * r;
  float s = fma_(fma_(fma_(-1.9515295891e-4f, z, 8.3321608736e-3f), z, -1.6666654611e-1f), z * r, r);
  float c = fma_(fma_(fma_(2.443315711809948e-5f, z, -1.388731625493765e-3f), z, 4.166664568298827e-2f), z * z,
                 fma_(-0.5f, z, 1.0f));
  int quarter = (int)n & 3;
  float a = quarter & 1 ? c : s, b = quarter & 1 ? s : c;
  *sin = quarter & 2 ? -a : a;
  *cos = quarter == 1 || quarter == 2 ? -b : b;
}

// rotary: the first 2·pairs values of each head of x [T, heads·width] rotate in place: i and i+pairs
// by position·freqs[i]; inverse by minus that. Grid: T.
template <class V>
DEVICE void rotary(V *x, const int *positions, const float *freqs, int heads, int width, int pairs, int stride,
                   float scale, int inverse) {
  V *row = x + (u64)block_x() * stride;
  float position = (float)positions[block_x()];
  for (int id = thread_x(); id < heads * pairs; id += THREADS) {
    int i = id % pairs;
    V *p = row + id / pairs * width + i;
    float sin, cos;
    sin_cos(position * freqs[i], &sin, &cos);
    sin *= inverse ? -scale : scale;
    cos *= scale;
    float u = to_float(p[0]), v = to_float(p[pairs]);
    store(p, fma_(u, cos, -(v * sin)));
    store(p + pairs, fma_(v, cos, u * sin));
  }
}
KERNEL(rotary_bf16, THREADS, 4)
(bf16 *x, const int *positions, const float *freqs, int heads, int width, int pairs, int stride, float scale,
 int inverse) {
  rotary(x, positions, freqs, heads, width, pairs, stride, scale, inverse);
}
ENTRY(rotary_bf16)
KERNEL(rotary_f32, THREADS, 4)
(float *x, const int *positions, const float *freqs, int heads, int width, int pairs, int stride, float scale,
 int inverse) {
  rotary(x, positions, freqs, heads, width, pairs, stride, scale, inverse);
}
ENTRY(rotary_f32)

// embed: y [T,D] = scale·table[ids]; with `round` each product is rounded to bfloat16. Grid: T.
template <class V> DEVICE void embed_rows(float *y, const V *table, const int *ids, int D, float scale, int round) {
  const V *from = table + (u64)ids[block_x()] * D;
  for (int i = thread_x(); i < D; i += THREADS) {
    float v = to_float(from[i]) * scale;
    y[(u64)block_x() * D + i] = round ? round_bf16(v) : v;
  }
}
KERNEL(embed, THREADS, 4)(float *y, const bf16 *table, const int *ids, int D, float scale, int round) {
  embed_rows(y, table, ids, D, scale, round);
}
ENTRY(embed)
KERNEL(embed_f32, THREADS, 4)(float *y, const float *table, const int *ids, int D, float scale, int round) {
  embed_rows(y, table, ids, D, scale, round);
}
ENTRY(embed_f32)

// convert: y = x in bfloat16, n values; bad[0] grows by the number of infinities and NaNs.
KERNEL(convert_bf16, THREADS, 4)(bf16 *y, const float *x, u64 n, u32 *bad) {
  for (u64 i = (u64)block_x() * THREADS + thread_x(); i < n; i += (u64)grid_x() * THREADS) {
    if ((float_bits(x[i]) & 0x7f800000u) == 0x7f800000u)
      atomic_add(bad, 1);
    y[i] = to_bf16(x[i]);
  }
}
ENTRY(convert_bf16)
