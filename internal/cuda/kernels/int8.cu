// Products y [T,N] = x [T,K]·Wᵀ of 8-bit integers. Each 64 values of a row have a scale. The sum over
// such a block is int32 and exact; blocks are added in float32 in order, each as (sum · scale of W) ·
// scale of x. So all kernels, and the CPU, give the same bits.
#include "product.h"

// gemm_i8 computes one tile. A warp has OUTPUTS·16 outputs by TOKENS·8 tokens, a block ACROSS·DOWN warps.
// Rows of x and W are padded with zeros to whole blocks. A tile's row has two of them, which the loader
// counts as 64 values of two bytes. ldxs and ldws are the numbers of scales from one row to the next.
template <int OUTPUTS, int TOKENS, int ACROSS, int DOWN, int STAGES>
DEVICE void gemm_i8(u8 *shared, float *y, const u8 *x, const float *xs, const u8 *w, const bf16 *ws,
                    const float *bias, int T, int N, int blocks, int ldxs, int ldws, int ldy, int flags) {
  constexpr int THREADS = ACROSS * DOWN * 32, M = ACROSS * OUTPUTS * 16, ROWS = DOWN * TOKENS * 8;
  constexpr int STAGE = (M + ROWS) * 128;
  Place at = place<M, ROWS>(T, N);
  int warp = thread_x() / 32, lane = thread_x() % 32, steps = (blocks + 1) / 2;
  int warp_output = warp % ACROSS * OUTPUTS * 16, warp_token = warp / ACROSS * TOKENS * 8;
  int output = at.output + warp_output + lane / 4, token = at.token + warp_token + lane % 4 * 2;

  float sum[OUTPUTS][TOKENS][4];
  UNROLL
  for (int i = 0; i < OUTPUTS; i++)
    UNROLL
    for (int j = 0; j < TOKENS; j++)
      UNROLL
      for (int c = 0; c < 4; c++)
        sum[i][j][c] = 0;

  Loader<M, THREADS> weight_loader((const bf16 *)w, blocks * 32, at.output, N, blocks * 32);
  Loader<ROWS, THREADS> token_loader((const bf16 *)x, blocks * 32, at.token, T, blocks * 32);
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
  for (int step = 0; step < steps; step++) {
    cp_async_wait<STAGES - 2>();
    barrier();
    if (step + STAGES - 1 < steps)
      load(step + STAGES - 1);
    cp_async_commit();
    const u8 *weights = shared + step % STAGES * STAGE, *tokens = weights + M * 128;
    for (int half = 0; half < 2 && step * 2 + half < blocks; half++) {
      int block = step * 2 + half;
      u32 a[OUTPUTS][2][4];
      float scale[OUTPUTS][2];
      UNROLL
      for (int i = 0; i < OUTPUTS; i++)
        UNROLL
        for (int k = 0; k < 2; k++) {
          load_a(a[i][k], weights, warp_output + i * 16, half * 4 + k * 2);
          int n = min_(output + i * 16 + k * 8, N - 1);
          scale[i][k] = to_float(ws[(u64)n * ldws + block]);
        }
      UNROLL
      for (int j = 0; j < TOKENS; j++) {
        u32 b[4]; // of the block: the two halves of its first 32 values, and of its others
        ldmatrix_x4(b, tokens + chunk_at(warp_token + j * 8 + (lane & 7), half * 4 + (lane >> 3)));
        float row[2];
        UNROLL
        for (int c = 0; c < 2; c++)
          row[c] = xs[(u64)min_(token + j * 8 + c, T - 1) * ldxs + block];
        UNROLL
        for (int i = 0; i < OUTPUTS; i++) {
          int whole[4] = {0, 0, 0, 0};
          mma_s8(whole, a[i][0], b[0], b[1]);
          mma_s8(whole, a[i][1], b[2], b[3]);
          UNROLL
          for (int c = 0; c < 4; c++)
            sum[i][j][c] += (float)whole[c] * scale[i][c / 2] * row[c % 2];
        }
      }
    }
  }
  cp_async_wait<0>();
  barrier();

  float *tile = (float *)shared;
  UNROLL
  for (int i = 0; i < OUTPUTS; i++)
    UNROLL
    for (int j = 0; j < TOKENS; j++)
      UNROLL
      for (int c = 0; c < 4; c++)
        tile[(warp_token + j * 8 + lane % 4 * 2 + c % 2) * ROW<M> + warp_output + i * 16 + lane / 4 + c / 2 * 8] =
            sum[i][j][c];
  barrier();
  store_tile<M, ROWS, THREADS>(tile, at, y, bias, T, N, ldy, flags);
}

#define GEMM_I8(NAME, OUTPUTS, TOKENS, ACROSS, DOWN, STAGES, BLOCKS)                                         \
  KERNEL(NAME, ACROSS *DOWN * 32, BLOCKS)                                                                    \
  (float *y, const u8 *x, const float *xs, const u8 *w, const bf16 *ws, const float *bias, int T, int N,     \
   int blocks, int ldxs, int ldws, int ldy, int flags) {                                                     \
    SHARED(shared);                                                                                          \
    gemm_i8<OUTPUTS, TOKENS, ACROSS, DOWN, STAGES>(shared, y, x, xs, w, ws, bias, T, N, blocks, ldxs, ldws, ldy, \
                                                   flags);                                                   \
  }                                                                                                          \
  ENTRY(NAME)

GEMM_I8(i8_tn_128x128_s3, 2, 8, 4, 2, 3, 1)
GEMM_I8(i8_tn_64x32_s4, 1, 4, 4, 1, 4, 2)
GEMM_I8(i8_tn_64x8_s6, 1, 1, 4, 1, 6, 2)
