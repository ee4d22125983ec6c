// The gradients of attention. With x = scale·q·kᵀ, s the capped x, P = e^(s-lse) and D = Σ dout·out of a
// row: ds = P∘(dout·vᵀ - D)∘(1-(s/c)²), dq = scale·ds·k, dk = scale·dsᵀ·q, dv = Pᵀ·dout.
// A block of attend_dq owns rows of queries and goes through the keys, one of attend_dkv owns keys and
// goes through the queries: each value has one writer and one order of its sum.
#include "attend.h"

// attend_delta: delta [rows] = Σ dout·out over the values of a row, one head of one query. One warp per
// row, eight per block.
template <class E> DEVICE void attend_delta(float *delta, const E *dout, const E *out, int rows, int width) {
  int row = block_x() * 8 + thread_x() / 32;
  float sum = 0;
  for (int i = thread_x() % 32; i < width && row < rows; i += 32)
    sum = fma_(to_float(dout[(u64)row * width + i]), to_float(out[(u64)row * width + i]), sum);
  UNROLL
  for (int mask = 16; mask > 0; mask /= 2)
    sum += shfl_xor(sum, mask);
  if (row < rows && thread_x() % 32 == 0)
    delta[row] = sum;
}
#define ATTEND_DELTA(NAME, E)                                                                                \
  KERNEL(NAME, 256, 4)(float *delta, const E *dout, const E *out, int rows, int width) {                     \
    attend_delta(delta, dout, out, rows, width);                                                             \
  }                                                                                                          \
  ENTRY(NAME)
ATTEND_DELTA(attend_delta_f32, float)
ATTEND_DELTA(attend_delta_bf16, bf16)

template <class E> struct Operands {
  const E *q, *k, *v, *dout;
  const float *lse, *delta;
};

