// Products y [T,N] = x [T,K]·Wᵀ with bfloat16 operands and float32 sums.
//
// Each output is one chain of mma.m16n8k16 over k ascending: no split of k, the weights as the m
// operand and the tokens as the n operand, whatever T is. So a row's bits depend neither on the
// other rows nor on which kernel of this file computed it.
#include "kernel.h"

// What a product does with its result.
enum { OUT_F32 = 1, ACCUMULATE = 2 }; // else bfloat16 is stored; y += …, for float32 alone

// A tile's rows hold 64 values of k in 8 chunks of 16 bytes. Chunk c of row r lies at c^(r%8), so
// that the 8 rows of an ldmatrix lie in different banks.
DEVICE u32 chunk_at(u32 row, u32 chunk) { return row * 128 + ((chunk ^ (row & 7)) << 4); }

// load_tile copies rows [first, first+ROWS) and values [k, k+64) of a matrix [rows, K] into a tile.
// What lies outside becomes zero.
template <int ROWS, int THREADS>
DEVICE void load_tile(u8 *tile, const bf16 *matrix, u32 stride, int first, int rows, int k, int K) {
  UNROLL
  for (int i = 0; i < ROWS * 8 / THREADS; i++) {
    u32 id = i * THREADS + thread_x();
    u32 row = id / 8, chunk = id % 8;
    bool inside = first + (int)row < rows && k + (int)chunk * 8 < K;
    const bf16 *from = matrix + (inside ? (u64)(first + row) * stride + k + chunk * 8 : 0);
    cp_async16(tile + chunk_at(row, chunk), from, inside);
  }
}

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
DEVICE void emit8(void *y, u64 at, const float *v, int flags) {
  if (!(flags & OUT_F32)) {
    vec16 r;
    UNROLL
    for (int i = 0; i < 4; i++)
      r.w[i] = pack_bf16(v[2 * i], v[2 * i + 1]);
    *(vec16 *)((bf16 *)y + at) = r;
    return;
  }
  UNROLL
  for (int half = 0; half < 2; half++) {
    vec16 *to = (vec16 *)((float *)y + at) + half;
    vec16 r;
    if (flags & ACCUMULATE)
      r = *to;
    UNROLL
    for (int i = 0; i < 4; i++) {
      float value = v[4 * half + i];
      r.w[i] = float_bits(flags & ACCUMULATE ? bits_float(r.w[i]) + value : value);
    }
    *to = r;
  }
}

