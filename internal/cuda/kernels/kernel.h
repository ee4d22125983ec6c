// The subset of CUDA C++ that the kernels are written in. NVRTC compiles it to machine code with
// inline PTX; with BARKA_EMULATE defined, g++ compiles the same kernels over emu.h for the fake
// driver. No CUDA header is included, so that both compilers read the same text.
//
// A kernel takes its shared memory from SHARED, and reaches other threads by the functions below
// alone: barrier, shfl_xor, ldmatrix_x4, mma_bf16, mma_tf32, cp_async16. Every lane of a warp takes part in
// the warp operations, and every thread of a block in barrier.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// bf16 is a bfloat16 as stored: the upper half of a float32.
struct bf16 {
  u16 bits;
};
// Sixteen bytes, what one thread moves at once.
struct alignas(16) vec16 {
  u32 w[4];
};

// TensorMap describes a matrix and the boxes that the copy engine takes from it (cuTensorMapEncodeTiled).
struct alignas(64) TensorMap {
  u8 opaque[128];
};

#ifdef BARKA_EMULATE
#include "emu.h"
#else

#define SHARED(name) extern __shared__ __align__(1024) unsigned char name[]
// KERNEL(f, threads, blocks) begins the kernel f for blocks of `threads` threads, `blocks` of them
// on one multiprocessor.
#define KERNEL(name, threads, blocks) extern "C" __global__ void __launch_bounds__(threads, blocks) name
#define ENTRY(name)
#define DEVICE static __device__ __forceinline__
#define METHOD __device__ __forceinline__
#define UNROLL _Pragma("unroll")
#define ROLL _Pragma("unroll 1")

DEVICE u32 thread_x() { return threadIdx.x; }
DEVICE u32 block_x() { return blockIdx.x; }
DEVICE u32 block_y() { return blockIdx.y; }
DEVICE u32 block_size() { return blockDim.x; }
DEVICE u32 grid_x() { return gridDim.x; }

DEVICE void barrier() { __syncthreads(); }
DEVICE float shfl_xor(float v, int mask) { return __shfl_xor_sync(0xffffffffu, v, mask); }
DEVICE void atomic_add(u32 *p, u32 v) { atomicAdd(p, v); }
// atomic_next adds 1 and returns what was there before.
DEVICE u32 atomic_next(u32 *p) { return atomicAdd(p, 1); }

DEVICE u32 shared_address(const void *p) { return (u32)__cvta_generic_to_shared(p); }

// cp_async16 begins a copy of 16 bytes into shared memory. Without valid it writes zeros and reads
// nothing. The copy has landed after the cp_async_wait that covers its group, for this thread, and
// after a barrier for the others.
DEVICE void cp_async16(void *dst, const void *src, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared_address(dst)), "l"(src),
               "r"(valid ? 16 : 0)
               : "memory");
}
// cp_async4 copies 4 bytes likewise, for rows that are not aligned to 16.
DEVICE void cp_async4(void *dst, const void *src, bool valid) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;\n" ::"r"(shared_address(dst)), "l"(src), "r"(valid ? 4 : 0)
               : "memory");
}
DEVICE void cp_async_commit() { asm volatile("cp.async.commit_group;\n" ::: "memory"); }
// cp_async_wait waits until at most N of this thread's newest groups are in flight.
template <int N> DEVICE void cp_async_wait() { asm volatile("cp.async.wait_group %0;\n" ::"n"(N) : "memory"); }

// ldmatrix_x4 loads four 8×8 matrices of 16-bit values; lane l names row l%8 of matrix l/8, and
// r[j] receives the values 2·(l%4) and 2·(l%4)+1 of row l/4 of matrix j.
DEVICE void ldmatrix_x4(u32 (&r)[4], const void *p) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(p))
               : "memory");
}

// ldmatrix_x4_trans loads them transposed: r[j] receives the values l/4 of the rows 2·(l%4) and
// 2·(l%4)+1 of matrix j.
DEVICE void ldmatrix_x4_trans(u32 (&r)[4], const void *p) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(p))
               : "memory");
}