// Backward is one block. It owns 16·TILES rows of scores, or keys, of one key/value head, and goes
// through the keys, or rows, that they meet, OTHERS at a time. WARPS warps share each 16 rows.
template <class E, int D, int TILES, int WARPS, int OTHERS, bool OWNS_KEYS> struct Backward {
  static constexpr int THREADS = TILES * WARPS * 32, M = TILES * 16;
  static constexpr int N = OTHERS / 8 / WARPS;                // a warp's tiles of scores
  static constexpr int COLUMNS = (D / 8 + WARPS - 1) / WARPS; // and of gradients
  static constexpr int SCORES = OTHERS + 4, ROWS = OWNS_KEYS ? OTHERS : M;

  const Layout &l;
  const Shape &s;
  const Operands<E> &o;
  E *own, *own2, *others, *others2;          // q or k; dout or v; and the other two
  float *ds, *p;                             // [M, OTHERS]; p for keys alone
  float *row_lse, *row_delta;                // [ROWS]
  float sum[COLUMNS][4], sum2[OWNS_KEYS ? COLUMNS : 1][4]; // dq; or dk and dv

  METHOD Backward(const Layout &l, const Shape &s, const Operands<E> &o, u8 *shared) : l(l), s(s), o(o) {
    own = (E *)shared;
    own2 = own + M * STRIDE<E, D>;
    others = own2 + M * STRIDE<E, D>;
    others2 = others + OTHERS * STRIDE<E, D>;
    ds = (float *)(others2 + OTHERS * STRIDE<E, D>);
    p = ds + M * SCORES;
    row_lse = OWNS_KEYS ? p + M * SCORES : p;
    row_delta = row_lse + ROWS;
  }

  // The sequence of this block, and what it owns of it.
  Part mine;
  int start, past, queries, n; // its first query, the position of it, its queries and keys
  const int *list;

  // load_rows begins to copy R rows of scores from `first` on: their queries and the gradients of out.
  template <int R> METHOD void load_rows(E *q, E *dout, int first) {
    u64 at = (u64)start * s.query_stride + block_y() * s.group * s.width;
    int end = queries * s.group;
    auto offset = [&](int r) { return at + (u64)(r / s.group) * s.query_stride + r % s.group * s.width; };
    copy_rows<R, D, THREADS>(q, o.q, s.width, wide_rows(o.q, s.width, s.query_stride),
                             [&](int r) { return first + r < end ? o.q + offset(first + r) : nullptr; });
    copy_rows<R, D, THREADS>(dout, o.dout, s.width, wide_rows(o.dout, s.width, s.query_stride),
                             [&](int r) { return first + r < end ? o.dout + offset(first + r) : nullptr; });
    for (int r = thread_x(); r < R; r += THREADS) {
      int row = first + r < end ? first + r : 0;
      u64 to = (u64)(start + row / s.group) * (s.query_stride / s.width) + block_y() * s.group + row % s.group;
      row_lse[r] = o.lse[to];
      row_delta[r] = o.delta[to];
    }
  }
  template <int R> METHOD void load_keys(E *k, E *v, int first) {
    auto offset = [&](int r) { return (u64)list[r] * s.key_stride + block_y() * s.width; };
    copy_rows<R, D, THREADS>(k, o.k, s.width, wide_rows(o.k, s.width, s.key_stride),
                             [&](int r) { return first + r < n ? o.k + offset(first + r) : nullptr; });
    copy_rows<R, D, THREADS>(v, o.v, s.width, wide_rows(o.v, s.width, s.key_stride),
                             [&](int r) { return first + r < n ? o.v + offset(first + r) : nullptr; });
  }

  // gradients computes this warp's part of P and ds for the others from `first` on.
  METHOD void gradients(int first) {
    int warp = thread_x() / 32, tile = warp / WARPS * 16, column = warp % WARPS * N * 8;
    float x[N][4], y[N][4];
    dots<D, N>(x, own + tile * STRIDE<E, D>, others + column * STRIDE<E, D>);
    dots<D, N>(y, own2 + tile * STRIDE<E, D>, others2 + column * STRIDE<E, D>);
    UNROLL
    for (int i = 0; i < N; i++) {
      float *to = ds + tile * SCORES + column + i * 8;
      store_result(to, SCORES, x[i]);
      ROLL // the values lie in shared memory, where a lane finds its own; unrolled they would be most of the code
      for (int j = 0; j < 4; j++) {
        int r = thread_x() % 32 / 4 + j / 2 * 8, c = thread_x() % 4 * 2 + j % 2;
        float grad = j < 2 ? (j == 0 ? y[i][0] : y[i][1]) : (j == 2 ? y[i][2] : y[i][3]);
        int m = tile + r, other = column + i * 8 + c;
        int row = OWNS_KEYS ? first + other : mine.first + m, key = OWNS_KEYS ? mine.first + m : first + other;
        int at = OWNS_KEYS ? other : m;
        float score = to[r * SCORES + c] * s.scale, slope = 1;
        if (s.softcap > 0) {
          score = cap(score, s.softcap);
          float t = div_(score, s.softcap);
          slope = 1.0f - t * t;
        }
        Range sees = visible(s, past + row / s.group, n);
        bool seen = row < queries * s.group && key >= sees.lo && key < sees.hi;
        float probability = seen ? exp2_((score - row_lse[at]) * LOG2E) : 0;
        to[r * SCORES + c] = seen ? probability * (grad - row_delta[at]) * slope : 0;
        if constexpr (OWNS_KEYS)
          p[to - ds + r * SCORES + c] = probability;
      }
    }
  }

  // add adds a [16 rows, OTHERS] times b [OTHERS, D] to this warp's columns.
  METHOD void add(float (&total)[COLUMNS][4], const float *a, const E *b) {
    int first = thread_x() / 32 % WARPS * COLUMNS;
    float d[COLUMNS][4] = {};
    ROLL
    for (int k = 0; k < OTHERS; k += 8) {
      float v[4];
      load_result(v, a + k, SCORES);
      auto l = left_of(v);
      UNROLL
      for (int i = 0; i < COLUMNS; i++)
        if (first + i < D / 8)
          multiply(d[i], l, right_across(b + k * STRIDE<E, D> + (first + i) * 8, STRIDE<E, D>));
    }
    UNROLL
    for (int i = 0; i < COLUMNS * 4; i++)
      total[i / 4][i % 4] += d[i / 4][i % 4];
  }

  // others_range returns the keys, or rows, that any of this block's rows, or keys, meets.
  METHOD Range others_range() {
    if constexpr (OWNS_KEYS) { // a key meets the queries at its position or later, if causal, within the window
      int lo = s.causal ? max_(0, mine.first - past) : 0, hi = queries;
      if (s.window > 0)
        hi = min_(hi, max_(0, mine.end - 1 + s.window - past));
      return {lo * s.group / OTHERS * OTHERS, hi * s.group};
    } else {
      int lo = visible(s, past + mine.first / s.group, n).lo / OTHERS * OTHERS;
      return {lo, visible(s, past + (mine.end - 1) / s.group, n).hi};
    }
  }

  METHOD void run(E *out, E *out2) {
    mine = OWNS_KEYS ? part<M>(grid_x() - 1 - block_x(), l.key_starts, l.sequences, 1)
                     : part<M>(grid_x() - 1 - block_x(), l.starts, l.sequences, s.group);
    if (mine.first >= mine.end)
      return;
    start = l.starts[mine.sequence], past = l.past[mine.sequence], queries = l.starts[mine.sequence + 1] - start;
    list = l.keys + l.key_starts[mine.sequence];
    n = l.key_starts[mine.sequence + 1] - l.key_starts[mine.sequence];
    UNROLL
    for (int i = 0; i < COLUMNS * 4; i++) {
      sum[i / 4][i % 4] = 0;
      if constexpr (OWNS_KEYS)
        sum2[i / 4][i % 4] = 0;
    }
    if constexpr (OWNS_KEYS)
      load_keys<M>(own, own2, mine.first);
    else
      load_rows<M>(own, own2, mine.first);
    Range range = others_range();
    const float *tile_ds = ds + thread_x() / 32 / WARPS * 16 * SCORES, *tile_p = p + thread_x() / 32 / WARPS * 16 * SCORES;
    for (int at = range.lo; at < range.hi; at += OTHERS) {
      barrier(); // the others before are read
      if constexpr (OWNS_KEYS)
        load_rows<OTHERS>(others, others2, at);
      else
        load_keys<OTHERS>(others, others2, at);
      cp_async_commit();
      cp_async_wait<0>();
      barrier();
      gradients(at);
      barrier();
      add(sum, tile_ds, others);
      if constexpr (OWNS_KEYS)
        add(sum2, tile_p, others2);
    }
    cp_async_commit();
    cp_async_wait<0>(); // also without others
    if constexpr (OWNS_KEYS) {
      store_columns(out, sum, s.scale);
      store_columns(out2, sum2, 1);
    } else
      store_columns(out, sum, s.scale);
  }

  METHOD void store_columns(E *to, const float (&v)[COLUMNS][4], float scale) {
    int first = thread_x() / 32 % WARPS * COLUMNS;
    UNROLL
    for (int h = 0; h < 2; h++) {
      int r = mine.first + (int)(thread_x() / 32 / WARPS * 16 + h * 8 + thread_x() % 32 / 4);
      if (r >= mine.end)
        continue;
      E *row = OWNS_KEYS ? to + (u64)list[r] * s.key_stride + block_y() * s.width
                         : to + (u64)(start + r / s.group) * s.query_stride + (block_y() * s.group + r % s.group) * s.width;
      UNROLL
      for (int i = 0; i < COLUMNS * 2; i++) {
        int column = (first + i / 2) * 8 + thread_x() % 4 * 2 + i % 2;
        if (column < s.width)
          store(row + column, v[i / 2][2 * h + i % 2] * scale);
      }
    }
  }
};

