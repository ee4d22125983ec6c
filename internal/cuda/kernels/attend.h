// What the kernels of attention share: which rows a block computes, tiles of heads in shared memory,
// and products of these tiles.
//
// Scores have a row for each query and each of the `group` query heads that share a key/value head.
// The heads of a query are adjacent: row r of a sequence is query r/group, head r%group of the group.
// Sums run over the head's width or over the keys in ascending order, in parts of a fixed size that
// start at absolute places, and a key that a row does not see adds exactly zero. A row's bits are
// therefore the same in every tile, for every number of rows, and in every kernel of attend.cu.
//
// E is the type of q, k, v, the result and their gradients. Scores and sums are float32.
#pragma once
#include "kernel.h"

// Layout is a tensor.Layout in device memory. Sequence s has the queries starts[s] ≤ i < starts[s+1],
// the first of them at position past[s], and the keys keys[key_starts[s]] … of the rows of k and v.
struct Layout {
  const int *keys, *key_starts, *starts, *past;
  int sequences;
};

// Shape is a tensor.Attention. A query has query_stride values, a row of k and v key_stride.
struct Shape {
  int group, width, query_stride, key_stride;
  float scale, softcap; // softcap 0: none
  int window, causal;   // window 0: none
};

#define LAYOUT_ARGUMENTS const int *keys, const int *key_starts, const int *starts, const int *past, int sequences
#define SHAPE_ARGUMENTS int group, int width, int query_stride, int key_stride, float scale, float softcap, int window, int causal
#define LAYOUT (Layout{keys, key_starts, starts, past, sequences})
#define SHAPE (Shape{group, width, query_stride, key_stride, scale, softcap, window, causal})

// Part is a range of a sequence's rows or keys.
struct Part {
  int sequence, first, end;
};

// part returns the tile of M rows of this block. Sequence s has the tiles from starts[s]·unit/M + s on,
// so that no list of tiles is needed. These are enough for its rows; the last may be empty.
template <int M> DEVICE Part part(int tile, const int *starts, int sequences, int unit) {
  int lo = 0, hi = sequences - 1;
  while (lo < hi) {
    int middle = (lo + hi + 1) / 2;
    if (starts[middle] * unit / M + middle <= tile)
      lo = middle;
    else
      hi = middle - 1;
  }
  int first = (tile - starts[lo] * unit / M - lo) * M, rows = (starts[lo + 1] - starts[lo]) * unit;
  return {lo, first, min_(first + M, rows)};
}

struct Range {
  int lo, hi;
};
// visible returns the range of n keys that the query at a position sees.
DEVICE Range visible(Shape s, int position, int n) {
  int hi = s.causal ? min_(n, position + 1) : n;
  int lo = s.window > 0 && position >= s.window ? position - s.window + 1 : 0;
  return {min_(lo, hi), hi};
}

// CHUNK is how many values have 16 bytes.
template <class E> constexpr int CHUNK = 16 / sizeof(E);

// A tile holds rows of D values. The 16 bytes between rows keep the lanes of a fragment in different
// banks, along rows and across them.
template <class E, int D> constexpr int STRIDE = D + CHUNK<E>;

// copy_rows begins to copy ROWS rows of `width` values into a tile; at(r) is the address of row r, or
// null for a row of zeros. Values from width to D become zero. Without `wide` no 16 bytes can be
// copied at once.
template <int ROWS, int D, int THREADS, class E, class At>
DEVICE void copy_rows(E *tile, const E *x, int width, bool wide, At at) {
  for (int id = thread_x(); id < ROWS * (D / CHUNK<E>); id += THREADS) {
    int r = id / (D / CHUNK<E>), c = id % (D / CHUNK<E>)*CHUNK<E>;
    const E *from = at(r);
    E *to = tile + r * STRIDE<E, D> + c;
    if (wide) {
      bool valid = from && c < width;
      cp_async16(to, valid ? from + c : x, valid);
    } else {
      UNROLL
      for (int i = 0; i < CHUNK<E>; i++)
        to[i] = from && c + i < width ? from[c + i] : E{};
    }
  }
}
template <class E> DEVICE bool wide_rows(const E *x, int width, int stride) {
  return aligned16(x) && width % CHUNK<E> == 0 && stride % CHUNK<E> == 0;
}

// Fragments of mma_tf32, each value as a sum of two. A product of two such sums leaves out lo·lo, which
// is 2^-22 of it. The lo of a bfloat16 is zero, and left out.
template <class E> struct Left {
  u32 hi[4], lo[4];
};
template <class E> struct Right {
  u32 hi[2], lo[2];
};
template <class E> constexpr bool EXACT = sizeof(E) == 2;
DEVICE void split(float x, u32 &hi, u32 &lo) { split_tf32(x, hi, lo); }
DEVICE void split(bf16 x, u32 &hi, u32 &) { hi = (u32)x.bits << 16; }

