// Products y [T,N] = x [T,K]·Wᵀ with bfloat16 operands and float32 sums.
//
// Each output is one chain of mma.m16n8k16 over k ascending: no split of k, the weights as the m
// operand and the tokens as the n operand, whatever T is. So a row's bits depend neither on the
// other rows nor on which kernel computed it, those of hopper.cu included.
#include "product.h"

// gemm computes one tile of M outputs by TOKENS tokens. Each warp has 64 outputs by 64 tokens.
template <int M, int TOKENS, int STAGES>
DEVICE void gemm(u8 *shared, void *y, const bf16 *x, const bf16 *w, const float *bias, int T, int N, int K,
                 int ldx, int ldw, int ldy, int flags) {
  constexpr int THREADS = M / 64 * (TOKENS / 64) * 32;
  constexpr int STAGE = (M + TOKENS) * 128;
  Place at = place<M, TOKENS>(T, N);
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
  Loader<M, THREADS> weight_loader(w, ldw, at.output, N, K);
  Loader<TOKENS, THREADS> token_loader(x, ldx, at.token, T, K);
  auto load = [&](int step) {
    u8 *stage = shared + step % STAGES * STAGE;
    weight_loader.load(stage, step * 64);
    token_loader.load(stage + M * 128, step * 64);
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

  float *tile = (float *)shared;
  UNROLL
  for (int i = 0; i < 4; i++)
    UNROLL
    for (int j = 0; j < 8; j++)
      UNROLL
      for (int c = 0; c < 4; c++)
        tile[(warp_token + j * 8 + lane % 4 * 2 + c % 2) * ROW<M> + warp_output + i * 16 + lane / 4 + c / 2 * 8] =
            sum[i][j][c];
  barrier();
  store_tile<M, TOKENS, THREADS>(tile, at, y, bias, T, N, ldy, flags);
}

#define GEMM(M, TOKENS, STAGES, BLOCKS)                                                                      \
  KERNEL(gemm_##M##x##TOKENS##_s##STAGES, M / 64 * (TOKENS / 64) * 32, BLOCKS) PRODUCT_ARGUMENTS {           \
    SHARED(shared);                                                                                          \
    gemm<M, TOKENS, STAGES>(shared, y, x, w, bias, T, N, K, ldx, ldw, ldy, flags);                           \
  }                                                                                                          \
  ENTRY(gemm_##M##x##TOKENS##_s##STAGES)

GEMM(128, 256, 3, 1)
GEMM(128, 128, 3, 2)

// gemm_small is for few rows, where reading the weights is the work. Each warp has 16 outputs, TOKENS
// tokens and all of k, and a block's warps share x. A stage is 128 values of k: two tiles of 64.
// Grid: (outputs, tokens).
template <int TOKENS, int WARPS, int STAGES>
DEVICE void gemm_small(u8 *shared, void *y, const bf16 *x, const bf16 *w, const float *bias, int T, int N,
                       int K, int ldx, int ldw, int ldy, int flags) {
  constexpr int THREADS = WARPS * 32, M = WARPS * 16, STAGE = (M + TOKENS) * 256, N8 = TOKENS / 8;
  int output0 = block_x() * M, token0 = block_y() * TOKENS, warp = thread_x() / 32, lane = thread_x() % 32;
  float sum[N8][4];
  UNROLL
  for (int j = 0; j < N8; j++)
    UNROLL
    for (int c = 0; c < 4; c++)
      sum[j][c] = 0;

  int stages = (K + 127) / 128, slot = 0, filled = 0;
  Loader<M, THREADS> weight_loader(w, ldw, output0, N, K);
  Loader<TOKENS, THREADS> token_loader(x, ldx, token0, T, K);
  auto load = [&](int into) {
    u8 *stage = shared + into * STAGE;
    UNROLL
    for (int half = 0; half < 2; half++) {
      weight_loader.load(stage + half * M * 128, filled * 128 + half * 64);
      token_loader.load(stage + M * 256 + half * TOKENS * 128, filled * 128 + half * 64);
    }
  };
  UNROLL
  for (int s = 0; s < STAGES - 1; s++) {
    if (filled < stages)
      load(s);
    filled++;
    cp_async_commit();
  }
  for (int number = 0; number < stages; number++) {
    cp_async_wait<STAGES - 2>();
    barrier();
    if (filled < stages)
      load(slot == 0 ? STAGES - 1 : slot - 1);
    filled++;
    cp_async_commit();
    const u8 *stage = shared + slot * STAGE;
    slot = slot + 1 == STAGES ? 0 : slot + 1;
    u32 b[4];
    UNROLL
    for (int k = 0; k < 8; k++) {
      const u8 *weights = stage + k / 4 * M * 128, *tokens = stage + M * 256 + k / 4 * TOKENS * 128;
      u32 a[4];
      load_a(a, weights, warp * 16, k % 4 * 2);
      if (N8 == 1) { // one load has the tokens of two steps of k
        if (k % 2 == 0)
          ldmatrix_x4(b, tokens + chunk_at(lane & 7, k % 4 * 2 + (lane >> 3)));
        mma_bf16(sum[0], a, b[k % 2 * 2], b[k % 2 * 2 + 1]);
      } else {
        UNROLL
        for (int j = 0; j < N8 - 1; j += 2) {
          load_b(b, tokens, j * 8, k % 4 * 2);
          mma_bf16(sum[j], a, b[0], b[1]);
          mma_bf16(sum[j + 1], a, b[2], b[3]);
        }
      }
    }
  }
  UNROLL
  for (int j = 0; j < N8; j++)
    UNROLL
    for (int c = 0; c < 4; c++) {
      int token = token0 + j * 8 + lane % 4 * 2 + c % 2, output = output0 + warp * 16 + lane / 4 + c / 2 * 8;
      if (token < T && output < N)
        emit(y, (u64)token * ldy + output, sum[j][c] + (bias ? bias[output] : 0), flags);
    }
}

#define GEMM_SMALL(TOKENS, WARPS, STAGES)                                                                    \
  KERNEL(gemm_small_t##TOKENS##_w##WARPS##_s##STAGES, WARPS * 32, 1) PRODUCT_ARGUMENTS {                     \
    SHARED(shared);                                                                                          \
    gemm_small<TOKENS, WARPS, STAGES>(shared, y, x, w, bias, T, N, K, ldx, ldw, ldy, flags);                 \
  }                                                                                                          \
  ENTRY(gemm_small_t##TOKENS##_w##WARPS##_s##STAGES)

GEMM_SMALL(8, 1, 4)
GEMM_SMALL(8, 1, 8)
GEMM_SMALL(16, 2, 5)
GEMM_SMALL(32, 2, 4)
GEMM_SMALL(64, 4, 4)

// gemm_group is gemm_small for up to three weights with one x. Their tiles of outputs are the blocks of one
// launch, one weight after the other; N is 0 for none. A tile finds its outputs by the number of its block,
// so that the matrices of a weight begin where those of block 0 would. Grid: (tiles, tokens).
#define MEMBER(i) void *y##i, const bf16 *w##i, const float *bias##i, int N##i, int ldw##i, int ldy##i
#define GEMM_GROUP(TOKENS, WARPS, STAGES)                                                                    \
  KERNEL(gemm_group_t##TOKENS##_w##WARPS##_s##STAGES, WARPS * 32, 1)                                         \
  (const bf16 *x, int T, int K, int ldx, int flags, MEMBER(0), MEMBER(1), MEMBER(2)) {                       \
    SHARED(shared);                                                                                          \
    constexpr int M = WARPS * 16;                                                                            \
    int second = (N0 + M - 1) / M, third = second + (N1 + M - 1) / M, block = block_x();                     \
    bool is1 = block >= second && block < third, is2 = block >= third;                                       \
    int before = (is2 ? third : is1 ? second : 0) * M;                                                       \
    int N = is2 ? N2 : is1 ? N1 : N0, ldw = is2 ? ldw2 : is1 ? ldw1 : ldw0, ldy = is2 ? ldy2 : is1 ? ldy1 : ldy0; \
    const bf16 *w = is2 ? w2 : is1 ? w1 : w0;                                                                \
    const float *bias = is2 ? bias2 : is1 ? bias1 : bias0;                                                   \
    u8 *y = (u8 *)(is2 ? y2 : is1 ? y1 : y0) - (u64)before * (flags & OUT_F32 ? 4 : 2);                      \
    gemm_small<TOKENS, WARPS, STAGES>(shared, y, x, w - (u64)before * ldw, bias ? bias - before : bias, T,   \
                                      N + before, K, ldx, ldw, ldy, flags);                                  \
  }                                                                                                          \
  ENTRY(gemm_group_t##TOKENS##_w##WARPS##_s##STAGES)

GEMM_GROUP(8, 1, 4)
GEMM_GROUP(8, 1, 8)
GEMM_GROUP(16, 2, 5)
GEMM_GROUP(32, 2, 4)
GEMM_GROUP(64, 4, 4)
