// The kernels, compiled for the CPU: the same text that NVRTC compiles. One file each would do as
// well; names that two files share are kept apart by namespaces.
#include "run.h"
namespace gemm_file {
#include "../kernels/gemm.cu"
}
namespace rows_file {
#include "../kernels/rows.cu"
}
namespace probe_file {
#include "../kernels/probe.cu"
}
