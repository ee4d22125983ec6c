// A libcuda.so without a GPU: the driver calls of internal/cuda over the emulator.
//
// It is a strict driver. Work runs when somebody waits for it, so that host memory which is reused
// too early shows. A call on a thread without a context fails. Copies between host and device must
// use memory of cuMemHostAlloc. Fresh device memory is NaN, and guard bytes stand around it. Each
// launch runs in three orders of blocks and threads, which must give the same bits. Failures are
// planted with barka_fake_plant.
#include "run.h"

#include <sys/mman.h>

#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

typedef int Result;
enum : Result {
  OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101,
  INVALID_IMAGE = 200, INVALID_CONTEXT = 201, NOT_FOUND = 500, NOT_READY = 600, ILLEGAL_ADDRESS = 700,
  LAUNCH_FAILED = 719, CAPTURE_INVALIDATED = 901
};
typedef u64 Pointer;

namespace {

const size_t GUARD = 256, GRANULARITY = 2 << 20;
const size_t COMPARED = 32 << 20; // more device memory than this is not compared between orders
const u8 GUARD_BYTE = 0xa5;

struct Allocation {
  size_t bytes;
  u8 *memory; // with guards; null for mapped memory
};
struct Graph {
  std::vector<std::function<Result()>> work;
};
struct Stream {
  Graph *capture = nullptr;
};
struct Event {
  std::chrono::steady_clock::time_point at;
  bool recorded = false;
};
struct Function {
  const emu::Entry *entry;
  size_t shared_limit = 48 << 10;
};

std::map<std::string, long> planted;
std::map<Pointer, Allocation> memory;
std::map<Pointer, size_t> host, reserved;
std::map<u64, size_t> physical;
std::deque<std::function<Result()>> queue;
std::map<std::string, Function> functions;
bool initialized;
Result sticky;
size_t used;
long allocations, launches, asked;
thread_local int current;

long plan(const char *name, long otherwise) {
  auto it = planted.find(name);
  return it == planted.end() ? otherwise : it->second;
}

size_t total() { return (size_t)plan("memory", 1 << 30); }

Result guards() {
  for (auto &[p, a] : memory) {
    if (!a.memory)
      continue;
    for (size_t i = 0; i < GUARD; i++)
      if (a.memory[i] != GUARD_BYTE || a.memory[GUARD + a.bytes + i] != GUARD_BYTE) {
        fprintf(stderr, "fake driver: a write beside an allocation of %zu bytes\n", a.bytes);
        return ILLEGAL_ADDRESS;
      }
  }
  return OK;
}

Result drain() {
  std::this_thread::sleep_for(std::chrono::milliseconds(plan("hang", 0)));
  while (!queue.empty() && sticky == OK) {
    auto work = std::move(queue.front());
    queue.pop_front();
    sticky = work();
  }
  if (sticky == OK)
    sticky = guards();
  return sticky;
}

Result check() {
  if (!initialized)
    return NOT_INITIALIZED;
  if (!current)
    return INVALID_CONTEXT;
  return sticky;
}
// Calls come from the threads of several GPUs' owners, one after the other.
std::recursive_mutex calls;
#define CHECK                                                                                                \
  std::lock_guard<std::recursive_mutex> call(calls);                                                         \
  if (Result r = check())                                                                                    \
  return r

Result enqueue(Stream *s, std::function<Result()> work) {
  if (s && s->capture)
    s->capture->work.push_back(std::move(work));
  else
    queue.push_back(std::move(work));
  return OK;
}

bool pinned(const void *p, size_t n) {
  auto it = host.upper_bound((Pointer)p);
  return it != host.begin() && (--it, (Pointer)p + n <= it->first + it->second);
}

// on_device reports whether [p, p+n) lies in one allocation or in mapped memory.
bool on_device(Pointer p, size_t n) {
  auto it = memory.upper_bound(p);
  if (it == memory.begin())
    return false;
  --it;
  size_t end = it->first + it->second.bytes;
  for (auto next = std::next(it); !it->second.memory && next != memory.end() && next->first == end; ++next)
    end = next->first + next->second.bytes;
  return p + n <= end;
}

// snapshot copies all device memory, restore writes it back.
typedef std::vector<std::vector<u8>> Snapshot;
Snapshot snapshot() {
  Snapshot s;
  for (auto &[p, a] : memory)
    s.emplace_back((u8 *)p, (u8 *)p + a.bytes);
  return s;
}
void restore(const Snapshot &s) {
  size_t i = 0;
  for (auto &[p, a] : memory)
    memcpy((void *)p, s[i++].data(), a.bytes);
}

// launch runs a kernel in all orders and compares what they leave behind.
Result launch(const emu::Entry &e, emu::Shape shape, std::vector<std::vector<u8>> values) {
  if (++launches == plan("fail_launch", -1))
    return (Result)plan("launch_error", LAUNCH_FAILED);
  std::vector<void *> arguments;
  for (auto &v : values)
    arguments.push_back(v.data());
  // Copies of much memory would take longer than the kernels do.
  int orders = used > COMPARED ? 1 : (int)plan("orders", 3);
  Snapshot before, first;
  if (orders > 1)
    before = snapshot();
  for (int order = 0; order < orders; order++) {
    if (order > 0)
      restore(before);
    std::string wrong = emu::run(e, shape, arguments.data(), (emu::Order)order);
    if (!wrong.empty()) {
      fprintf(stderr, "fake driver: %s: %s\n", e.name, wrong.c_str());
      return LAUNCH_FAILED;
    }
    if (orders == 1)
      return OK;
    if (order == 0)
      first = snapshot();
    else if (snapshot() != first) {
      fprintf(stderr, "fake driver: %s: the order of threads changes the result\n", e.name);
      return LAUNCH_FAILED;
    }
  }
  return OK;
}

// fails counts an allocation and reports whether it is one of those that are to fail.
bool fails() {
  long from = plan("fail_allocation", -1);
  return ++allocations >= from && from > 0 && allocations < from + plan("failures", 1);
}

} // namespace