// Grids: (⌊rows·group/M⌋ + sequences, key/value heads) for dq, (⌊keys/M⌋ + sequences, …) for dk and dv.
#define BACKWARD_KERNELS(NAME, E, D, TILES, WARPS, OTHERS)                                                   \
  KERNEL(attend_dq_##NAME, TILES * WARPS * 32, 1)                                                            \
  (E * dq, const E *dout, const float *lse, const float *delta, const E *q, const E *k, const E *v,          \
   LAYOUT_ARGUMENTS, SHAPE_ARGUMENTS) {                                                                      \
    SHARED(shared);                                                                                          \
    Layout l = LAYOUT;                                                                                       \
    Shape s = SHAPE;                                                                                         \
    Operands<E> o{q, k, v, dout, lse, delta};                                                                \
    Backward<E, D, TILES, WARPS, OTHERS, false>(l, s, o, shared).run(dq, nullptr);                           \
  }                                                                                                          \
  ENTRY(attend_dq_##NAME)                                                                                    \
  KERNEL(attend_dkv_##NAME, TILES * WARPS * 32, 1)                                                           \
  (E * dk, E * dv, const E *dout, const float *lse, const float *delta, const E *q, const E *k, const E *v,  \
   LAYOUT_ARGUMENTS, SHAPE_ARGUMENTS) {                                                                      \
    SHARED(shared);                                                                                          \
    Layout l = LAYOUT;                                                                                       \
    Shape s = SHAPE;                                                                                         \
    Operands<E> o{q, k, v, dout, lse, delta};                                                                \
    Backward<E, D, TILES, WARPS, OTHERS, true>(l, s, o, shared).run(dk, dv);                                 \
  }                                                                                                          \
  ENTRY(attend_dkv_##NAME)

BACKWARD_KERNELS(f32_16, float, 16, 4, 2, 32)
BACKWARD_KERNELS(f32_32, float, 32, 4, 2, 32)
BACKWARD_KERNELS(f32_64, float, 64, 4, 2, 32)
BACKWARD_KERNELS(f32_80, float, 80, 4, 2, 32)
BACKWARD_KERNELS(f32_96, float, 96, 4, 2, 32)
BACKWARD_KERNELS(f32_128, float, 128, 4, 2, 32)
BACKWARD_KERNELS(f32_256, float, 256, 2, 4, 32)
// For 99 KB of shared memory.
BACKWARD_KERNELS(least_f32_128, float, 128, 2, 4, 32)
BACKWARD_KERNELS(least_f32_256, float, 256, 1, 2, 16)

BACKWARD_KERNELS(bf16_16, bf16, 16, 4, 2, 32)
BACKWARD_KERNELS(bf16_32, bf16, 32, 4, 2, 32)
BACKWARD_KERNELS(bf16_64, bf16, 64, 4, 2, 32)
BACKWARD_KERNELS(bf16_80, bf16, 80, 4, 2, 32)
BACKWARD_KERNELS(bf16_96, bf16, 96, 4, 2, 32)
BACKWARD_KERNELS(bf16_128, bf16, 128, 4, 2, 32)
BACKWARD_KERNELS(bf16_256, bf16, 256, 2, 4, 32)
