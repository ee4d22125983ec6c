// Kernels with planted faults: what the emulator must find (TestEmulatorFindsFaults). No GPU runs them.
#include "run.h"

namespace {

// Reads what other threads write, without a barrier between.
KERNEL(fault_no_barrier, 64, 1)(float *y) {
  SHARED(shared);
  float *s = (float *)shared;
  s[thread_x()] = (float)thread_x();
  y[thread_x()] = s[63 - thread_x()];
}
ENTRY(fault_no_barrier)

// Reads an asynchronous copy that nobody waited for.
KERNEL(fault_no_wait, 64, 1)(float *y) {
  SHARED(shared);
  cp_async16(shared + thread_x() * 16, y + thread_x() % 16 * 4, true);
  cp_async_commit();
  barrier();
  y[thread_x()] = ((float *)shared)[thread_x() * 4];
}
ENTRY(fault_no_wait)

// Begins a copy into memory that others may still be reading.
KERNEL(fault_early_copy, 64, 1)(float *y) {
  SHARED(shared);
  float *s = (float *)shared;
  for (int i = 0; i < 4; i++)
    s[thread_x() * 4 + i] = 1;
  barrier();
  float v = s[(63 - thread_x()) * 4];
  cp_async16(shared + thread_x() * 16, y, true);
  cp_async_commit();
  cp_async_wait<0>();
  barrier();
  y[64 + thread_x()] = v;
}
ENTRY(fault_early_copy)

// Writes behind its shared memory.
KERNEL(fault_shared, 64, 1)(float *y) {
  SHARED(shared);
  shared[1024 + thread_x()] = 1;
  y[thread_x()] = 0;
}
ENTRY(fault_shared)

// Writes behind an allocation of 1,024 bytes.
KERNEL(fault_memory, 64, 1)(float *y) { y[256] = 1; }
ENTRY(fault_memory)

// Half a warp stays away from an operation of the whole warp.
KERNEL(fault_lanes, 64, 1)(float *y) {
  if (thread_x() % 32 < 16)
    y[thread_x()] = shfl_xor(1.0f, 1);
}
ENTRY(fault_lanes)

// Two halves of a warp wait in different places.
KERNEL(fault_apart, 64, 1)(float *y) {
  if (thread_x() % 32 < 16)
    barrier();
  y[thread_x()] = shfl_xor(1.0f, 1);
}
ENTRY(fault_apart)

// Ends while the copy engine still writes into its shared memory.
KERNEL(fault_box, 64, 1)
(const __grid_constant__ TensorMap weights, const __grid_constant__ TensorMap tokens, void *y) {
  SHARED(shared);
  u64 *full = (u64 *)(shared + 64 * 128);
  if (thread_x() == 0) {
    barrier_init(full, 1);
    barriers_ready();
    arrive_expect(full, 64 * 128);
    load_box(shared, &weights, 0, 0, full);
  }
  barrier();
  ((u8 *)y)[thread_x()] = shared[thread_x()];
}
ENTRY(fault_box)

} // namespace
