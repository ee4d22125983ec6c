// What the products share: tiles in shared memory, the order of blocks, and storing results.
#pragma once
#include "kernel.h"

// What a product does with its result.
enum { OUT_F32 = 1, ACCUMULATE = 2 }; // else bfloat16 is stored; y += …, for float32 alone

// A tile's rows hold 64 values of k in 8 chunks of 16 bytes. Chunk c of row r lies at c^(r%8), so
// that the 8 rows of an ldmatrix lie in different banks.
DEVICE u32 chunk_at(u32 row, u32 chunk) { return row * 128 + ((chunk ^ (row & 7)) << 4); }

// Loader copies tiles of ROWS rows and 64 values of k from a matrix [rows, K] into shared memory; what
// lies outside of the matrix becomes zero. A thread has one chunk of every APART-th row, so that a
// step along k costs it an addition per chunk.
template <int ROWS, int THREADS> struct Loader {
  static constexpr int APART = THREADS / 8;
  const bf16 *from;
  u64 next;          // values between this thread's rows
  int own, rows, values; // its first row, and what the matrix has from there
  u32 even, odd;     // places of its chunks in rows 0, 2·APART, … and in the others

  METHOD Loader(const bf16 *matrix, int stride, int first, int limit, int K) {
    int chunk = thread_x() % 8;
    own = thread_x() / 8;
    from = matrix + (u64)(first + own) * stride + chunk * 8;
    next = (u64)APART * stride;
    rows = limit - first - own;
    values = K - chunk * 8;
    even = chunk_at(own, chunk);
    odd = chunk_at(own + APART, chunk) - APART * 128;
  }
  METHOD void load(u8 *tile, int k) const {
    const bf16 *p = from + k;
    UNROLL
    for (int i = 0; i < (ROWS + APART - 1) / APART; i++) {
      if (ROWS % APART && own + i * APART >= ROWS)
        break;
      cp_async16(tile + (i % 2 ? odd : even) + i * APART * 128, p, k < values && i * APART < rows);
      p += next;
    }
  }
};

// load_a loads the fragment of a 16×16 tile of weights, load_b those of two 8×16 tiles of tokens.
DEVICE void load_a(u32 (&a)[4], const u8 *tile, int row, int chunk) {
  int l = thread_x() & 31;
  ldmatrix_x4(a, tile + chunk_at(row + (l & 15), chunk + (l >> 4)));
}
DEVICE void load_b(u32 (&b)[4], const u8 *tile, int row, int chunk) {
  int l = thread_x() & 31;
  ldmatrix_x4(b, tile + chunk_at(row + (l & 7) + ((l >> 4) << 3), chunk + ((l >> 3) & 1)));
}

// emit stores one value of y.
DEVICE void emit(void *y, u64 at, float v, int flags) {
  if (flags & OUT_F32)
    ((float *)y)[at] = flags & ACCUMULATE ? ((float *)y)[at] + v : v;
  else
    ((bf16 *)y)[at] = to_bf16(v);
}

// emit8 stores eight neighbouring values; y + at is a multiple of 16 bytes.
DEVICE void emit8(void *y, u64 at, float (&v)[8], int flags) {
  if (!(flags & OUT_F32)) {
    store8((bf16 *)y + at, v);
    return;
  }
  if (flags & ACCUMULATE) {
    float before[8];
    load8(before, (float *)y + at);
    UNROLL
    for (int i = 0; i < 8; i++)
      v[i] += before[i];
  }
  store8((float *)y + at, v);
}

// Place is the tile of one block. Blocks go through the weights in groups of tiles of tokens, so that
// the L2 cache holds what a wave of blocks reads.
struct Place {
  int token, output; // the first of each
};
template <int M, int TOKENS> DEVICE Place place(int T, int N) {
  constexpr int GROUP = 8;
  int across = (T + TOKENS - 1) / TOKENS, down = (N + M - 1) / M;
  int group = block_x() / (GROUP * down), within = block_x() % (GROUP * down);
  int width = min_(GROUP, across - group * GROUP);
  return {(group * GROUP + within % width) * TOKENS, within / width * M};
}

// A finished tile lies in shared memory as float32 [TOKENS][ROW], outputs side by side as in y. The 4
// values between rows keep the lanes that fill it in different banks.
template <int M> constexpr int ROW = M + 4;

// store_tile adds the bias and stores the tile.
template <int M, int TOKENS, int THREADS>
DEVICE void store_tile(const float *tile, Place at, void *y, const float *bias, int T, int N, int ldy, int flags) {
  bool aligned = ldy % 8 == 0;
  for (int id = thread_x(); id < TOKENS * M / 8; id += THREADS) {
    int token = at.token + id / (M / 8), column = id % (M / 8) * 8, output = at.output + column;
    if (token >= T || output >= N)
      continue;
    float v[8];
    load8(v, tile + id / (M / 8) * ROW<M> + column);
    UNROLL
    for (int i = 0; i < 8; i++)
      v[i] += bias && output + i < N ? bias[output + i] : 0;
    u64 to = (u64)token * ldy + output;
    if (aligned && output + 8 <= N)
      emit8(y, to, v, flags);
    else
      UNROLL
      for (int i = 0; i < 8; i++)
        if (output + i < N)
          emit(y, to + i, v[i], flags);
  }
}

// The arguments of every product: y [T,N] = x [T,K]·Wᵀ + bias, with the values from one row to the
// next of each matrix.
#define PRODUCT_ARGUMENTS                                                                                    \
  (void *y, const bf16 *x, const bf16 *w, const float *bias, int T, int N, int K, int ldx, int ldw, int ldy, \
   int flags)