template <class A, class B> DEVICE void multiply(float (&d)[4], const Left<A> &a, const Right<B> &b) {
  if constexpr (!EXACT<A>)
    mma_tf32(d, a.lo, b.hi[0], b.hi[1]);
  if constexpr (!EXACT<B>)
    mma_tf32(d, a.hi, b.lo[0], b.lo[1]);
  mma_tf32(d, a.hi, b.hi[0], b.hi[1]);
}

// left and right read the 16 or 8 rows at p, whose k lie side by side.
template <class E> DEVICE Left<E> left(const E *p, int stride) {
  p += thread_x() % 32 / 4 * stride + thread_x() % 4;
  Left<E> a;
  split(p[0], a.hi[0], a.lo[0]);
  split(p[8 * stride], a.hi[1], a.lo[1]);
  split(p[4], a.hi[2], a.lo[2]);
  split(p[8 * stride + 4], a.hi[3], a.lo[3]);
  return a;
}
template <class E> DEVICE Right<E> right(const E *p, int stride) {
  p += thread_x() % 32 / 4 * stride + thread_x() % 4;
  Right<E> b;
  split(p[0], b.hi[0], b.lo[0]);
  split(p[4], b.hi[1], b.lo[1]);
  return b;
}
// Where k is the column of an earlier result, its eight values are taken in the order 0, 2, 4, 6, 1,
// 3, 5, 7: then a lane's values of the result are those of the fragment.
DEVICE Left<float> left_of(const float (&d)[4]) {
  Left<float> a;
  split_tf32(d[0], a.hi[0], a.lo[0]);
  split_tf32(d[2], a.hi[1], a.lo[1]);
  split_tf32(d[1], a.hi[2], a.lo[2]);
  split_tf32(d[3], a.hi[3], a.lo[3]);
  return a;
}
// right_across reads the 8 columns at p of the rows that are k, in this order.
template <class E> DEVICE Right<E> right_across(const E *p, int stride) {
  p += thread_x() % 4 * 2 * stride + thread_x() % 32 / 4;
  Right<E> b;
  split(p[0], b.hi[0], b.lo[0]);
  split(p[stride], b.hi[1], b.lo[1]);
  return b;
}
// load_result and store_result move a lane's values of the 16×8 result at p.
DEVICE void load_result(float (&d)[4], const float *p, int stride) {
  p += thread_x() % 32 / 4 * stride + thread_x() % 4 * 2;
  d[0] = p[0], d[1] = p[1], d[2] = p[8 * stride], d[3] = p[8 * stride + 1];
}
DEVICE void store_result(float *p, int stride, const float (&d)[4]) {
  p += thread_x() % 32 / 4 * stride + thread_x() % 4 * 2;
  p[0] = d[0], p[1] = d[1], p[8 * stride] = d[2], p[8 * stride + 1] = d[3];
}

// Tensor cores cut sums off instead of rounding them. Chains in them are therefore short: CHAIN values
// of the head's width, or a block of keys. Their results are added in float32.
template <int D> constexpr int CHAIN = D % 64 == 0 ? 64 : D % 48 == 0 ? 48 : D;

// dots sets d, N tiles of 16×8, to the products of 16 rows at a and 8·N rows at b.
template <int D, int N, class E> DEVICE void dots(float (&d)[N][4], const E *a, const E *b) {
  UNROLL
  for (int i = 0; i < N * 4; i++)
    d[i / 4][i % 4] = 0;
  ROLL
  for (int k = 0; k < D; k += CHAIN<D>) {
    float sum[N][4] = {};
    ROLL
    for (int step = 0; step < CHAIN<D>; step += 8) {
      auto l = left(a + k + step, STRIDE<E, D>);
      UNROLL
      for (int i = 0; i < N; i++)
        multiply(sum[i], l, right(b + i * 8 * STRIDE<E, D> + k + step, STRIDE<E, D>));
    }
    UNROLL
    for (int i = 0; i < N * 4; i++)
      d[i / 4][i % 4] += sum[i / 4][i % 4];
  }
}

constexpr float LOG2E = 1.44269504f, LN2 = 0.693147181f;
#define INFINITE bits_float(0x7f800000u)

// cap: c·tanh(s/c), for small s/c by the polynomial of the Cephes library. It depends on s alone.
DEVICE float cap(float s, float c) {
  float x = div_(s, c), z = x * x;
  if (z < 0.390625f) {
    float p = fma_(fma_(fma_(fma_(-5.70498872745e-3f, z, 2.06390887954e-2f), z, -5.37397155531e-2f), z, 1.33314422036e-1f), z,
                   -3.33332819422e-1f);
    return c * fma_(p * z, x, x);
  }
  float e = exp2_((x < 0 ? -x : x) * (2.0f * LOG2E)); // infinite for large x
  float t = 1.0f - div_(2.0f, e + 1.0f);
  return x < 0 ? c * -t : c * t;
}

DEVICE void cap_result(float *p, int stride, float c) {
  float v[4];
  load_result(v, p, stride);
  UNROLL
  for (int j = 0; j < 4; j++)
    v[j] = cap(v[j], c);
  store_result(p, stride, v);
}
