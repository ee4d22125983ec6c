// Attention after Dao et al., "FlashAttention", 2022: keys come in blocks of 64 at absolute places, and
// each row keeps the maximum, the sum of exponentials and the weighted sum of values of the blocks so
// far. attend_few is for sequences with few rows, as in decoding: its warps divide keys and columns
// instead of rows, and its results have the bits of attend's.
#include "attend.h"

enum { BLOCK = 64 }; // keys

// Forward is one block of 16·TILES rows of one key/value head. WARPS warps share each 16 rows. With one
// buffer keys and values are copied by turns, else beside the computation.
template <class E, int D, int TILES, int WARPS, int BUFFERS> struct Forward {
  static constexpr int THREADS = TILES * WARPS * 32, M = TILES * 16;
  static constexpr int N = BLOCK / 8 / WARPS;                     // a warp's tiles of scores
  static constexpr int COLUMNS = (D / 8 + WARPS - 1) / WARPS;     // and of values
  static constexpr int TILE = BLOCK * STRIDE<E, D>, SCORES = BLOCK + 4;

  const Layout &l;
  const Shape &s;
  E *queries, *keys, *values;
  float *scores;
  float top[2], sum[2], out[COLUMNS][4];

  METHOD Forward(const Layout &l, const Shape &s, u8 *shared) : l(l), s(s) {
    queries = (E *)shared;
    keys = queries + M * STRIDE<E, D>;
    values = BUFFERS == 2 ? keys + TILE : keys;
    scores = (float *)(values + TILE) + thread_x() / 32 / WARPS * 16 * SCORES;
  }

  // load begins to copy a block of the rows of x that the keys from j on have.
  METHOD void load(E *tile, const E *x, const int *list, int j, int n, bool wide) {
    copy_rows<BLOCK, D, THREADS>(tile, x, s.width, wide, [&](int r) {
      return j + r < n ? x + (u64)list[j + r] * s.key_stride + block_y() * s.width : nullptr;
    });
    cp_async_commit();
  }

  // score computes this warp's scores of a block.
  METHOD void score() {
    int warp = thread_x() / 32, first = warp % WARPS * N;
    float d[N][4];
    dots<D, N>(d, queries + warp / WARPS * 16 * STRIDE<E, D>, keys + first * 8 * STRIDE<E, D>);
    UNROLL
    for (int i = 0; i < N; i++) {
      UNROLL
      for (int j = 0; j < 4; j++)
        d[i][j] *= s.scale;
      store_result(scores + (first + i) * 8, SCORES, d[i]);
    }
    if (s.softcap > 0)
      ROLL // a lane's own values; unrolled it would be most of the code
      for (int i = 0; i < N; i++)
        cap_result(scores + (first + i) * 8, SCORES, s.softcap);
  }

  // softmax turns the scores of keys from j on into the exponentials of their distance to the new
  // maximum, and scales what there is to it.
  METHOD void softmax(float (&p)[BLOCK / 8][4], float (&factor)[2], const Range (&sees)[2], int j) {
    UNROLL
    for (int h = 0; h < 2; h++) {
      float most = top[h];
      UNROLL
      for (int i = 0; i < BLOCK / 8 * 2; i++) {
        float &v = p[i / 2][2 * h + i % 2];
        int key = j + i / 2 * 8 + thread_x() % 4 * 2 + i % 2;
        if (key < sees[h].lo || key >= sees[h].hi)
          v = -INFINITE;
        most = v > most ? v : most;
      }
      UNROLL
      for (int mask = 1; mask <= 2; mask *= 2) {
        float other = shfl_xor(most, mask);
        most = other > most ? other : most;
      }
      float base = most == -INFINITE ? 0 : most;
      factor[h] = exp2_((top[h] - base) * LOG2E);
      top[h] = most;
      float added = 0;
      UNROLL
      for (int i = 0; i < BLOCK / 8 * 2; i++) {
        float &v = p[i / 2][2 * h + i % 2];
        v = exp2_((v - base) * LOG2E);
        added += v;
      }
      sum[h] = fma_(sum[h], factor[h], added);
    }
  }

  // weigh adds the values of a block, weighted by the exponentials in scores, to this warp's columns.
  METHOD void weigh(const float (&factor)[2]) {
    int first = thread_x() / 32 % WARPS * COLUMNS;
    float d[COLUMNS][4] = {};
    ROLL
    for (int k = 0; k < BLOCK; k += 8) {
      float p[4];
      load_result(p, scores + k, SCORES);
      auto a = left_of(p);
      UNROLL
      for (int i = 0; i < COLUMNS; i++)
        if (first + i < D / 8)
          multiply(d[i], a, right_across(values + k * STRIDE<E, D> + (first + i) * 8, STRIDE<E, D>));
    }
    UNROLL
    for (int i = 0; i < COLUMNS * 4; i++)
      out[i / 4][i % 4] = fma_(out[i / 4][i % 4], factor[i % 4 / 2], d[i / 4][i % 4]);
  }

  METHOD void run(E *o, float *lse, const E *q, const E *k, const E *v) {
    Part rows = part<M>(grid_x() - 1 - block_x(), l.starts, l.sequences, s.group); // later rows see more keys
    if (rows.first >= rows.end)
      return;
    int start = l.starts[rows.sequence], past = l.past[rows.sequence];
    const int *list = l.keys + l.key_starts[rows.sequence];
    int n = l.key_starts[rows.sequence + 1] - l.key_starts[rows.sequence], warp_rows = rows.first + thread_x() / 32 / WARPS * 16;
    const E *heads = q + (u64)start * s.query_stride + block_y() * s.group * s.width;
    copy_rows<M, D, THREADS>(queries, q, s.width, wide_rows(q, s.width, s.query_stride), [&](int r) {
      r += rows.first;
      return r < rows.end ? heads + (u64)(r / s.group) * s.query_stride + r % s.group * s.width : nullptr;
    });
    cp_async_commit();
    bool wide_keys = wide_rows(k, s.width, s.key_stride), wide_values = wide_rows(v, s.width, s.key_stride);
    bool active = warp_rows < rows.end;
    Range sees[2];
    UNROLL
    for (int h = 0; h < 2; h++) {
      sees[h] = visible(s, past + (warp_rows + h * 8 + (int)thread_x() % 32 / 4) / s.group, n);
      top[h] = -INFINITE, sum[h] = 0;
    }
    UNROLL
    for (int i = 0; i < COLUMNS * 4; i++)
      out[i / 4][i % 4] = 0;
    int from = visible(s, past + rows.first / s.group, n).lo / BLOCK * BLOCK;
    int to = visible(s, past + (rows.end - 1) / s.group, n).hi;
    if (BUFFERS == 2)
      load(keys, k, list, from, n, wide_keys);
    for (int j = from; j < to; j += BLOCK) {
      float p[BLOCK / 8][4], factor[2];
      if (BUFFERS == 1) {
        barrier(); // the values before are read
        load(keys, k, list, j, n, wide_keys);
      }
      cp_async_wait<0>();
      barrier();
      if (BUFFERS == 2)
        load(values, v, list, j, n, wide_values);
      if (active)
        score();
      if (BUFFERS == 1) {
        barrier();
        load(values, v, list, j, n, wide_values);
      } else {
        cp_async_wait<0>();
        barrier();
        if (j + BLOCK < to)
          load(keys, k, list, j + BLOCK, n, wide_keys);
      }
      if (active) {
        UNROLL
        for (int i = 0; i < BLOCK / 8; i++)
          load_result(p[i], scores + i * 8, SCORES);
        softmax(p, factor, sees, j);
      }
      if (WARPS > 1)
        barrier(); // all of them have read the scores
      if (active && thread_x() / 32 % WARPS == 0) {
        UNROLL
        for (int i = 0; i < BLOCK / 8; i++)
          store_result(scores + i * 8, SCORES, p[i]);
      }
      if (BUFFERS == 1)
        cp_async_wait<0>();
      if (BUFFERS == 1 || WARPS > 1)
        barrier();
      if (active)
        weigh(factor);
    }
    cp_async_wait<0>(); // also without a key
    if (active)
      finish(o, lse, start, warp_rows, rows.end);
  }

  METHOD void finish(E *o, float *lse, int start, int warp_rows, int end) {
    int first = thread_x() / 32 % WARPS * COLUMNS, heads = s.query_stride / s.width;
    UNROLL
    for (int h = 0; h < 2; h++) {
      float total = sum[h] + shfl_xor(sum[h], 1);
      total += shfl_xor(total, 2);
      int r = warp_rows + h * 8 + thread_x() % 32 / 4;
      if (r >= end)
        continue;
      u64 query = start + r / s.group;
      int head = block_y() * s.group + r % s.group;
      float inverse = total > 0 ? div_(1.0f, total) : 0;
      E *to = o + query * s.query_stride + head * s.width;
      UNROLL
      for (int i = 0; i < COLUMNS * 2; i++) {
        int column = (first + i / 2) * 8 + thread_x() % 4 * 2 + i % 2;
        if (column < s.width)
          store(to + column, out[i / 2][2 * h + i % 2] * inverse);
      }
      if (lse && first == 0 && thread_x() % 4 == 0)
        lse[query * heads + head] = fma_(log2_(total), LN2, top[h]);
    }
  }
};