// gemm computes one tile of M outputs by TOKENS tokens. Each warp has 64 outputs by 64 tokens.
template <int M, int TOKENS, int STAGES>
DEVICE void gemm(u8 *shared, void *y, const bf16 *x, const bf16 *w, const float *bias, int T, int N, int K,
                 int ldx, int ldw, int ldy, int flags) {
  constexpr int THREADS = M / 64 * (TOKENS / 64) * 32;
  constexpr int STAGE = (M + TOKENS) * 128;
  constexpr int GROUP = 8; // tiles of tokens that go together through the weights, for the L2 cache
  int across = (T + TOKENS - 1) / TOKENS, down = (N + M - 1) / M;
  int group = block_x() / (GROUP * down), within = block_x() % (GROUP * down);
  int width = min_(GROUP, across - group * GROUP);
  int token0 = (group * GROUP + within % width) * TOKENS, output0 = within / width * M;
  int warp = thread_x() / 32, lane = thread_x() % 32;
  int warp_output = warp % (M / 64) * 64, warp_token = warp / (M / 64) * 64;

  float sum[4][8][4]; // [16 outputs][8 tokens][fragment]
  UNROLL
  for (int i = 0; i < 4; i++)
    UNROLL
    for (int j = 0; j < 8; j++)
      UNROLL
      for (int c = 0; c < 4; c++)
        sum[i][j][c] = 0;

  int steps = (K + 63) / 64;
  auto load = [&](int step) {
    u8 *stage = shared + step % STAGES * STAGE;
    load_tile<M, THREADS>(stage, w, ldw, output0, N, step * 64, K);
    load_tile<TOKENS, THREADS>(stage + M * 128, x, ldx, token0, T, step * 64, K);
  };
  UNROLL
  for (int s = 0; s < STAGES - 1; s++) {
    if (s < steps)
      load(s);
    cp_async_commit();
  }
  u32 a[2][4][4], b[2][4][4];
  for (int step = 0; step < steps; step++) {
    cp_async_wait<STAGES - 2>();
    barrier();
    const u8 *weights = shared + step % STAGES * STAGE;
    const u8 *tokens = weights + M * 128;
    auto fragments = [&](int buffer, int k) {
      UNROLL
      for (int i = 0; i < 4; i++)
        load_a(a[buffer][i], weights, warp_output + i * 16, k * 2);
      UNROLL
      for (int j = 0; j < 4; j++)
        load_b(b[buffer][j], tokens, warp_token + j * 16, k * 2);
    };
    fragments(0, 0);
    if (step + STAGES - 1 < steps)
      load(step + STAGES - 1);
    cp_async_commit();
    UNROLL
    for (int k = 0; k < 4; k++) {
      if (k < 3)
        fragments((k + 1) & 1, k + 1);
      UNROLL
      for (int i = 0; i < 4; i++)
        UNROLL
        for (int j = 0; j < 8; j++)
          mma_bf16(sum[i][j], a[k & 1][i], b[k & 1][j / 2][j % 2 * 2], b[k & 1][j / 2][j % 2 * 2 + 1]);
    }
  }
  cp_async_wait<0>();
  barrier();

  // The tile goes through shared memory, where it lies as y does: outputs are neighbours.
  constexpr int ROW = M + 4;
  float *tile = (float *)shared;
  UNROLL
  for (int i = 0; i < 4; i++)
    UNROLL
    for (int j = 0; j < 8; j++)
      UNROLL
      for (int c = 0; c < 4; c++)
        tile[(warp_token + j * 8 + lane % 4 * 2 + c % 2) * ROW + warp_output + i * 16 + lane / 4 + c / 2 * 8] =
            sum[i][j][c];
  barrier();
  bool aligned = ldy % 8 == 0;
  for (int id = thread_x(); id < TOKENS * M / 8; id += THREADS) {
    int token = token0 + id / (M / 8), column = id % (M / 8) * 8, output = output0 + column;
    if (token >= T || output >= N)
      continue;
    float v[8];
    const float *from = tile + (token - token0) * ROW + column;
    UNROLL
    for (int i = 0; i < 8; i++)
      v[i] = from[i] + (bias && output + i < N ? bias[output + i] : 0);
    u64 at = (u64)token * ldy + output;
    if (aligned && output + 8 <= N)
      emit8(y, at, v, flags);
    else
      UNROLL
      for (int i = 0; i < 8; i++)
        if (output + i < N)
          emit(y, at + i, v[i], flags);
  }
}

#define GEMM(name, M, TOKENS, STAGES, BLOCKS)                                                                \
  KERNEL(name, M / 64 * (TOKENS / 64) * 32, BLOCKS)                                                          \
  (void *y, const bf16 *x, const bf16 *w, const float *bias, int T, int N, int K, int ldx, int ldw, int ldy, \
   int flags) {                                                                                              \
    SHARED(shared);                                                                                          \
    gemm<M, TOKENS, STAGES>(shared, y, x, w, bias, T, N, K, ldx, ldw, ldy, flags);                           \
  }                                                                                                          \
  ENTRY(name)

GEMM(gemm_128x256_s4, 128, 256, 4, 1)
GEMM(gemm_128x128_s3, 128, 128, 3, 2)
GEMM(gemm_64x64_s4, 64, 64, 4, 2)

