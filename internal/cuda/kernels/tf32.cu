// Products y [T,N] = x·Wᵀ of float32 operands with float32 sums.
//
// Each value is the sum of two TF32 numbers, and a product of two values three products of those:
// low·high, high·low, high·high. What is dropped, low·low, is 2^-22 of the product at most. Each output
// is one chain over k ascending, 8 a step, whatever T is; so a row's bits do not depend on the other
// rows, nor on the kernel.
//
// W is stored as [N,K] for y = x·Wᵀ, and as [K,N] for dx = dy·W; for dw = dyᵀ·x both operands are
// stored with k, the tokens, as rows.
#include "product.h"

enum { DEPTH = 32 }; // values of k a step

// Tile loads ROWS rows of an operand by DEPTH values of k into shared memory; what lies outside becomes
// zero. With TRANSPOSED the operand is stored as [K, rows], and so is the tile. The strides keep the
// lanes of a fragment in different banks.
template <int ROWS, bool TRANSPOSED, int THREADS> struct Tile {
  static constexpr int STRIDE = TRANSPOSED ? (ROWS + 31) / 32 * 32 + 8 : DEPTH + 4;
  static constexpr int FLOATS = TRANSPOSED ? DEPTH * STRIDE : ROWS * STRIDE;
  static constexpr int LINES = TRANSPOSED ? DEPTH : ROWS, LENGTH = TRANSPOSED ? ROWS : DEPTH;
  const float *matrix;
  int stride, first, limit, K;
  bool wide; // lines consist of whole 16 bytes

  METHOD Tile(const float *matrix, int stride, int first, int limit, int K)
      : matrix(matrix), stride(stride), first(first), limit(limit), K(K),
        wide(stride % 4 == 0 && (TRANSPOSED ? limit : K) % 4 == 0 && aligned16(matrix)) {}

  METHOD void copy(float *tile, int k, int line, int at) const {
    int row = first + (TRANSPOSED ? at : line), column = k + (TRANSPOSED ? line : at);
    const float *from = matrix + (TRANSPOSED ? (u64)column * stride + row : (u64)row * stride + column);
    bool valid = row < limit && column < K;
    if (wide)
      cp_async16(tile + line * STRIDE + at, from, valid);
    else
      cp_async4(tile + line * STRIDE + at, from, valid);
  }
  METHOD void load(float *tile, int k) const {
    if (wide) {
      UNROLL
      for (int id = thread_x(); id < LINES * LENGTH / 4; id += THREADS)
        copy(tile, k, id / (LENGTH / 4), id % (LENGTH / 4) * 4);
    } else
      for (int id = thread_x(); id < LINES * LENGTH; id += THREADS)
        copy(tile, k, id / LENGTH, id % LENGTH);
  }
  static METHOD float value(const float *tile, int row, int k) {
    return tile[TRANSPOSED ? k * STRIDE + row : row * STRIDE + k];
  }
};

