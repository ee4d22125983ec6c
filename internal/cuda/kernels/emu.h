// The other half of kernel.h: its operations on a CPU, for the fake driver. A block's threads are
// fibers of one system thread. A warp operation waits for all 32 lanes and then computes from the
// layouts that the PTX manual documents.
//
// It is stricter than a GPU where a GPU forgives: shared memory begins as NaN and ends in guard
// bytes, an asynchronous copy spoils its target at once and lands only at the wait that covers it,
// lanes that meet in different operations end the launch, and a launch runs in several fiber orders
// (see fake.cpp). What it cannot show: races between memory proxies, the rounding inside tensor
// cores, speed.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace emu {

struct Failure { // ends a launch; its text goes to standard error
  std::string text;
};

// Copy is one cp.async in flight.
struct Copy {
  void *dst;
  const void *src;
  size_t bytes;
  bool valid;
};

// Product is one wgmma in flight: a lane's part of d, and the tiles.
struct Product {
  float *d;
  int values; // of d
  const void *a, *b;
  bool a_columns;
};

// Slot is what one lane hands into a warp operation and receives from it.
struct Slot {
  u32 in[10];
  const void *address;
  u32 out[4];
};

struct Meeting { // of a warp's lanes or of a block's threads
  int arrived = 0, members = 0;
  unsigned generation = 0;
  const char *operation = nullptr;
};

// Transfer is a barrier for copies of boxes, by its address in shared memory.
struct Transfer {
  Meeting phases; // its generation counts them
  int count = 0, arrived = 0, waiting = 0;
  long bytes = 0;                             // announced and not landed
  std::vector<std::function<size_t()>> boxes; // begun; each lands and returns its size
  void land();
  void complete(); // ends the phase if nothing is missing
};

struct Warp {
  Meeting meeting;
  Slot slots[32];
};

struct Fiber {
  void *stack_pointer = nullptr;
  int thread = 0;
  bool done = false;
  const Meeting *waits = nullptr; // until its generation is no longer `generation`
  unsigned generation = 0;
  std::vector<std::vector<Copy>> groups; // committed, the oldest first
  std::vector<Copy> open;                // not committed
  std::vector<std::vector<Product>> products; // of wgmma, likewise
  std::vector<Product> open_products;
};

struct Block {
  u32 x, y, threads, grid_x;
  u8 *shared;
  size_t shared_bytes;
  Meeting barrier;
  Meeting groups[8]; // of 128 threads each
  Meeting first;     // threads of barrier_of
  std::map<u64 *, Transfer> transfers;
  Fiber *fibers;
  std::vector<Warp> warps;
};

extern Block *block;
extern Fiber *fiber;
void yield(); // back to the scheduler

// warpgroup_product runs product i of group g of 128 fibers.
void warpgroup_product(Fiber *fibers, int g, size_t i);

inline Warp &warp() { return block->warps[fiber->thread / 32]; }
inline int lane() { return fiber->thread % 32; }

// meet waits for all members; the last one to come runs `last` before anybody goes on.
template <class F> void meet(Meeting &m, const char *operation, F last) {
  if (m.arrived > 0 && m.operation != operation)
    throw Failure{std::string("threads meet in different operations: ") + m.operation + " and " + operation};
  m.operation = operation;
  if (++m.arrived == m.members) {
    last();
    m.arrived = 0;
    m.generation++;
    return;
  }
  fiber->waits = &m;
  fiber->generation = m.generation;
  yield();
}

inline void check_shared(const void *p, size_t bytes, const char *what, size_t alignment = 16) {
  const u8 *b = (const u8 *)p;
  if (b < block->shared || b + bytes > block->shared + block->shared_bytes)
    throw Failure{std::string(what) + ": address outside of shared memory"};
  if ((uintptr_t)p % alignment)
    throw Failure{std::string(what) + ": address is not a multiple of " + std::to_string(alignment)};
}

// Kernels by name, as a module has them.
struct Entry {
  const char *name;
  void (*call)(void **arguments);
  int threads;
  std::vector<size_t> sizes; // of the arguments, bytes
};
void add(Entry e);

template <auto F> struct Call;
template <class... A, void (*F)(A...)> struct Call<F> {
  template <size_t... I> static void with(void **p, std::index_sequence<I...>) {
    F(*(std::remove_reference_t<A> *)p[I]...);
  }
  static void run(void **p) { with(p, std::index_sequence_for<A...>{}); }
  static std::vector<size_t> sizes() { return {sizeof(std::remove_reference_t<A>)...}; }
};
struct Register {
  explicit Register(Entry e) { add(e); }
};

} // namespace emu