// gemm_small: T ≤ TOKENS. Each warp has 16 outputs and all of k, and a block's warps share x. A
// stage is 128 values of k: two tiles of 64. Every lane loads what its own warp needs of W.
template <int TOKENS, int WARPS, int STAGES>
DEVICE void gemm_small(u8 *shared, void *y, const bf16 *x, const bf16 *w, const float *bias, int T, int N,
                       int K, int ldx, int ldw, int ldy, int flags) {
  constexpr int THREADS = WARPS * 32, M = WARPS * 16, ROWS = TOKENS < 16 ? 16 : TOKENS;
  constexpr int STAGE = (M + ROWS) * 256;
  constexpr int N8 = TOKENS / 8;
  int output0 = block_x() * M, warp = thread_x() / 32, lane = thread_x() % 32;
  float sum[N8][4];
  UNROLL
  for (int j = 0; j < N8; j++)
    UNROLL
    for (int c = 0; c < 4; c++)
      sum[j][c] = 0;

  int steps = (K + 127) / 128;
  auto load = [&](int step) {
    u8 *stage = shared + step % STAGES * STAGE;
    UNROLL
    for (int half = 0; half < 2; half++) {
      int k = step * 128 + half * 64;
      load_tile<M, THREADS>(stage + half * M * 128, w, ldw, output0, N, k, K);
      load_tile<ROWS, THREADS>(stage + M * 256 + half * ROWS * 128, x, ldx, 0, T, k, K);
    }
  };
  UNROLL
  for (int s = 0; s < STAGES - 1; s++) {
    if (s < steps)
      load(s);
    cp_async_commit();
  }
  for (int step = 0; step < steps; step++) {
    cp_async_wait<STAGES - 2>();
    barrier();
    if (step + STAGES - 1 < steps)
      load(step + STAGES - 1);
    cp_async_commit();
    const u8 *stage = shared + step % STAGES * STAGE;
    UNROLL
    for (int k = 0; k < 8; k++) {
      const u8 *weights = stage + k / 4 * M * 128, *tokens = stage + M * 256 + k / 4 * ROWS * 128;
      u32 a[4], b[4];
      load_a(a, weights, warp * 16, k % 4 * 2);
      UNROLL
      for (int j = 0; j < N8; j += 2) {
        load_b(b, tokens, j * 8, k % 4 * 2);
        mma_bf16(sum[j], a, b[0], b[1]);
        if (j + 1 < N8)
          mma_bf16(sum[j + 1], a, b[2], b[3]);
      }
    }
  }
  UNROLL
  for (int j = 0; j < N8; j++)
    UNROLL
    for (int c = 0; c < 4; c++) {
      int token = j * 8 + lane % 4 * 2 + c % 2, output = output0 + warp * 16 + lane / 4 + c / 2 * 8;
      if (token < T && output < N)
        emit(y, (u64)token * ldy + output, sum[j][c] + (bias ? bias[output] : 0), flags);
    }
}

#define GEMM_SMALL(TOKENS, WARPS, STAGES)                                                                    \
  KERNEL(gemm_small_t##TOKENS##_w##WARPS, WARPS * 32, 1)                                                     \
  (void *y, const bf16 *x, const bf16 *w, const float *bias, int T, int N, int K, int ldx, int ldw, int ldy, \
   int flags) {                                                                                              \
    SHARED(shared);                                                                                          \
    gemm_small<TOKENS, WARPS, STAGES>(shared, y, x, w, bias, T, N, K, ldx, ldw, ldy, flags);                 \
  }                                                                                                          \
  ENTRY(gemm_small_t##TOKENS##_w##WARPS)

GEMM_SMALL(8, 1, 8)
GEMM_SMALL(8, 2, 8)
GEMM_SMALL(16, 1, 8)
GEMM_SMALL(16, 2, 8)
GEMM_SMALL(32, 1, 6)
GEMM_SMALL(32, 2, 6)
GEMM_SMALL(64, 1, 4)
GEMM_SMALL(64, 2, 4)
GEMM_SMALL(64, 4, 4)