// tf32 computes one tile. A warp has OUTPUTS·16 outputs by TOKENS·8 tokens, a block ACROSS·DOWN warps.
template <bool X_TRANSPOSED, bool W_TRANSPOSED, int OUTPUTS, int TOKENS, int ACROSS, int DOWN, int STAGES>
DEVICE void tf32(float *shared, float *y, const float *x, const float *w, const float *bias, int T, int N, int K,
                 int ldx, int ldw, int ldy, int flags) {
  constexpr int THREADS = ACROSS * DOWN * 32, M = ACROSS * OUTPUTS * 16, ROWS = DOWN * TOKENS * 8;
  using Weights = Tile<M, W_TRANSPOSED, THREADS>;
  using Tokens = Tile<ROWS, X_TRANSPOSED, THREADS>;
  constexpr int STAGE = Weights::FLOATS + Tokens::FLOATS;
  Place at = place<M, ROWS>(T, N);
  int warp = thread_x() / 32, lane = thread_x() % 32, steps = (K + DEPTH - 1) / DEPTH;
  int warp_output = warp % ACROSS * OUTPUTS * 16 + lane / 4, warp_token = warp / ACROSS * TOKENS * 8;

  float sum[OUTPUTS][TOKENS][4];
  UNROLL
  for (int i = 0; i < OUTPUTS; i++)
    UNROLL
    for (int j = 0; j < TOKENS; j++)
      UNROLL
      for (int c = 0; c < 4; c++)
        sum[i][j][c] = 0;

  Weights weight_tile(w, ldw, at.output, N, K);
  Tokens token_tile(x, ldx, at.token, T, K);
  auto load = [&](int step) {
    float *stage = shared + step % STAGES * STAGE;
    weight_tile.load(stage, step * DEPTH);
    token_tile.load(stage + Weights::FLOATS, step * DEPTH);
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
    const float *weights = shared + step % STAGES * STAGE, *tokens = weights + Weights::FLOATS;
    UNROLL
    for (int k = lane % 4; k < DEPTH; k += 8) {
      u32 high[OUTPUTS][4], low[OUTPUTS][4];
      UNROLL
      for (int i = 0; i < OUTPUTS; i++)
        UNROLL
        for (int c = 0; c < 4; c++)
          split_tf32(Weights::value(weights, warp_output + i * 16 + c % 2 * 8, k + c / 2 * 4), high[i][c], low[i][c]);
      UNROLL
      for (int j = 0; j < TOKENS; j++) {
        u32 h[2], l[2];
        UNROLL
        for (int c = 0; c < 2; c++)
          split_tf32(Tokens::value(tokens, warp_token + j * 8 + lane / 4, k + c * 4), h[c], l[c]);
        UNROLL
        for (int i = 0; i < OUTPUTS; i++)
          mma_tf32(sum[i][j], low[i], h[0], h[1]);
        UNROLL
        for (int i = 0; i < OUTPUTS; i++)
          mma_tf32(sum[i][j], high[i], l[0], l[1]);
        UNROLL
        for (int i = 0; i < OUTPUTS; i++)
          mma_tf32(sum[i][j], high[i], h[0], h[1]);
      }
    }
  }
  cp_async_wait<0>();
  barrier();

  UNROLL
  for (int i = 0; i < OUTPUTS; i++)
    UNROLL
    for (int j = 0; j < TOKENS; j++)
      UNROLL
      for (int c = 0; c < 4; c++)
        shared[(warp_token + j * 8 + lane % 4 * 2 + c % 2) * ROW<M> + warp_output + i * 16 + c / 2 * 8] = sum[i][j][c];
  barrier();
  store_tile<M, ROWS, THREADS>(shared, at, y, bias, T, N, ldy, flags);
}

#define F32_ARGUMENTS                                                                                        \
  float *y, const float *x, const float *w, const float *bias, int T, int N, int K, int ldx, int ldw, int ldy, int flags

// TF32(name, …) is y = x·Wᵀ or y = x·W.
#define TF32(NAME, W_TRANSPOSED, OUTPUTS, TOKENS, ACROSS, DOWN, STAGES, BLOCKS)                              \
  KERNEL(NAME, ACROSS *DOWN * 32, BLOCKS)(F32_ARGUMENTS) {                                                   \
    SHARED(shared);                                                                                          \
    tf32<false, W_TRANSPOSED, OUTPUTS, TOKENS, ACROSS, DOWN, STAGES>((float *)shared, y, x, w, bias, T, N, K, ldx, ldw, \
                                                                     ldy, flags);                            \
  }                                                                                                          \
  ENTRY(NAME)

TF32(f32_tn_128x64_s3, false, 4, 4, 2, 2, 3, 2)
TF32(f32_tn_64x8_s4, false, 1, 1, 4, 1, 4, 4)
TF32(f32_nn_128x64_s3, true, 4, 4, 2, 2, 3, 2)
TF32(f32_nn_64x8_s4, true, 1, 1, 4, 1, 4, 4)

// F32_GRAD: y [T,N] = xᵀ·w for the k of one chunk; the block's y names the chunk, and there is a y for
// each, one behind the other.
#define F32_GRAD(NAME, OUTPUTS, TOKENS, ACROSS, DOWN, STAGES, BLOCKS)                                        \
  KERNEL(NAME, ACROSS *DOWN * 32, BLOCKS)(F32_ARGUMENTS, int chunk) {                                        \
    SHARED(shared);                                                                                          \
    int first = block_y() * chunk;                                                                           \
    tf32<true, true, OUTPUTS, TOKENS, ACROSS, DOWN, STAGES>(                                                 \
        (float *)shared, y + (u64)block_y() * T * ldy, x + (u64)first * ldx, w + (u64)first * ldw, bias, T, N, \
        min_(chunk, K - first), ldx, ldw, ldy, flags);                                                       \
  }                                                                                                          \
  ENTRY(NAME)

F32_GRAD(f32_grad_128x64_s3, 4, 4, 2, 2, 3, 2)
F32_GRAD(f32_grad_64x8_s4, 1, 1, 4, 1, 4, 4)

// fold: y += parts[0], then parts[1], …; y and each part have n values.
KERNEL(fold, 256, 4)(float *y, const float *parts, int count, u64 n) {
  for (u64 i = (u64)block_x() * 256 + thread_x(); i < n; i += (u64)grid_x() * 256) {
    float v = y[i];
    for (int c = 0; c < count; c++)
      v += parts[c * n + i];
    y[i] = v;
  }
}
ENTRY(fold)
