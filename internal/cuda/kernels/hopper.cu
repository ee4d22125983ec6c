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

// gemm_tma has the tiles of gemm_wgmma, which the copy engine loads. Two warpgroups multiply, and one
// thread of a further warp begins the copies, as far ahead as the slots allow. full[s] ends a phase
// when slot s has been loaded, empty[s] when the 8 warps have multiplied what it had. With COLUMNS it is
// y = x·W for W [K,N], as in gemm_nn.cu: a tile of W is two of 64 values of k by 64 outputs.
template <int TOKENS, int STAGES, bool COLUMNS>
DEVICE void gemm_tma(u8 *shared, const TensorMap *weights, const TensorMap *tokens, void *y, const float *bias, int T,
                     int N, int K, int ldy, int flags) {
  constexpr int M = 128, WARPS = 8, STAGE = (M + TOKENS) * 128;
  u64 *full = (u64 *)(shared + STAGES * STAGE), *empty = full + STAGES;
  Place at = place<M, TOKENS>(T, N);
  int group = thread_x() / 128, warp = thread_x() / 32, lane = thread_x() % 32, steps = (K + 63) / 64;
  if (thread_x() == 0) {
    for (int s = 0; s < STAGES; s++) {
      barrier_init(full + s, 1);
      barrier_init(empty + s, WARPS);
    }
    barriers_ready();
  }
  barrier();
  if (warp == WARPS) {
    if (lane != 0)
      return;
    for (int step = 0; step < steps; step++) {
      int s = step % STAGES, round = step / STAGES;
      wait_phase(empty + s, (round & 1) ^ 1); // at once in the first round
      arrive_expect(full + s, STAGE);
      if (COLUMNS)
        for (int half = 0; half < 2; half++)
          load_box(shared + s * STAGE + half * 64 * 128, weights, at.output + half * 64, step * 64, full + s);
      else
        load_box(shared + s * STAGE, weights, step * 64, at.output, full + s);
      load_box(shared + s * STAGE + M * 128, tokens, step * 64, at.token, full + s);
    }
    return;
  }
  float sum[TOKENS / 2];
  UNROLL
  for (int i = 0; i < TOKENS / 2; i++)
    sum[i] = 0;
  for (int step = 0; step < steps; step++) {
    int s = step % STAGES;
    wait_phase(full + s, step / STAGES & 1);
    const u8 *a = shared + s * STAGE + group * 64 * 128, *b = shared + s * STAGE + M * 128;
    wgmma_fence();
    UNROLL
    for (int k = 0; k < 4; k++)
      wgmma<COLUMNS>(sum, a + k * (COLUMNS ? 16 * 128 : 32), b + k * 32);
    wgmma_commit();
    wgmma_wait<1>();
    if (step > 0 && lane == 0)
      arrive(empty + (step - 1) % STAGES);
  }
  wgmma_wait<0>();
  barrier_of<256>();
  float *tile = (float *)shared;
  UNROLL
  for (int j = 0; j < TOKENS / 8; j++)
    UNROLL
    for (int c = 0; c < 4; c++)
      tile[(j * 8 + lane % 4 * 2 + c % 2) * ROW<M> + warp * 16 + lane / 4 + c / 2 * 8] = sum[4 * j + c];
  barrier_of<256>();
  store_tile<M, TOKENS, 256>(tile, at, y, bias, T, N, ldy, flags);
}

#define GEMM_TMA(NAME, TOKENS, STAGES, COLUMNS)                                                              \
  KERNEL(NAME, 288, 1)                                                                                       \
  (const __grid_constant__ TensorMap weights, const __grid_constant__ TensorMap tokens, void *y,             \
   const float *bias, int T, int N, int K, int ldy, int flags) {                                             \
    SHARED(shared);                                                                                          \
    gemm_tma<TOKENS, STAGES, COLUMNS>(shared, &weights, &tokens, y, bias, T, N, K, ldy, flags);              \
  }                                                                                                          \
  ENTRY(NAME)

GEMM_TMA(gemm_tma_128x256_s4, 256, 4, false)
GEMM_TMA(gemm_tma_128x128_s6, 128, 6, false)
GEMM_TMA(bf16_nn_tma_128x256_s4, 256, 4, true)
GEMM_TMA(bf16_nn_tma_128x128_s6, 128, 6, true)