#define ATTEND_ARGUMENTS(E) (E * out, float *lse, const E *q, const E *k, const E *v, LAYOUT_ARGUMENTS, SHAPE_ARGUMENTS)

// Grid: (⌊rows·group/M⌋ + sequences, key/value heads). lse may be null.
#define ATTEND_KERNEL(name, blocks, E, ...)                                                                  \
  KERNEL(name, (Forward<E, __VA_ARGS__>::THREADS), blocks) ATTEND_ARGUMENTS(E) {                             \
    SHARED(shared);                                                                                          \
    Layout l = LAYOUT;                                                                                       \
    Shape s = SHAPE;                                                                                         \
    Forward<E, __VA_ARGS__>(l, s, shared).run(out, lse, q, k, v);                                            \
  }                                                                                                          \
  ENTRY(name)

ATTEND_KERNEL(attend_f32_16, 2, float, 16, 4, 1, 2)
ATTEND_KERNEL(attend_f32_32, 2, float, 32, 4, 1, 2)
ATTEND_KERNEL(attend_f32_64, 2, float, 64, 4, 1, 2)
ATTEND_KERNEL(attend_f32_80, 2, float, 80, 4, 1, 2)
ATTEND_KERNEL(attend_f32_96, 2, float, 96, 4, 1, 2)
ATTEND_KERNEL(attend_f32_128, 1, float, 128, 4, 1, 2)
ATTEND_KERNEL(attend_f32_256, 1, float, 256, 4, 2, 1)
ATTEND_KERNEL(attend_few_f32_16, 2, float, 16, 1, 8, 2)
ATTEND_KERNEL(attend_few_f32_32, 2, float, 32, 1, 8, 2)
ATTEND_KERNEL(attend_few_f32_64, 2, float, 64, 1, 8, 2)
ATTEND_KERNEL(attend_few_f32_80, 2, float, 80, 1, 8, 2)
ATTEND_KERNEL(attend_few_f32_96, 2, float, 96, 1, 8, 2)
ATTEND_KERNEL(attend_few_f32_128, 2, float, 128, 1, 8, 2)
ATTEND_KERNEL(attend_few_f32_256, 1, float, 256, 1, 8, 2)
ATTEND_KERNEL(attend_least_f32_256, 1, float, 256, 1, 8, 1) // for 99 KB of shared memory

