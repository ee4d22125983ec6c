// Weights and the rows of products in the types that products read: conversion, rotation by Hadamard
// blocks and 8-bit integers. tensor.Device.MatMul defines the last two; their bits are the CPU's.
#include "kernel.h"

enum { THREADS = 256 };

DEVICE bool finite(float v) { return (float_bits(v) & 0x7f800000u) != 0x7f800000u; }

// rows: y [rows, width] = x [rows, K] with zeros from K on; rows are ldx and ldy values apart. bad[0], if
// there is one, grows by the number of infinities and NaNs.
template <class Out, class In>
DEVICE void convert_rows(Out *y, const In *x, int K, int ldx, int width, int ldy, u64 rows, u32 *bad) {
  u64 chunks = (width + 7) / 8;
  bool whole = K % 8 == 0 && ldx % 8 == 0 && width % 8 == 0 && ldy % 8 == 0 && aligned16(x) && aligned16(y);
  for (u64 id = (u64)block_x() * THREADS + thread_x(); id < rows * chunks; id += (u64)grid_x() * THREADS) {
    u64 row = id / chunks;
    int first = id % chunks * 8;
    const In *from = x + row * ldx + first;
    Out *to = y + row * ldy + first;
    float v[8];
    if (whole && first < K)
      load8(v, from);
    else
      UNROLL
      for (int i = 0; i < 8; i++)
        v[i] = first + i < K ? to_float(from[i]) : 0;
    UNROLL
    for (int i = 0; i < 8; i++)
      if (bad && !finite(v[i]))
        atomic_add(bad, 1);
    if (whole)
      store8(to, v);
    else
      UNROLL
      for (int i = 0; i < 8; i++)
        if (first + i < width)
          store(to + i, v[i]);
  }
}
#define ROWS_KERNEL(NAME, OUT, IN)                                                                           \
  KERNEL(NAME, THREADS, 4)(OUT *y, const IN *x, int K, int ldx, int width, int ldy, u64 rows, u32 *bad) {    \
    convert_rows(y, x, K, ldx, width, ldy, rows, bad);                                                       \
  }                                                                                                          \
  ENTRY(NAME)
ROWS_KERNEL(rows_f32_to_f32, float, float)
ROWS_KERNEL(rows_f32_to_bf16, bf16, float)
ROWS_KERNEL(rows_bf16_to_f32, float, bf16)
ROWS_KERNEL(rows_bf16_to_bf16, bf16, bf16)

// select_rows: y[i] = x[rows[i]], rows of `words` 32-bit words; those of x are ldx words apart. Grid: the rows
// of y.
KERNEL(select_rows, THREADS, 4)(u32 *y, const u32 *x, const int *rows, int words, int ldx) {
  const u32 *from = x + (u64)rows[block_x()] * ldx;
  for (int i = thread_x(); i < words; i += THREADS)
    y[(u64)block_x() * words + i] = from[i];
}
ENTRY(select_rows)

// A row is rotated in pieces: blocks of 512 values, then of 256, 128 and 64, and what is left, which has
// the blocks of 32 to 1. One warp has one piece, and a lane 16 values of it.
enum { LONGEST = 512, SCALED = 64 };
DEVICE int pieces(int K) {
  int rest = K % LONGEST;
  return K / LONGEST + (rest >> 8 & 1) + (rest >> 7 & 1) + (rest >> 6 & 1) + (rest % SCALED != 0);
}
struct Piece {
  int first, length;
};
DEVICE Piece piece(int K, int number) {
  int whole = K / LONGEST;
  if (number < whole)
    return {number * LONGEST, LONGEST};
  int first = whole * LONGEST, rest = K - first;
  number -= whole;
  for (int b = LONGEST / 2; b >= SCALED; b /= 2)
    if (rest & b) {
      if (number-- == 0)
        return {first, b};
      first += b;
    }
  return {first, K - first};
}

// root is 1/√b of a power of two.
DEVICE float root(int b) {
  float r = 1;
  for (; b >= 4; b /= 4)
    r *= 0.5f;
  return b == 2 ? r * 0.70710678118654752f : r;
}