// mma_bf16 adds a 16×16 by 16×8 product to d: rows l/4 and l/4+8, columns 2·(l%4) and +1.
DEVICE void mma_bf16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
               "{%8,%9}, {%0,%1,%2,%3};\n"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// mma_tf32 adds a 16×8 by 8×8 product to d, whose values lie as those of mma_bf16. The operands are
// float32 values with the lower 13 bits zero: a holds rows l/4, l/4+8, l/4, l/4+8 and k l%4, l%4,
// l%4+4, l%4+4 of the left one, b0 and b1 k l%4 and l%4+4 of column l/4 of the right one.
DEVICE void mma_tf32(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// mma_s8 adds a 16×32 by 32×8 product of signed bytes to d, as mma_bf16 has it; the bytes of a row lie
// in a and b as those of 16 bfloat16 do.
DEVICE void mma_s8(int (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
               "{%8,%9}, {%0,%1,%2,%3};\n"
               : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#ifdef HOPPER
// wgmma adds a 64×16 by 16×N product to d for the 128 threads of a warpgroup; d has N/2 values a
// thread, and value 4·j+c lies in row 16·warp + lane/4 + c/2·8, column 8·j + lane%4·2 + c%2. a and b
// are tiles in shared memory, rows of 128 bytes swizzled as chunk_at does, aligned to 1024 bytes; 32
// bytes further is the next 16 of k. With a_columns the rows of a's tile are k and its columns the 64 of
// the product; 16 rows further is the next 16 of k. The product runs asynchronously: d and the tiles are its own
// until the wgmma_wait that covers its group. Who wrote the tiles calls fence_async before the
// barrier that precedes it.
DEVICE u64 tile_descriptor(const void *tile) {
  const u64 swizzled = 1, next_rows = 1024 >> 4;
  return (shared_address(tile) & 0x3ffff) >> 4 | 1ull << 16 | next_rows << 32 | swizzled << 62;
}
DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory"); }
DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory"); }
template <int N> DEVICE void wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;\n" ::"n"(N) : "memory"); }

// A transfer barrier lies in shared memory. A phase of it ends when `count` threads have arrived and
// all bytes that they announced have landed; arrive_expect does both. wait_phase returns when the
// phase of the given parity, of which the first is 0, has ended.
DEVICE void barrier_init(u64 *b, u32 count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\n" ::"r"(shared_address(b)), "r"(count) : "memory");
}
// barriers_ready makes the initialised barriers known to the copy engine, before a block's barrier.
DEVICE void barriers_ready() { asm volatile("fence.mbarrier_init.release.cluster;\n" ::: "memory"); }
DEVICE void arrive(u64 *b) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];\n" ::"r"(shared_address(b)) : "memory");
}
DEVICE void arrive_expect(u64 *b, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;\n" ::"r"(shared_address(b)), "r"(bytes) : "memory");
}
DEVICE void wait_phase(u64 *b, u32 parity) {
  u32 ended;
  do
    asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}\n"
                 : "=r"(ended)
                 : "r"(shared_address(b)), "r"(parity)
                 : "memory");
  while (!ended);
}
// load_box begins a copy of the box at value k of row `row` into shared memory; its bytes count
// towards the barrier's phase. What lies outside of the matrix becomes zero.
DEVICE void load_box(void *dst, const TensorMap *map, int k, int row, u64 *b) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];\n" ::"r"(
                   shared_address(dst)),
               "l"(map), "r"(k), "r"(row), "r"(shared_address(b))
               : "memory");
}
// barrier_of waits for the first `threads` threads of a block.
template <int THREADS> DEVICE void barrier_of() { asm volatile("bar.sync 1, %0;\n" ::"n"(THREADS) : "memory"); }
DEVICE void fence_async() { asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory"); }
#define D4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define D16(i) D4(i), D4(i + 4), D4(i + 8), D4(i + 12)
#define D64(i) D16(i), D16(i + 16), D16(i + 32), D16(i + 48)
template <bool a_columns = false> DEVICE void wgmma(float (&d)[64], const void *a, const void *b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
      "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
      "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
      "}, %64, %65, 1, 1, 1, %66, 0;\n"
      : D64(0)
      : "l"(tile_descriptor(a)), "l"(tile_descriptor(b)), "n"((int)a_columns));
}
template <bool a_columns = false> DEVICE void wgmma(float (&d)[128], const void *a, const void *b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
      "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
      "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63,"
      "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,"
      "%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95,"
      "%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,"
      "%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
      "}, %128, %129, 1, 1, 1, %130, 0;\n"
      : D64(0), D64(64)
      : "l"(tile_descriptor(a)), "l"(tile_descriptor(b)), "n"((int)a_columns));
}
#endif

