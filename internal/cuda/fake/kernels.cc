// The kernels, compiled for the CPU: the same text that NVRTC compiles, each file in a namespace of
// its own.
#include "run.h"

#define HOPPER
#include "../kernels/product.h"

namespace gemm_file {
#include "../kernels/gemm.cu"
}
namespace rows_file {
#include "../kernels/rows.cu"
}
namespace hopper_file {
#include "../kernels/hopper.cu"
}
namespace probe_file {
#include "../kernels/probe.cu"
}
