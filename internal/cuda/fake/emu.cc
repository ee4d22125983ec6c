// Blocks as fibers: the scheduler behind kernels/emu.h.
#include "run.h"

#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <random>

namespace emu {

Block *block;
Fiber *fiber;

namespace {

const size_t STACK = 64 << 10, THREADS = 1024, GUARD = 4096;
const u8 GUARD_BYTE = 0xa5;

std::map<std::string, Entry> &entries() {
  static std::map<std::string, Entry> all;
  return all;
}

void *scheduler;
std::string failure;
void (*kernel)(void **);
void **kernel_arguments;

// emu_switch saves the callee's registers and the stack pointer, and goes on at another stack.
extern "C" void emu_switch(void **save, void *load);
#if defined(__x86_64__)
asm(R"(
.text
emu_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");
#else
#error "the fake driver's fibers are written for x86-64"
#endif

void finish(Meeting &m) { // a member leaves
  m.members--;
  if (m.arrived > 0 && m.arrived == m.members) {
    m.arrived = 0;
    m.generation++;
  }
}

void start() {
  try {
    kernel(kernel_arguments);
    fiber->groups.push_back(std::move(fiber->open));
    for (auto &g : fiber->groups)
      if (!g.empty())
        throw Failure{"a thread ends with cp.async in flight"};
    if (!fiber->products.empty() || !fiber->open_products.empty())
      throw Failure{"a thread ends with wgmma in flight"};
  } catch (const Failure &f) {
    if (failure.empty())
      failure = f.text;
  }
  fiber->done = true;
  finish(block->barrier);
  yield();
  abort(); // nobody resumes a finished fiber
}

u8 *stacks() {
  static u8 *all = (u8 *)mmap(nullptr, STACK * THREADS, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return all;
}

void prepare(Fiber &f, int thread) {
  f = Fiber{};
  f.thread = thread;
  void **top = (void **)(stacks() + STACK * (thread + 1));
  top[-1] = nullptr;
  top[-2] = (void *)start;
  std::fill(top - 8, top - 2, nullptr);
  f.stack_pointer = top - 8;
}

std::vector<int> sequence(int n, Order order, std::mt19937 &random) {
  std::vector<int> s(n);
  for (int i = 0; i < n; i++)
    s[i] = order == BACKWARD ? n - 1 - i : i;
  if (order == SHUFFLED)
    std::shuffle(s.begin(), s.end(), random);
  return s;
}

std::string run_block(std::vector<Fiber> &fibers, Order order, std::mt19937 &random) {
  int left = (int)fibers.size();
  while (left > 0) {
    bool progress = false;
    for (int t : sequence((int)fibers.size(), order, random)) {
      Fiber &f = fibers[t];
      if (f.done || (f.waits && f.waits->generation == f.generation))
        continue;
      f.waits = nullptr;
      fiber = &f;
      progress = true;
      emu_switch(&scheduler, f.stack_pointer);
      if (!failure.empty())
        return "thread " + std::to_string(t) + ": " + failure;
      left -= f.done;
    }
    if (!progress)
      return "threads wait for each other for ever";
  }
  for (auto &[address, transfer] : block->transfers)
    if (!transfer.boxes.empty() || transfer.bytes != 0)
      return "it ends with a copy of a box in flight";
  return "";
}

} // namespace

void warpgroup_product(Fiber *fibers, int g, size_t i) {
  const Product p = fibers[0].products.at(g).at(i);
  int columns = 2 * p.values;
  // Bits 4 to 6 of an address, the chunk, are swizzled with bits 7 to 9, the row.
  auto at = [](const void *tile, int row, int k) {
    uintptr_t address = (uintptr_t)tile + row * 128 + k * 2;
    return bits_float((u32) * (const u16 *)(address ^ (address >> 7 & 7) << 4) << 16);
  };
  std::vector<float> A(64 * 16), B(columns * 16);
  for (int k = 0; k < 16; k++) {
    for (int row = 0; row < 64; row++)
      A[row * 16 + k] = p.a_columns ? at(p.a, k, row) : at(p.a, row, k);
    for (int column = 0; column < columns; column++)
      B[column * 16 + k] = at(p.b, column, k);
  }
  for (int t = 0; t < 128; t++) {
    const Product &mine = fibers[t].products.at(g).at(i);
    if (mine.a != p.a || mine.b != p.b || mine.values != p.values || mine.a_columns != p.a_columns)
      throw Failure{"the threads of a warpgroup name different tiles"};
    for (int v = 0; v < mine.values; v++) {
      const float *a = &A[(t / 32 * 16 + t % 32 / 4 + v / 2 % 2 * 8) * 16];
      const float *b = &B[(v / 4 * 8 + t % 4 * 2 + v % 2) * 16];
      float sum = mine.d[v];
      for (int k = 0; k < 16; k++)
        sum += a[k] * b[k];
      mine.d[v] = sum;
    }
  }
}

void add(Entry e) { entries()[e.name] = e; }

const Entry *find(const std::string &name) {
  auto it = entries().find(name);
  return it == entries().end() ? nullptr : &it->second;
}

void yield() { emu_switch(&fiber->stack_pointer, scheduler); }

std::string run(const Entry &e, Shape s, void **arguments, Order order) {
  if (s.threads % 32 || s.threads == 0 || s.threads > THREADS || (int)s.threads > e.threads)
    return "blocks of " + std::to_string(s.threads) + " threads, the kernel is for " + std::to_string(e.threads);
  std::mt19937 random(order);
  std::vector<u8> memory(s.shared + GUARD + 1024);
  u8 *shared = (u8 *)(((uintptr_t)memory.data() + 1023) & ~(uintptr_t)1023);
  std::vector<Fiber> fibers(s.threads);
  kernel = e.call;
  kernel_arguments = arguments;
  failure.clear();
  for (int b : sequence(s.grid_x * s.grid_y, order, random)) {
    memset(shared, 0xff, s.shared);
    memset(shared + s.shared, GUARD_BYTE, GUARD);
    Block current{b % s.grid_x, b / s.grid_x, s.threads, s.grid_x, shared, s.shared, {}, {}, {}, {}, {}, {}};
    current.barrier.members = (int)s.threads;
    for (Meeting &group : current.groups)
      group.members = 128;
    current.fibers = fibers.data();
    current.warps.resize(s.threads / 32);
    for (Warp &w : current.warps)
      w.meeting.members = 32;
    block = &current;
    for (u32 t = 0; t < s.threads; t++)
      prepare(fibers[t], (int)t);
    std::string wrong = run_block(fibers, order, random);
    if (wrong.empty() && std::any_of(shared + s.shared, shared + s.shared + GUARD, [](u8 c) { return c != GUARD_BYTE; }))
      wrong = "writes behind its shared memory";
    if (!wrong.empty())
      return "block " + std::to_string(b) + ", " + wrong;
  }
  return "";
}

} // namespace emu