#define SHARED(name) u8 *name = emu::block->shared
#define KERNEL(name, threads, blocks)                                                                        \
  static const int threads_of_##name = threads;                                                              \
  static void name
#define ENTRY(name) static emu::Register register_##name({#name, emu::Call<name>::run, threads_of_##name, emu::Call<name>::sizes()});
#define DEVICE static inline __attribute__((always_inline, unused))
#define METHOD inline __attribute__((always_inline))
#define UNROLL
#define ROLL
#define __device__
#define __restrict__ __restrict
#define __grid_constant__

DEVICE u32 thread_x() { return emu::fiber->thread; }
DEVICE u32 block_x() { return emu::block->x; }
DEVICE u32 block_y() { return emu::block->y; }
DEVICE u32 block_size() { return emu::block->threads; }
DEVICE u32 grid_x() { return emu::block->grid_x; }

DEVICE void barrier() {
  emu::meet(emu::block->barrier, "barrier", [] {});
}

DEVICE u32 float_bits(float f) {
  u32 u;
  memcpy(&u, &f, 4);
  return u;
}
DEVICE float bits_float(u32 u) {
  float f;
  memcpy(&f, &u, 4);
  return f;
}

static inline float shfl_xor(float v, int mask) {
  emu::Warp &w = emu::warp();
  int lane = emu::lane();
  w.slots[lane].in[0] = float_bits(v);
  w.slots[lane].in[1] = (u32)mask;
  emu::meet(w.meeting, "shfl", [&] {
    for (int i = 0; i < 32; i++)
      w.slots[i].out[0] = w.slots[(i ^ w.slots[i].in[1]) & 31].in[0];
  });
  return bits_float(w.slots[lane].out[0]);
}
DEVICE void atomic_add(u32 *p, u32 v) { *p += v; }
DEVICE u32 atomic_next(u32 *p) { return (*p)++; }

static inline void cp_async(void *dst, const void *src, size_t bytes, bool valid) {
  emu::check_shared(dst, bytes, "cp.async", bytes);
  if (valid && (uintptr_t)src % bytes)
    throw emu::Failure{"cp.async: source is not a multiple of " + std::to_string(bytes)};
  memset(dst, 0xff, bytes);
  emu::fiber->open.push_back({dst, src, bytes, valid});
}
static inline void cp_async16(void *dst, const void *src, bool valid) { cp_async(dst, src, 16, valid); }
static inline void cp_async4(void *dst, const void *src, bool valid) { cp_async(dst, src, 4, valid); }
static inline void cp_async_commit() {
  emu::fiber->groups.push_back(std::move(emu::fiber->open));
  emu::fiber->open.clear();
}
template <int N> static inline void cp_async_wait() {
  auto &groups = emu::fiber->groups;
  size_t landing = groups.size() > N ? groups.size() - N : 0;
  for (size_t g = 0; g < landing; g++)
    for (const emu::Copy &c : groups[g]) {
      if (c.valid)
        memcpy(c.dst, c.src, c.bytes);
      else
        memset(c.dst, 0, c.bytes);
    }
  groups.erase(groups.begin(), groups.begin() + landing);
}

static inline void ldmatrix_x4(u32 (&r)[4], const void *p) {
  emu::check_shared(p, 16, "ldmatrix");
  emu::Warp &w = emu::warp();
  int lane = emu::lane();
  w.slots[lane].address = p;
  emu::meet(w.meeting, "ldmatrix", [&] {
    for (int i = 0; i < 32; i++)
      for (int j = 0; j < 4; j++)
        w.slots[i].out[j] = ((const u32 *)w.slots[8 * j + i / 4].address)[i % 4];
  });
  memcpy(r, w.slots[lane].out, sizeof r);
}

static inline void ldmatrix_x4_trans(u32 (&r)[4], const void *p) {
  emu::check_shared(p, 16, "ldmatrix.trans");
  emu::Warp &w = emu::warp();
  int lane = emu::lane();
  w.slots[lane].address = p;
  emu::meet(w.meeting, "ldmatrix.trans", [&] {
    for (int i = 0; i < 32; i++)
      for (int j = 0; j < 4; j++) {
        auto at = [&](int row) { return (u32)((const u16 *)w.slots[8 * j + row].address)[i / 4]; };
        w.slots[i].out[j] = at(i % 4 * 2) | at(i % 4 * 2 + 1) << 16;
      }
  });
  memcpy(r, w.slots[lane].out, sizeof r);
}