DEVICE float bits_float(u32 u) { return __uint_as_float(u); }
DEVICE u32 float_bits(float f) { return __float_as_uint(f); }
DEVICE float fma_(float a, float b, float c) { return __fmaf_rn(a, b, c); }
DEVICE float sqrt_(float x) { return __fsqrt_rn(x); }
DEVICE float div_(float a, float b) { return __fdiv_rn(a, b); }
DEVICE float rint_(float x) { return rintf(x); }
DEVICE double log64(double x) { return log(x); }
// exp2_ is 2^x to two units in the last place; subnormal results are flushed to zero.
DEVICE float exp2_(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
// log2_ is the binary logarithm with an absolute error of 2^-22 between 0.5 and 2, and this relative
// error elsewhere.
DEVICE float log2_(float x) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
// to_bf16 rounds to nearest, ties to even; a NaN becomes 0x7fff.
DEVICE bf16 to_bf16(float f) {
  u16 h;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(h) : "f"(f));
  return bf16{h};
}
// pack_bf16 rounds two values; lo goes into the lower half.
DEVICE u32 pack_bf16(float lo, float hi) {
  u32 r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
  return r;
}
#endif

DEVICE float to_float(bf16 h) { return bits_float((u32)h.bits << 16); }
DEVICE float to_float(float f) { return f; }
DEVICE float low_float(u32 pair) { return bits_float(pair << 16); }
DEVICE float high_float(u32 pair) { return bits_float(pair & 0xffff0000u); }
DEVICE void store(float *p, float v) { *p = v; }
DEVICE void store(bf16 *p, float v) { *p = to_bf16(v); }
DEVICE float round_bf16(float v) { return to_float(to_bf16(v)); }

// split divides a float32 value into two whose lower 13 bits are zero, for mma_tf32: hi is rounded, and
// hi + lo is x to 2^-23 of it.
DEVICE void split_tf32(float x, u32 &hi, u32 &lo) {
  hi = (float_bits(x) + 0x1000u) & 0xffffe000u;
  lo = float_bits(x - bits_float(hi)) & 0xffffe000u;
}

// load8 and store8 move eight neighbouring values, aligned to 16 bytes.
DEVICE void load8(float (&v)[8], const float *p) {
  UNROLL
  for (int half = 0; half < 2; half++) {
    vec16 r = ((const vec16 *)p)[half];
    UNROLL
    for (int i = 0; i < 4; i++)
      v[4 * half + i] = bits_float(r.w[i]);
  }
}
DEVICE void load8(float (&v)[8], const bf16 *p) {
  vec16 r = *(const vec16 *)p;
  UNROLL
  for (int i = 0; i < 4; i++)
    v[2 * i] = low_float(r.w[i]), v[2 * i + 1] = high_float(r.w[i]);
}
DEVICE void store8(float *p, const float (&v)[8]) {
  UNROLL
  for (int half = 0; half < 2; half++) {
    vec16 r;
    UNROLL
    for (int i = 0; i < 4; i++)
      r.w[i] = float_bits(v[4 * half + i]);
    ((vec16 *)p)[half] = r;
  }
}
DEVICE void store8(bf16 *p, const float (&v)[8]) {
  vec16 r;
  UNROLL
  for (int i = 0; i < 4; i++)
    r.w[i] = pack_bf16(v[2 * i], v[2 * i + 1]);
  *(vec16 *)p = r;
}
DEVICE bool aligned16(const void *p) { return ((u64)p & 15) == 0; }

template <class T> DEVICE T min_(T a, T b) { return a < b ? a : b; }
template <class T> DEVICE T max_(T a, T b) { return a > b ? a : b; }
