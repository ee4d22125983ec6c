// The optimiser's step and sums in float64.
#include "rows.h"

// Blocks of values are numbered through all tensors of a table. find returns the tensor of a block:
// the last one that begins at or before it.
template <class Entry> DEVICE const Entry *find(const Entry *table, int n, u32 block) {
  int lo = 0, hi = n - 1;
  while (lo < hi) {
    int middle = (lo + hi + 1) / 2;
    if (table[middle].first <= block)
      lo = middle;
    else
      hi = middle - 1;
  }
  return table + lo;
}

// Trained is a parameter in the table of adamw; `first` is its first block of UPDATED values.
struct Trained {
  float *value, *grad, *m, *v;
  u64 n, first;
};
enum { UPDATED = 2048, SQUARED = 16384 }; // values of a block

// adamw: a step with the gradients times `scale`, in PyTorch's order of operations. The gradients
// become 0. one1 and one2 are 1-β1 and 1-β2, root is √correction2, decayed 1-lr·decay, and step
// lr/correction1. Grid: the blocks of all parameters.
KERNEL(adamw, THREADS, 4)
(const Trained *table, int parameters, float scale, float one1, float beta2, float one2, float root, float eps,
 float decayed, float step) {
  const Trained *p = find(table, parameters, block_x());
  u64 from = (block_x() - p->first) * UPDATED, to = min_(from + UPDATED, p->n);
  for (u64 i = from + thread_x(); i < to; i += THREADS) {
    float g = p->grad[i] * scale;
    float m = p->m[i] + (g - p->m[i]) * one1;
    float v = p->v[i] * beta2 + g * g * one2;
    p->m[i] = m;
    p->v[i] = v;
    p->value[i] = p->value[i] * decayed - step * div_(m, div_(sqrt_(v), root) + eps);
    p->grad[i] = 0;
  }
}
ENTRY(adamw)

// Summed is a tensor in the table of sum_squares; `first` is its first block of SQUARED values.
struct Summed {
  const float *x;
  u64 n, first;
};

// sum_squares: partial[b] = Σx² of block b. Grid: the blocks of all tensors.
KERNEL(sum_squares, THREADS, 4)(double *partial, const Summed *table, int tensors) {
  SHARED(shared);
  const Summed *s = find(table, tensors, block_x());
  u64 from = (block_x() - s->first) * SQUARED, to = min_(from + SQUARED, s->n);
  double sum = 0;
  for (u64 i = from + thread_x(); i < to; i += THREADS)
    sum += (double)s->x[i] * (double)s->x[i];
  sum = reduce64(sum, (double *)shared);
  if (thread_x() == 0)
    partial[block_x()] = sum;
}
ENTRY(sum_squares)

// fold64: out = Σ partial of n numbers. One block.
KERNEL(fold64, THREADS, 4)(double *out, const double *partial, int n) {
  SHARED(shared);
  double sum = 0;
  for (int i = thread_x(); i < n; i += THREADS)
    sum += partial[i];
  sum = reduce64(sum, (double *)shared);
  if (thread_x() == 0)
    *out = sum;
}
ENTRY(fold64)

// dot64: out = Σ weights[i]·x[i] of n values, in order; without weights all are 1. One block.
KERNEL(dot64, THREADS, 4)(double *out, const float *x, const float *weights, int n) {
  SHARED(shared);
  double *terms = (double *)shared, sum = 0;
  for (int first = 0; first < n; first += THREADS) {
    int i = first + thread_x();
    if (i < n)
      terms[thread_x()] = (double)x[i] * (weights ? (double)weights[i] : 1.0);
    barrier();
    if (thread_x() == 0)
      for (int j = 0; j < min_((int)THREADS, n - first); j++)
        sum += terms[j];
    barrier();
  }
  if (thread_x() == 0)
    *out = sum;
}
ENTRY(dot64)