static inline void mma_bf16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  emu::Warp &w = emu::warp();
  emu::Slot &mine = w.slots[emu::lane()];
  memcpy(mine.in, a, 16);
  mine.in[4] = b0;
  mine.in[5] = b1;
  memcpy(mine.in + 6, d, 16);
  emu::meet(w.meeting, "mma", [&] {
    float A[16][16], B[8][16]; // [row][k], [column][k]
    auto split = [](u32 pair, float *to) {
      to[0] = bits_float(pair << 16);
      to[1] = bits_float(pair & 0xffff0000u);
    };
    for (int i = 0; i < 32; i++) {
      const u32 *in = w.slots[i].in;
      int row = i / 4, k = 2 * (i % 4);
      split(in[0], &A[row][k]);
      split(in[1], &A[row + 8][k]);
      split(in[2], &A[row][k + 8]);
      split(in[3], &A[row + 8][k + 8]);
      split(in[4], &B[row][k]);
      split(in[5], &B[row][k + 8]);
    }
    for (int i = 0; i < 32; i++)
      for (int c = 0; c < 4; c++) {
        int row = i / 4 + (c / 2) * 8, column = 2 * (i % 4) + c % 2;
        float sum = bits_float(w.slots[i].in[6 + c]);
        for (int k = 0; k < 16; k++)
          sum += A[row][k] * B[column][k];
        w.slots[i].out[c] = float_bits(sum);
      }
  });
  memcpy(d, mine.out, 16);
}

static inline void mma_tf32(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  emu::Warp &w = emu::warp();
  emu::Slot &mine = w.slots[emu::lane()];
  memcpy(mine.in, a, 16);
  mine.in[4] = b0;
  mine.in[5] = b1;
  memcpy(mine.in + 6, d, 16);
  for (int i = 0; i < 6; i++)
    if (mine.in[i] & 0x1fffu)
      throw emu::Failure{"mma_tf32: an operand has more than 10 bits of fraction"};
  emu::meet(w.meeting, "mma_tf32", [&] {
    float A[16][8], B[8][8]; // [row][k], [column][k]
    for (int i = 0; i < 32; i++) {
      const u32 *in = w.slots[i].in;
      int row = i / 4, k = i % 4;
      A[row][k] = bits_float(in[0]);
      A[row + 8][k] = bits_float(in[1]);
      A[row][k + 4] = bits_float(in[2]);
      A[row + 8][k + 4] = bits_float(in[3]);
      B[row][k] = bits_float(in[4]);
      B[row][k + 4] = bits_float(in[5]);
    }
    for (int i = 0; i < 32; i++)
      for (int c = 0; c < 4; c++) {
        int row = i / 4 + (c / 2) * 8, column = 2 * (i % 4) + c % 2;
        float sum = bits_float(w.slots[i].in[6 + c]);
        for (int k = 0; k < 8; k++)
          sum += A[row][k] * B[column][k];
        w.slots[i].out[c] = float_bits(sum);
      }
  });
  memcpy(d, mine.out, 16);
}

