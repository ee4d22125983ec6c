// The kernels, compiled for the CPU: the same text that NVRTC compiles, each file in a namespace of
// its own.
#include "run.h"

#define HOPPER
#include "../kernels/attend.h"
#include "../kernels/product.h"
#include "../kernels/rows.h"

namespace attend_file {
#include "../kernels/attend.cu"
}
namespace attend_backward_file {
#include "../kernels/attend_backward.cu"
}
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
namespace norms_file {
#include "../kernels/norms.cu"
}
namespace values_file {
#include "../kernels/values.cu"
}
namespace lists_file {
#include "../kernels/lists.cu"
}
namespace optim_file {
#include "../kernels/optim.cu"
}
namespace head_file {
#include "../kernels/head.cu"
}
namespace tf32_file {
#include "../kernels/tf32.cu"
}
namespace gemm_nn_file {
#include "../kernels/gemm_nn.cu"
}
namespace int8_file {
#include "../kernels/int8.cu"
}
namespace pack_file {
#include "../kernels/pack.cu"
}
