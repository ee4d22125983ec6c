// Products for compute capability 9.0 alone, whose instructions no later chip has. A chain of wgmma
// over k ascending gives the bits of the chain of mma in gemm.cu (seen on an H100, and tested).
#ifndef HOPPER
#define HOPPER
#endif
#include "product.h"

// gemm_wgmma computes one tile of 128 outputs by TOKENS tokens: a warpgroup has 64 outputs and all
// tokens. Loading runs STAGES-2 stages ahead: the slot that a load overwrites was last read two steps
// ago, and by the barrier between both warpgroups have waited for that product.
template <int TOKENS, int STAGES>
DEVICE void gemm_wgmma(u8 *shared, void *y, const bf16 *x, const bf16 *w, const float *bias, int T, int N, int K,
                       int ldx, int ldw, int ldy, int flags) {
  constexpr int M = 128, THREADS = 256, STAGE = (M + TOKENS) * 128;
  Place at = place<M, TOKENS>(T, N);
  int group = thread_x() / 128, warp = thread_x() / 32, lane = thread_x() % 32;
  float sum[TOKENS / 2];
  UNROLL
  for (int i = 0; i < TOKENS / 2; i++)
    sum[i] = 0;
  int steps = (K + 63) / 64;
  Loader<M, THREADS> weight_loader(w, ldw, at.output, N, K);
  Loader<TOKENS, THREADS> token_loader(x, ldx, at.token, T, K);
  auto load = [&](int step) {
    u8 *stage = shared + step % STAGES * STAGE;
    weight_loader.load(stage, step * 64);
    token_loader.load(stage + M * 128, step * 64);
  };
  UNROLL
  for (int s = 0; s < STAGES - 2; s++) {
    if (s < steps)
      load(s);
    cp_async_commit();
  }
  for (int step = 0; step < steps; step++) {
    cp_async_wait<STAGES - 3>();
    fence_async();
    barrier();
    const u8 *weights = shared + step % STAGES * STAGE + group * 64 * 128;
    const u8 *tokens = shared + step % STAGES * STAGE + M * 128;
    wgmma_fence();
    UNROLL
    for (int k = 0; k < 4; k++)
      wgmma(sum, weights + k * 32, tokens + k * 32);
    wgmma_commit();
    if (step + STAGES - 2 < steps)
      load(step + STAGES - 2);
    cp_async_commit();
    wgmma_wait<1>();
  }
  wgmma_wait<0>();
  cp_async_wait<0>();
  barrier();
  float *tile = (float *)shared;
  UNROLL
  for (int j = 0; j < TOKENS / 8; j++)
    UNROLL
    for (int c = 0; c < 4; c++)
      tile[(j * 8 + lane % 4 * 2 + c % 2) * ROW<M> + warp * 16 + lane / 4 + c / 2 * 8] = sum[4 * j + c];
  barrier();
  store_tile<M, TOKENS, THREADS>(tile, at, y, bias, T, N, ldy, flags);
}

#define GEMM_WGMMA(TOKENS, STAGES, BLOCKS)                                                                   \
  KERNEL(gemm_wgmma_128x##TOKENS##_s##STAGES, 256, BLOCKS) PRODUCT_ARGUMENTS {                               \
    SHARED(shared);                                                                                          \
    gemm_wgmma<TOKENS, STAGES>(shared, y, x, w, bias, T, N, K, ldx, ldw, ldy, flags);                        \
  }                                                                                                          \
  ENTRY(gemm_wgmma_128x##TOKENS##_s##STAGES)

GEMM_WGMMA(256, 4, 1)
GEMM_WGMMA(128, 6, 1)