extern "C" {

// barka_fake_plant sets what the driver is to do: init, version, devices, capability, orders, memory,
// shared (bytes that a block may have), hang (milliseconds before each piece of waiting ends),
// fail_allocation (the n-th, and with failures as many from it on), fail_launch (the n-th) with
// launch_error, refuse_launch (the n-th, which fails at once); the n-th from then on. "reset" forgets
// all, the state of the driver too.
void barka_fake_plant(const char *name, long value) {
  std::lock_guard<std::recursive_mutex> call(calls);
  if (!strcmp(name, "reset")) {
    planted.clear();
    queue.clear();
    sticky = OK;
    allocations = launches = asked = 0;
    for (auto &[p, a] : memory)
      free(a.memory);
    memory.clear();
    physical.clear();
    used = 0;
    initialized = false;
    return;
  }
  planted[name] = value;
  allocations = launches = asked = 0;
}

// barka_fake_allocations counts the allocations since the last barka_fake_plant.
long barka_fake_allocations() {
  std::lock_guard<std::recursive_mutex> call(calls);
  return allocations;
}

Result cuInit(u32) {
  if (Result r = (Result)plan("init", OK))
    return r;
  initialized = true;
  return OK;
}
Result cuDriverGetVersion(int *v) { return *v = (int)plan("version", 12080), OK; }
Result cuGetErrorName(Result r, const char **text) {
  switch (r) {
  case OUT_OF_MEMORY: *text = "CUDA_ERROR_OUT_OF_MEMORY"; return OK;
  case NO_DEVICE: *text = "CUDA_ERROR_NO_DEVICE"; return OK;
  case ILLEGAL_ADDRESS: *text = "CUDA_ERROR_ILLEGAL_ADDRESS"; return OK;
  case LAUNCH_FAILED: *text = "CUDA_ERROR_LAUNCH_FAILED"; return OK;
  case INVALID_IMAGE: *text = "CUDA_ERROR_INVALID_IMAGE"; return OK;
  case NOT_FOUND: *text = "CUDA_ERROR_NOT_FOUND"; return OK;
  }
  return *text = nullptr, INVALID_VALUE;
}
Result cuGetErrorString(Result r, const char **text) {
  return r == OUT_OF_MEMORY ? (*text = "out of memory", OK) : (*text = nullptr, INVALID_VALUE);
}
Result cuDeviceGetCount(int *n) { return initialized ? (*n = (int)plan("devices", 1), OK) : NOT_INITIALIZED; }
Result cuDeviceGet(int *d, int i) { return i < plan("devices", 1) ? (*d = i, OK) : INVALID_DEVICE; }
Result cuDeviceGetName(char *text, int n, int) { return snprintf(text, n, "emulated GPU"), OK; }
Result cuDeviceTotalMem_v2(size_t *n, int) { return *n = total(), OK; }
Result cuDeviceGetAttribute(int *v, int attribute, int) {
  long capability = plan("capability", 90);
  switch (attribute) {
  case 16: *v = 4; return OK;                      // multiprocessors
  case 75: *v = (int)capability / 10; return OK;   // capability, major
  case 76: *v = (int)capability % 10; return OK;   // and minor
  case 97: *v = (int)plan("shared", 227 << 10); return OK;              // shared memory of a block, opted in
  case 102: *v = 1; return OK;                     // virtual memory management
  case 38: *v = 50 << 20; return OK;               // L2
  }
  return *v = 0, OK;
}
Result cuDevicePrimaryCtxRetain(void **c, int) { return *c = &current, initialized ? OK : NOT_INITIALIZED; }
Result cuDevicePrimaryCtxRelease_v2(int) {
  std::lock_guard<std::recursive_mutex> call(calls);
  return drain(), OK;
}
Result cuCtxSetCurrent(void *c) { return current = c != nullptr, OK; }
Result cuCtxSynchronize() {
  CHECK;
  return drain();
}

Result cuMemGetInfo_v2(size_t *unused, size_t *all) {
  CHECK;
  return *unused = total() - used, *all = total(), OK;
}
Result cuMemAlloc_v2(Pointer *p, size_t n) {
  CHECK;
  if (fails() || n > total() - used)
    return OUT_OF_MEMORY;
  // Aligned to 256, as the driver's are.
  u8 *raw = (u8 *)aligned_alloc(256, (n + 2 * GUARD + 255) & ~(size_t)255);
  memset(raw, GUARD_BYTE, GUARD);
  memset(raw + GUARD, 0xff, n);
  memset(raw + GUARD + n, GUARD_BYTE, GUARD);
  *p = (Pointer)raw + GUARD;
  memory[*p] = Allocation{n, raw};
  used += n;
  return OK;
}
Result cuMemFree_v2(Pointer p) {
  CHECK;
  auto it = memory.find(p);
  if (it == memory.end() || !it->second.memory)
    return INVALID_VALUE;
  Result r = drain();
  used -= it->second.bytes;
  free(it->second.memory);
  memory.erase(it);
  return r;
}
Result cuMemHostAlloc(void **p, size_t n, u32) {
  CHECK;
  *p = aligned_alloc(4096, (n + 4095) & ~(size_t)4095);
  host[(Pointer)*p] = n;
  return OK;
}
Result cuMemFreeHost(void *p) {
  CHECK;
  if (!host.erase((Pointer)p))
    return INVALID_VALUE;
  Result r = drain();
  free(p);
  return r;
}
Result cuMemcpyHtoDAsync_v2(Pointer dst, const void *src, size_t n, Stream *s) {
  CHECK;
  if (!pinned(src, n) || !on_device(dst, n))
    return INVALID_VALUE;
  return enqueue(s, [=] { return memcpy((void *)dst, src, n), OK; });
}
Result cuMemcpyDtoHAsync_v2(void *dst, Pointer src, size_t n, Stream *s) {
  CHECK;
  if (!pinned(dst, n) || !on_device(src, n))
    return INVALID_VALUE;
  return enqueue(s, [=] { return memcpy(dst, (void *)src, n), OK; });
}
Result cuMemcpyDtoDAsync_v2(Pointer dst, Pointer src, size_t n, Stream *s) {
  CHECK;
  if (!on_device(dst, n) || !on_device(src, n))
    return INVALID_VALUE;
  return enqueue(s, [=] { return memmove((void *)dst, (void *)src, n), OK; });
}
Result cuMemsetD8Async(Pointer dst, u8 v, size_t n, Stream *s) {
  CHECK;
  if (!on_device(dst, n))
    return INVALID_VALUE;
  return enqueue(s, [=] { return memset((void *)dst, v, n), OK; });
}

// Memory by mapping.
Result cuMemGetAllocationGranularity(size_t *n, const void *, int) { return *n = GRANULARITY, OK; }
Result cuMemAddressReserve(Pointer *p, size_t n, size_t, Pointer, u64) {
  CHECK;
  u8 *range = (u8 *)mmap(nullptr, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  *p = (Pointer)range;
  reserved[*p] = n;
  return OK;
}
Result cuMemAddressFree(Pointer p, size_t n) {
  CHECK;
  if (!reserved.erase(p))
    return INVALID_VALUE;
  return munmap((void *)p, n), OK;
}
Result cuMemCreate(u64 *handle, size_t n, const void *, u64) {
  CHECK;
  if (fails() || n > total() - used)
    return OUT_OF_MEMORY;
  static u64 last;
  if (n % GRANULARITY)
    return INVALID_VALUE;
  physical[*handle = ++last] = n;
  used += n;
  return OK;
}
Result cuMemRelease(u64 handle) {
  CHECK;
  auto it = physical.find(handle);
  if (it == physical.end())
    return INVALID_VALUE;
  used -= it->second;
  physical.erase(it);
  return OK;
}
Result cuMemMap(Pointer p, size_t n, size_t, u64 handle, u64) {
  CHECK;
  if (!physical.count(handle) || physical[handle] != n || p % GRANULARITY % 4096)
    return INVALID_VALUE;
  memory[p] = Allocation{n, nullptr};
  return OK;
}
Result cuMemSetAccess(Pointer p, size_t n, const void *, size_t) {
  CHECK;
  if (mprotect((void *)p, n, PROT_READ | PROT_WRITE))
    return INVALID_VALUE;
  memset((void *)p, 0xff, n);
  return OK;
}
Result cuMemUnmap(Pointer p, size_t n) {
  CHECK;
  if (Result r = drain())
    return r;
  for (auto it = memory.lower_bound(p); it != memory.end() && it->first < p + n;)
    it = memory.erase(it);
  return mprotect((void *)p, n, PROT_NONE), OK;
}

Result cuStreamCreate(Stream **s, u32) {
  CHECK;
  return *s = new Stream, OK;
}
Result cuStreamDestroy_v2(Stream *s) {
  CHECK;
  Result r = drain();
  delete s;
  return r;
}
Result cuStreamSynchronize(Stream *s) {
  CHECK;
  if (s && s->capture)
    return CAPTURE_INVALIDATED;
  return drain();
}
Result cuStreamWaitEvent(Stream *, Event *, u32) { return check(); }
Result cuEventCreate(Event **e, u32) {
  CHECK;
  return *e = new Event, OK;
}
Result cuEventDestroy_v2(Event *e) {
  CHECK;
  Result r = drain();
  delete e;
  return r;
}
Result cuEventRecord(Event *e, Stream *s) {
  CHECK;
  e->recorded = false;
  return enqueue(s, [=] { return e->at = std::chrono::steady_clock::now(), e->recorded = true, OK; });
}
Result cuEventQuery(Event *e) {
  CHECK;
  if (Result r = drain())
    return r;
  return e->recorded ? OK : NOT_READY;
}
Result cuEventSynchronize(Event *) {
  CHECK;
  return drain();
}
Result cuEventElapsedTime(float *ms, Event *from, Event *to) {
  CHECK;
  if (!from->recorded || !to->recorded)
    return NOT_READY;
  return *ms = std::chrono::duration<float, std::milli>(to->at - from->at).count(), OK;
}

Result cuModuleLoadDataEx(void **m, const void *image, u32, int *, void **) {
  CHECK;
  // An ELF file or PTX, which begins with a comment. All kernels are in every module.
  if (memcmp(image, "\177ELF", 4) && memcmp(image, "//", 2))
    return INVALID_IMAGE;
  return *m = &functions, OK;
}
Result cuModuleUnload(void *) { return check(); }
Result cuModuleGetFunction(Function **f, void *, const char *name) {
  CHECK;
  const emu::Entry *e = emu::find(name);
  if (!e)
    return NOT_FOUND;
  *f = &functions.try_emplace(name, Function{e}).first->second;
  return OK;
}
Result cuFuncGetAttribute(int *v, int, Function *f) { return *v = f->entry->threads, OK; }
Result cuFuncSetAttribute(Function *f, int attribute, int v) {
  CHECK;
  if (attribute != 8 || v > 227 << 10)
    return INVALID_VALUE;
  return f->shared_limit = (size_t)v, OK;
}
Result cuLaunchKernel(Function *f, u32 gx, u32 gy, u32 gz, u32 bx, u32 by, u32 bz, u32 shared, Stream *s,
                      void **parameters, void **) {
  CHECK;
  if (gx == 0 || gy == 0 || gz != 1 || by != 1 || bz != 1 || shared > f->shared_limit)
    return INVALID_VALUE;
  if (++asked == plan("refuse_launch", -1))
    return INVALID_VALUE;
  const emu::Entry *e = f->entry;
  std::vector<std::vector<u8>> values; // read before the call returns, as the driver does
  for (size_t i = 0; i < e->sizes.size(); i++)
    values.emplace_back((u8 *)parameters[i], (u8 *)parameters[i] + e->sizes[i]);
  emu::Shape shape{gx, gy, bx, shared};
  return enqueue(s, [=] { return launch(*e, shape, values); });
}

Result cuTensorMapEncodeTiled(TensorMap *map, int type, u32 rank, void *base, const u64 *sizes, const u64 *strides,
                              const u32 *box, const u32 *steps, int interleave, int swizzle, int, int fill) {
  const int bfloat16 = 9, by128 = 3;
  if ((uintptr_t)map % 64 || type != bfloat16 || rank != 2 || (uintptr_t)base % 16 || strides[0] % 16 || box[0] != 64 ||
      box[1] > 256 || steps[0] != 1 || steps[1] != 1 || interleave || swizzle != by128 || fill)
    return INVALID_VALUE;
  BoxMap m{(const u8 *)base, (long)sizes[0], (long)sizes[1], (long)strides[0], (int)box[0], (int)box[1]};
  return memcpy(map, &m, sizeof m), OK;
}

Result cuStreamBeginCapture_v2(Stream *s, int) {
  CHECK;
  if (!s || s->capture)
    return INVALID_VALUE;
  return s->capture = new Graph, OK;
}
Result cuStreamEndCapture(Stream *s, Graph **g) {
  CHECK;
  return *g = s->capture, s->capture = nullptr, OK;
}
Result cuGraphInstantiateWithFlags(Graph **exec, Graph *g, u64) {
  CHECK;
  return *exec = new Graph(*g), OK;
}
Result cuGraphLaunch(Graph *g, Stream *s) {
  CHECK;
  for (auto &work : g->work)
    enqueue(s, work);
  return OK;
}
Result cuGraphExecDestroy(Graph *g) {
  CHECK;
  Result r = drain();
  delete g;
  return r;
}
Result cuGraphDestroy(Graph *g) { return delete g, OK; }

} // extern "C"
