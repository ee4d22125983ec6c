// Logits of an output head, one block per row: log-sum-exp, the target's place, the best tokens, and
// the gradient of the loss. A row's results depend on its own logits alone. Among equal logits the
// lower token comes first; a NaN counts as -∞ in every order.
#include "rows.h"

// Row is what scan finds.
struct Row {
  double lse;   // log-sum-exp
  float target; // the target's logit
  u32 best;     // the most likely token
  u32 rank;     // the target's place, from 1
  u32 unused[3];
};

// key orders logits: a larger key is a larger logit, or an equal one of a lower token. No key is 0.
DEVICE u64 key(float v, u32 token) {
  u32 bits = v != v ? 0xff800000u : float_bits(v + 0.0f); // -0 becomes 0
  bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return (u64)bits << 32 | (0xffffffffu - token);
}
DEVICE u32 token_of(u64 key) { return 0xffffffffu - (u32)key; }
DEVICE float logit_of(u64 key) {
  u32 bits = key >> 32;
  return bits_float(bits & 0x80000000u ? bits & 0x7fffffffu : ~bits);
}

// largest returns the largest key of a block. keys has THREADS values.
DEVICE u64 largest(u64 k, u64 *keys) {
  keys[thread_x()] = k;
  for (int half = THREADS / 2; half > 0; half /= 2) {
    barrier();
    if ((int)thread_x() < half && keys[thread_x() + half] > keys[thread_x()])
      keys[thread_x()] = keys[thread_x() + half];
  }
  barrier();
  return keys[0];
}

// head_scan: caps the V logits of each row in place if cap is not 0, and finds what Row has. targets may
// be 0. Grid: rows.
KERNEL(head_scan, THREADS, 2)(Row *out, float *logits, const int *targets, int V, u64 stride, float cap) {
  SHARED(shared);
  float *row = logits + block_x() * stride;
  u64 best = 0;
  for (int i = thread_x(); i < V; i += THREADS) {
    if (cap != 0)
      row[i] = capped(row[i], cap);
    u64 k = key(row[i], i);
    best = k > best ? k : best;
  }
  best = largest(best, (u64 *)shared);
  float top = logit_of(best);
  if (top == bits_float(0xff800000u)) // all are -∞ or NaN
    top = 0;
  u64 own = targets ? key(row[targets[block_x()]], targets[block_x()]) : 0;
  double sum = 0, before = 0;
  for (int i = thread_x(); i < V; i += THREADS) {
    sum += (double)exp2_((row[i] - top) * 1.44269504f);
    before += key(row[i], i) > own ? 1.0 : 0.0;
  }
  sum = reduce64(sum, (double *)shared);
  before = reduce64(before, (double *)shared);
  if (thread_x() != 0)
    return;
  Row r = {(double)top + log64(sum), 0, token_of(best), 0, {0, 0, 0}};
  if (targets) {
    r.target = row[targets[block_x()]];
    r.rank = (u32)before + 1;
  }
  out[block_x()] = r;
}
ENTRY(head_scan)

// head_losses: nll[i] = lse - target of n rows.
KERNEL(head_losses, THREADS, 4)(float *nll, const Row *rows, int n) {
  int i = block_x() * THREADS + thread_x();
  if (i < n)
    nll[i] = (float)(rows[i].lse - (double)rows[i].target);
}
ENTRY(head_losses)

// head_gradient: replaces each row's V capped logits by weight times the gradient of its loss with
// respect to the uncapped ones. Grid: rows.
KERNEL(head_gradient, THREADS, 4)
(float *logits, const Row *rows, const int *targets, const float *weights, int V, float cap) {
  float *row = logits + (u64)block_x() * V, lse = (float)rows[block_x()].lse, weight = weights[block_x()];
  int target = targets[block_x()];
  for (int i = thread_x(); i < V; i += THREADS) {
    float p = exp2_((row[i] - lse) * 1.44269504f) - (i == target ? 1.0f : 0.0f), slope = 1;
    if (cap != 0) {
      float at = div_(row[i], cap);
      slope = 1.0f - at * at;
    }
    row[i] = weight * p * slope;
  }
}
ENTRY(head_gradient)

// head_ban: sets listed logits to -∞: of row i the tokens list[first[i]] … list[first[i+1]-1] that are
// less than V. Grid: rows.
KERNEL(head_ban, THREADS, 4)(float *logits, const int *first, const int *list, int V, u64 stride) {
  for (int i = first[block_x()] + thread_x(); i < first[block_x() + 1]; i += THREADS)
    if ((u32)list[i] < (u32)V)
      logits[block_x() * stride + list[i]] = bits_float(0xff800000u);
}
ENTRY(head_ban)

enum { MOST = 2048 }; // tokens that head_top can return

// Found is one token of head_top.
struct Found {
  u32 token;
  float logit;
};

// head_top: the k ≤ MOST best of V logits of each row, the best first.
//
// The key of the k-th best is found by its digits of 8 bits, the highest first, from counts of how many
// keys have each value of a digit. Only keys of at least `floor` count: the k-th of the threads' own
// best keys, which few others reach. Grid: rows.
KERNEL(head_top, THREADS, 2)(Found *out, const float *logits, int V, u64 stride, int k) {
  SHARED(shared);
  u64 *list = (u64 *)shared, *bests = list + MOST;
  u32 *counts = (u32 *)(bests + THREADS), *found = counts + 256;
  u64 *state = (u64 *)(found + 2); // the k-th key's digits so far; how many keys with these are wanted; done
  const float *row = logits + block_x() * stride;
  u64 own = 0;
  for (int i = thread_x(); i < V; i += THREADS) {
    u64 c = key(row[i], i);
    own = c > own ? c : own;
  }
  bests[thread_x()] = own;
  if (thread_x() == 0)
    *found = 0, state[0] = 0, state[1] = k, state[2] = 0, state[3] = 0;
  barrier();
  int above = 0;
  for (int i = 0; i < THREADS; i++)
    above += bests[i] > own;
  if (above == k - 1 && own != 0)
    state[3] = own;
  barrier();
  u64 floor = state[3], mask = 0;
  for (int shift = 56; shift >= 0 && !state[2]; shift -= 8) {
    counts[thread_x()] = 0;
    u64 prefix = state[0];
    barrier();
    for (int i = thread_x(); i < V; i += THREADS) {
      u64 c = key(row[i], i);
      if (c >= floor && (c & mask) == prefix)
        atomic_add(&counts[c >> shift & 255], 1);
    }
    barrier();
    if (thread_x() == 0) {
      u64 wanted = state[1];
      int digit = 255;
      for (; digit > 0 && counts[digit] < wanted; digit--)
        wanted -= counts[digit];
      state[0] = prefix | (u64)digit << shift;
      state[1] = wanted;
      state[2] = counts[digit] == wanted;
    }
    mask |= (u64)255 << shift;
    barrier();
  }
  u64 least = state[0];
  for (int i = thread_x(); i < V; i += THREADS) {
    u64 c = key(row[i], i);
    if (c >= least && c >= floor)
      list[atomic_next(found)] = c;
  }
  barrier();
  for (int i = thread_x(); i < k; i += THREADS) {
    int place = 0;
    for (int j = 0; j < k; j++)
      place += list[j] > list[i];
    out[(u64)block_x() * k + place] = Found{token_of(list[i]), logit_of(list[i])};
  }
}
ENTRY(head_top)