static inline void mma_s8(int (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  emu::Warp &w = emu::warp();
  emu::Slot &mine = w.slots[emu::lane()];
  memcpy(mine.in, a, 16);
  mine.in[4] = b0;
  mine.in[5] = b1;
  memcpy(mine.in + 6, d, 16);
  emu::meet(w.meeting, "mma s8", [&] {
    signed char A[16][32], B[8][32]; // [row][k], [column][k]
    for (int i = 0; i < 32; i++) {
      const u32 *in = w.slots[i].in;
      int row = i / 4, k = 4 * (i % 4);
      memcpy(&A[row][k], &in[0], 4);
      memcpy(&A[row + 8][k], &in[1], 4);
      memcpy(&A[row][k + 16], &in[2], 4);
      memcpy(&A[row + 8][k + 16], &in[3], 4);
      memcpy(&B[row][k], &in[4], 4);
      memcpy(&B[row][k + 16], &in[5], 4);
    }
    for (int i = 0; i < 32; i++)
      for (int c = 0; c < 4; c++) {
        int row = i / 4 + (c / 2) * 8, column = 2 * (i % 4) + c % 2, sum = (int)w.slots[i].in[6 + c];
        for (int k = 0; k < 32; k++)
          sum += A[row][k] * B[column][k];
        w.slots[i].out[c] = (u32)sum;
      }
  });
  memcpy(d, mine.out, 16);
}

// Products of a warpgroup run at the wait that covers them, from what is in shared memory then.
template <bool a_columns = false, int R> static inline void wgmma(float (&d)[R], const void *a, const void *b) {
  emu::check_shared(a, a_columns ? 16 * 128 : 64 * 128 - 96, "wgmma");
  emu::check_shared(b, 2 * R * 128 - 96, "wgmma");
  emu::fiber->open_products.push_back({d, R, a, b, a_columns});
}
DEVICE void wgmma_fence() {}
static inline void wgmma_commit() {
  emu::fiber->products.push_back(std::move(emu::fiber->open_products));
  emu::fiber->open_products.clear();
}
template <int N> static inline void wgmma_wait() {
  int first = emu::fiber->thread / 128 * 128;
  emu::meet(emu::block->groups[first / 128], "wgmma wait", [&] {
    emu::Fiber *fibers = emu::block->fibers + first;
    int landing = (int)fibers[0].products.size() - N;
    for (int g = 0; g < landing; g++) {
      for (size_t i = 0; i < fibers[0].products[g].size(); i++)
        emu::warpgroup_product(fibers, g, i);
    }
    for (int t = 0; t < 128 && landing > 0; t++)
      fibers[t].products.erase(fibers[t].products.begin(), fibers[t].products.begin() + landing);
  });
}
DEVICE void fence_async() {}

// Copies of boxes. They spoil their target at once, and land when somebody waits for them.
inline void emu::Transfer::complete() {
  if (arrived == count && bytes == 0) {
    arrived = 0;
    phases.generation++;
  }
}
inline void emu::Transfer::land() {
  for (auto &box : boxes)
    bytes -= (long)box();
  boxes.clear();
  complete();
}
DEVICE void barrier_init(u64 *b, u32 count) { emu::block->transfers[b].count = (int)count; }
DEVICE void barriers_ready() {}
DEVICE emu::Transfer &transfer_of(u64 *b) {
  auto it = emu::block->transfers.find(b);
  if (it == emu::block->transfers.end())
    throw emu::Failure{"a transfer barrier that nobody initialised"};
  return it->second;
}
static inline void arrive_expect(u64 *b, u32 bytes) {
  emu::Transfer &t = transfer_of(b);
  if (++t.arrived > t.count)
    throw emu::Failure{"more threads arrive at a transfer barrier than it counts"};
  t.bytes += bytes;
  t.complete();
}
DEVICE void arrive(u64 *b) { arrive_expect(b, 0); }
static inline void wait_phase(u64 *b, u32 parity) {
  emu::Transfer &t = transfer_of(b);
  while ((t.phases.generation & 1) == parity) {
    if (!t.boxes.empty()) {
      t.land();
      continue;
    }
    t.waiting++;
    emu::fiber->waits = &t.phases;
    emu::fiber->generation = t.phases.generation;
    emu::yield();
    t.waiting--;
  }
}
// What the fake driver writes into a TensorMap.
struct BoxMap {
  const u8 *base;
  long columns, rows, stride; // stride in bytes
  int box_columns, box_rows;
};
static inline void load_box(void *dst, const TensorMap *map, int k, int row, u64 *b) {
  BoxMap m;
  memcpy(&m, map, sizeof m);
  emu::check_shared(dst, (size_t)m.box_rows * 128, "load_box");
  if ((uintptr_t)dst % 1024 || m.box_columns != 64)
    throw emu::Failure{"load_box: a swizzled box has rows of 128 bytes and is aligned to 1024"};
  memset(dst, 0xff, (size_t)m.box_rows * 128);
  emu::Transfer &t = transfer_of(b);
  t.boxes.push_back([=] {
    for (int r = 0; r < m.box_rows; r++)
      for (int c = 0; c < 64; c++) {
        bool inside = row + r < m.rows && k + c < m.columns;
        u16 v = inside ? *(const u16 *)(m.base + (row + r) * m.stride + (k + c) * 2) : 0;
        *(u16 *)((u8 *)dst + r * 128 + ((c / 8 ^ (r & 7)) << 4) + c % 8 * 2) = v;
      }
    return (size_t)m.box_rows * 128;
  });
  if (t.waiting > 0)
    t.land();
}
template <int THREADS> static inline void barrier_of() {
  emu::block->first.members = THREADS;
  emu::meet(emu::block->first, "barrier_of", [] {});
}

DEVICE float fma_(float a, float b, float c) { return fmaf(a, b, c); }
DEVICE float sqrt_(float x) { return sqrtf(x); }
DEVICE float div_(float a, float b) { return a / b; }
DEVICE float rint_(float x) { return rintf(x); }
DEVICE double log64(double x) { return std::log(x); }
DEVICE float exp2_(float x) {
  float y = exp2f(x);
  return y < 1.17549435e-38f ? 0 : y;
}
DEVICE float log2_(float x) { return log2f(x); }
DEVICE bf16 to_bf16(float f) {
  u32 u = float_bits(f);
  if (f != f)
    return bf16{0x7fff};
  return bf16{(u16)((u + 0x7fff + ((u >> 16) & 1)) >> 16)};
}
DEVICE u32 pack_bf16(float lo, float hi) { return to_bf16(lo).bits | (u32)to_bf16(hi).bits << 16; }