// rotate_piece rotates the 16 values of each lane as one block of `length` values, at least 64. The lanes
// behind it take part.
DEVICE void rotate_piece(float (&v)[16], int length) {
  UNROLL
  for (int h = 1; h < 16; h *= 2)
    UNROLL
    for (int i = 0; i < 16; i++)
      if (!(i & h)) {
        float a = v[i], b = v[i + h];
        v[i] = a + b;
        v[i + h] = a - b;
      }
  for (int mask = 1; mask * 16 < length; mask *= 2) {
    bool upper = thread_x() & mask;
    UNROLL
    for (int i = 0; i < 16; i++) {
      float other = shfl_xor(v[i], mask);
      v[i] = upper ? other - v[i] : v[i] + other;
    }
  }
  float scale = root(length);
  UNROLL
  for (int i = 0; i < 16; i++)
    v[i] *= scale;
}

// rotate_rest rotates fewer than 64 values in memory, by one thread.
DEVICE void rotate_rest(float *v, int length) {
  for (int b = SCALED / 2; length > 0; v += b, length -= b) {
    while (b > length)
      b /= 2;
    for (int h = 1; h < b; h *= 2)
      for (int i = 0; i < b; i++)
        if (!(i & h)) {
          float x = v[i], y = v[i + h];
          v[i] = x + y;
          v[i + h] = x - y;
        }
    float scale = root(b);
    for (int i = 0; i < b; i++)
      v[i] *= scale;
  }
}

