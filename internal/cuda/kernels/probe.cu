// Kernels that ask the hardware a question, for reference/gpu/check.sh and tests.
#include "kernel.h"

// mma_probe: d [p][16][8] = c [p][16][8] + a [p][16][16]·b [p][8][16]ᵀ by one mma. One warp per
// product. The host compares products of which rows, columns or operands have changed places.
KERNEL(mma_probe, 32, 1)(float *d, const float *c, const bf16 *a, const bf16 *b) {
  int lane = thread_x(), row = lane / 4, k = lane % 4 * 2;
  const bf16 *A = a + block_x() * 256, *B = b + block_x() * 128;
  u32 fragment[4];
  for (int i = 0; i < 4; i++)
    fragment[i] = *(const u32 *)(A + (row + i % 2 * 8) * 16 + k + i / 2 * 8);
  float sum[4];
  for (int i = 0; i < 4; i++)
    sum[i] = c[block_x() * 128 + (row + i / 2 * 8) * 8 + k + i % 2];
  mma_bf16(sum, fragment, *(const u32 *)(B + row * 16 + k), *(const u32 *)(B + row * 16 + k + 8));
  for (int i = 0; i < 4; i++)
    d[block_x() * 128 + (row + i / 2 * 8) * 8 + k + i % 2] = sum[i];
}
ENTRY(mma_probe)

// nothing: what a launch costs by itself.
KERNEL(nothing, 32, 1)(u32 *p) {
  if (p && thread_x() == 0)
    p[0] += 1;
}
ENTRY(nothing)
