// Products y [T,N] = x [T,K]·W with bfloat16 operands and float32 sums, for W [K,N] as y = x·Wᵀ stores
// it: the backward pass of gemm.cu. Each output is one chain of mma.m16n8k16 over k ascending, whatever T
// is.
#include "product.h"

// Columns loads tiles of 64 rows (values of k) and M columns (outputs) of W: tiles of 64 columns side by
// side, each with the chunks of product.h.
template <int M, int THREADS> struct Columns {
  static constexpr int APART = THREADS / (M / 8);
  const bf16 *from;
  int stride, own, chunk, K;
  bool valid;

  METHOD Columns(const bf16 *matrix, int stride, int first, int N, int K)
      : stride(stride), own(thread_x() / (M / 8)), chunk(thread_x() % (M / 8)), K(K) {
    from = matrix + first + chunk * 8;
    valid = first + chunk * 8 < N;
  }
  METHOD void load(u8 *tile, int k) const {
    tile += chunk / 8 * 8192;
    UNROLL
    for (int row = own; row < 64; row += APART)
      cp_async16(tile + chunk_at(row, chunk % 8), from + (u64)(k + row) * stride, valid && k + row < K);
  }
};

// load_columns loads the fragment of a 16×16 tile of W, whose outputs begin at `output`.
DEVICE void load_columns(u32 (&a)[4], const u8 *tile, int output, int k) {
  int l = thread_x() & 31;
  ldmatrix_x4_trans(a, tile + output / 64 * 8192 +
                           chunk_at(k + (l & 7) + ((l >> 4) << 3), output % 64 / 8 + ((l >> 3) & 1)));
}

// gemm_nn computes one tile. A warp has OUTPUTS·16 outputs by PAIRS·16 tokens, a block ACROSS·DOWN warps.
// x has zeros from K to the next multiple of 8.
template <int OUTPUTS, int PAIRS, int ACROSS, int DOWN, int STAGES>
DEVICE void gemm_nn(u8 *shared, void *y, const bf16 *x, const bf16 *w, const float *bias, int T, int N, int K,
                    int ldx, int ldw, int ldy, int flags) {
  constexpr int THREADS = ACROSS * DOWN * 32, M = ACROSS * OUTPUTS * 16, TOKENS = DOWN * PAIRS * 16;
  constexpr int STAGE = (M + TOKENS) * 128;
  Place at = place<M, TOKENS>(T, N);
  int warp = thread_x() / 32, lane = thread_x() % 32, steps = (K + 63) / 64;
  int warp_output = warp % ACROSS * OUTPUTS * 16, warp_token = warp / ACROSS * PAIRS * 16;

  float sum[OUTPUTS][2 * PAIRS][4];
  UNROLL
  for (int i = 0; i < OUTPUTS; i++)
    UNROLL
    for (int j = 0; j < 2 * PAIRS; j++)
      UNROLL
      for (int c = 0; c < 4; c++)
        sum[i][j][c] = 0;

  Columns<M, THREADS> weight_loader(w, ldw, at.output, N, K);
  Loader<TOKENS, THREADS> token_loader(x, ldx, at.token, T, (K + 7) / 8 * 8);
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
    UNROLL
    for (int k = 0; k < 4; k++) {
      u32 a[OUTPUTS][4];
      UNROLL
      for (int i = 0; i < OUTPUTS; i++)
        load_columns(a[i], weights, warp_output + i * 16, k * 16);
      UNROLL
      for (int j = 0; j < PAIRS; j++) {
        u32 b[4];
        load_b(b, tokens, warp_token + j * 16, k * 2);
        UNROLL
        for (int i = 0; i < OUTPUTS; i++) {
          mma_bf16(sum[i][2 * j], a[i], b[0], b[1]);
          mma_bf16(sum[i][2 * j + 1], a[i], b[2], b[3]);
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
    for (int j = 0; j < 2 * PAIRS; j++)
      UNROLL
      for (int c = 0; c < 4; c++)
        tile[(warp_token + j * 8 + lane % 4 * 2 + c % 2) * ROW<M> + warp_output + i * 16 + lane / 4 + c / 2 * 8] =
            sum[i][j][c];
  barrier();
  store_tile<M, TOKENS, THREADS>(tile, at, y, bias, T, N, ldy, flags);
}

#define GEMM_NN(NAME, OUTPUTS, PAIRS, ACROSS, DOWN, STAGES, BLOCKS)                                          \
  KERNEL(NAME, ACROSS *DOWN * 32, BLOCKS) PRODUCT_ARGUMENTS {                                                \
    SHARED(shared);                                                                                          \
    gemm_nn<OUTPUTS, PAIRS, ACROSS, DOWN, STAGES>(shared, y, x, w, bias, T, N, K, ldx, ldw, ldy, flags);     \
  }                                                                                                          \
  ENTRY(NAME)

GEMM_NN(bf16_nn_128x128_s3, 4, 4, 2, 2, 3, 2)
GEMM_NN(bf16_nn_64x32_s4, 1, 2, 4, 1, 4, 2)