ATTEND_KERNEL(attend_bf16_16, 2, bf16, 16, 4, 1, 2)
ATTEND_KERNEL(attend_bf16_32, 2, bf16, 32, 4, 1, 2)
ATTEND_KERNEL(attend_bf16_64, 2, bf16, 64, 4, 1, 2)
ATTEND_KERNEL(attend_bf16_80, 2, bf16, 80, 4, 1, 2)
ATTEND_KERNEL(attend_bf16_96, 2, bf16, 96, 4, 1, 2)
ATTEND_KERNEL(attend_bf16_128, 2, bf16, 128, 4, 1, 2)
ATTEND_KERNEL(attend_bf16_256, 1, bf16, 256, 4, 2, 2)
ATTEND_KERNEL(attend_few_bf16_16, 2, bf16, 16, 1, 8, 2)
ATTEND_KERNEL(attend_few_bf16_32, 2, bf16, 32, 1, 8, 2)
ATTEND_KERNEL(attend_few_bf16_64, 2, bf16, 64, 1, 8, 2)
ATTEND_KERNEL(attend_few_bf16_80, 2, bf16, 80, 1, 8, 2)
ATTEND_KERNEL(attend_few_bf16_96, 2, bf16, 96, 1, 8, 2)
ATTEND_KERNEL(attend_few_bf16_128, 2, bf16, 128, 1, 8, 2)
ATTEND_KERNEL(attend_few_bf16_256, 2, bf16, 256, 1, 8, 2)