template <class In> DEVICE void load16(float (&v)[16], const In *from, bool valid) {
  bool wide = aligned16(from);
  UNROLL
  for (int half = 0; half < 2; half++) {
    float part[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    if (valid && wide)
      load8(part, from + half * 8);
    else if (valid)
      UNROLL
      for (int i = 0; i < 8; i++)
        part[i] = to_float(from[half * 8 + i]);
    UNROLL
    for (int i = 0; i < 8; i++)
      v[half * 8 + i] = part[i];
  }
}

// hadamard: y [rows, K] = x rotated, or y += with add; y may be x. A warp per piece of a row.
KERNEL(hadamard, THREADS, 4)(float *y, const float *x, int K, u64 rows, int add) {
  SHARED(shared);
  int per_row = pieces(K), lane = thread_x() % 32;
  float *rest = (float *)shared + thread_x() / 32 * SCALED;
  u64 first = (u64)block_x() * (THREADS / 32) + thread_x() / 32, warps = (u64)grid_x() * (THREADS / 32);
  for (u64 id = first; id < rows * per_row; id += warps) {
    Piece p = piece(K, id % per_row);
    const float *from = x + id / per_row * K + p.first;
    float *to = y + id / per_row * K + p.first;
    if (p.length < SCALED) {
      if (lane == 0) {
        for (int i = 0; i < p.length; i++)
          rest[i] = from[i];
        rotate_rest(rest, p.length);
        for (int i = 0; i < p.length; i++)
          to[i] = add ? to[i] + rest[i] : rest[i];
      }
      continue;
    }
    float v[16];
    bool valid = lane * 16 < p.length;
    load16(v, from + lane * 16, valid);
    rotate_piece(v, p.length);
    if (valid)
      UNROLL
      for (int i = 0; i < 16; i++)
        to[lane * 16 + i] = add ? to[lane * 16 + i] + v[i] : v[i];
  }
}
ENTRY(hadamard)

// Quantum is the scale of 64 values, and the inverse that they are multiplied with to become integers: 0
// if all integers are 0. top has the bits of their largest magnitude.
struct Quantum {
  float scale, inverse;
};
DEVICE Quantum quantum(u32 top, bool weights) {
  const float largest = 3.40282347e38f;
  float t = bits_float(top);
  Quantum q = {div_(t, 127.0f), div_(127.0f, t)};
  if (!(q.inverse > 0 && q.inverse <= largest)) // zero, too small, or not finite: then the scale is NaN
    q = {t * 0, 0};
  if (weights) {
    q.scale = bits_float((float_bits(q.scale) + 0xffffu) & 0xffff0000u);
    if (q.inverse != 0)
      q.inverse = div_(1.0f, q.scale);
  }
  return q;
}
DEVICE u32 whole(float v, Quantum q) { return q.inverse == 0 ? 0 : (u32)(int)rint_(v * q.inverse) & 0xff; }
DEVICE u32 magnitude(float v) { return float_bits(v) & 0x7fffffffu; }

// quantize: q [rows, blocks·64] and scales [rows, lds] of x [rows, K] rotated, whose rows are ldx values
// apart. Scales of weights are rounded up to bfloat16. bad[0], if there is one, grows by the number of
// infinities and NaNs in x. A warp per piece of a row.
template <class In, class Scale>
DEVICE void quantize(u8 *shared, u8 *q, Scale *scales, const In *x, int K, int ldx, int lds, u64 rows, u32 *bad) {
  const bool weights = sizeof(Scale) == 2;
  int per_row = pieces(K), lane = thread_x() % 32, blocks = (K + SCALED - 1) / SCALED;
  float *rest = (float *)shared + thread_x() / 32 * SCALED;
  u64 first = (u64)block_x() * (THREADS / 32) + thread_x() / 32, warps = (u64)grid_x() * (THREADS / 32);
  for (u64 id = first; id < rows * per_row; id += warps) {
    Piece p = piece(K, id % per_row);
    const In *from = x + id / per_row * ldx + p.first;
    vec16 *to = (vec16 *)(q + (id / per_row * blocks * SCALED + p.first));
    Scale *scale = scales + id / per_row * lds + p.first / SCALED;
    if (p.length < SCALED) {
      if (lane == 0) {
        u32 top = 0;
        for (int i = 0; i < SCALED; i++) {
          rest[i] = i < p.length ? to_float(from[i]) : 0;
          if (bad && !finite(rest[i]))
            atomic_add(bad, 1);
        }
        rotate_rest(rest, p.length);
        for (int i = 0; i < p.length; i++)
          top = top < magnitude(rest[i]) ? magnitude(rest[i]) : top;
        Quantum u = quantum(top, weights);
        store(scale, u.scale);
        for (int i = 0; i < SCALED; i++)
          ((u8 *)to)[i] = (u8)whole(rest[i], u);
      }
      continue;
    }
    float v[16];
    bool valid = lane * 16 < p.length;
    load16(v, from + lane * 16, valid);
    UNROLL
    for (int i = 0; i < 16; i++)
      if (bad && !finite(v[i]))
        atomic_add(bad, 1);
    rotate_piece(v, p.length);
    u32 top = 0; // of the lane, then of the four lanes that share a scale
    UNROLL
    for (int i = 0; i < 16; i++)
      top = top < magnitude(v[i]) ? magnitude(v[i]) : top;
    for (int mask = 1; mask < 4; mask *= 2) {
      u32 other = float_bits(shfl_xor(bits_float(top), mask));
      top = top < other ? other : top;
    }
    if (!valid)
      continue;
    Quantum u = quantum(top, weights);
    vec16 packed;
    UNROLL
    for (int w = 0; w < 4; w++)
      packed.w[w] = whole(v[4 * w], u) | whole(v[4 * w + 1], u) << 8 | whole(v[4 * w + 2], u) << 16 | whole(v[4 * w + 3], u) << 24;
    to[lane] = packed;
    if (lane % 4 == 0)
      store(scale + lane / 4, u.scale);
  }
}
#define QUANTIZE(NAME, IN, SCALE)                                                                            \
  KERNEL(NAME, THREADS, 4)(u8 *q, SCALE *scales, const IN *x, int K, int ldx, int lds, u64 rows, u32 *bad) { \
    SHARED(shared);                                                                                          \
    quantize(shared, q, scales, x, K, ldx, lds, rows, bad);                                                  \
  }                                                                                                          \
  ENTRY(NAME)
QUANTIZE(quantize_rows, float, float)
QUANTIZE(quantize_weights_f32, float, bf16)
QUANTIZE(quantize_weights_bf16, bf16, bf16)

// dequantize: y [rows, ldy] = the integers of rotated weights times their scales, rounded to bfloat16,
// with zeros from K on.
template <class Out>
DEVICE void dequantize(Out *y, const u8 *q, const bf16 *scales, int K, int lds, int ldy, u64 rows) {
  int blocks = (K + SCALED - 1) / SCALED;
  for (u64 id = (u64)block_x() * THREADS + thread_x(); id < rows * ldy; id += (u64)grid_x() * THREADS) {
    u64 row = id / ldy;
    int k = id % ldy;
    float v = 0;
    if (k < K)
      v = (float)(signed char)q[row * blocks * SCALED + k] * to_float(scales[row * lds + k / SCALED]);
    store(y + id, round_bf16(v));
  }
}
KERNEL(dequantize_bf16, THREADS, 4)(bf16 *y, const u8 *q, const bf16 *scales, int K, int lds, int ldy, u64 rows) {
  dequantize(y, q, scales, K, lds, ldy, rows);
}
ENTRY(dequantize_bf16)
KERNEL(dequantize_f32, THREADS, 4)(float *y, const u8 *q, const bf16 *scales, int K, int lds, int ldy, u64 rows) {
  dequantize(y, q, scales, K, lds, ldy, rows);
}
ENTRY(dequantize_f32)
