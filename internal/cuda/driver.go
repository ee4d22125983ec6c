//go:build cuda && linux

package cuda

import (
	"os"
	"sync"
	"syscall"
	"unsafe"

	"barka/internal/badinput"

	"github.com/ebitengine/purego"
)

// symbol is one function of the driver.
type symbol int

const (
	cuInit symbol = iota
	cuDriverGetVersion
	cuGetErrorName
	cuGetErrorString
	cuDeviceGetCount
	cuDeviceGet
	cuDeviceGetName
	cuDeviceGetAttribute
	cuDeviceTotalMem
	cuDevicePrimaryCtxRetain
	cuDevicePrimaryCtxRelease
	cuCtxSetCurrent
	cuCtxSynchronize
	cuMemGetInfo
	cuMemAlloc
	cuMemFree
	cuMemHostAlloc
	cuMemFreeHost
	cuMemcpyHtoDAsync
	cuMemcpyDtoHAsync
	cuMemcpyDtoDAsync
	cuMemsetD8Async
	cuMemGetAllocationGranularity
	cuMemAddressReserve
	cuMemAddressFree
	cuMemCreate
	cuMemRelease
	cuMemMap
	cuMemSetAccess
	cuMemUnmap
	cuStreamCreate
	cuStreamDestroy
	cuStreamSynchronize
	cuStreamWaitEvent
	cuEventCreate
	cuEventDestroy
	cuEventRecord
	cuEventQuery
	cuEventSynchronize
	cuEventElapsedTime
	cuModuleLoadDataEx
	cuModuleUnload
	cuModuleGetFunction
	cuFuncGetAttribute
	cuFuncSetAttribute
	cuLaunchKernel
	cuTensorMapEncodeTiled
	cuStreamBeginCapture
	cuStreamEndCapture
	cuGraphInstantiateWithFlags
	cuGraphLaunch
	cuGraphExecDestroy
	cuGraphDestroy
	symbols
)

// names are the exported ones. Where a call changed its arguments over the years, the plain name is
// the oldest form and a suffix the present one.
var names = [symbols]string{
	cuInit: "cuInit", cuDriverGetVersion: "cuDriverGetVersion",
	cuGetErrorName: "cuGetErrorName", cuGetErrorString: "cuGetErrorString",
	cuDeviceGetCount: "cuDeviceGetCount", cuDeviceGet: "cuDeviceGet", cuDeviceGetName: "cuDeviceGetName",
	cuDeviceGetAttribute: "cuDeviceGetAttribute", cuDeviceTotalMem: "cuDeviceTotalMem_v2",
	cuDevicePrimaryCtxRetain: "cuDevicePrimaryCtxRetain", cuDevicePrimaryCtxRelease: "cuDevicePrimaryCtxRelease_v2",
	cuCtxSetCurrent: "cuCtxSetCurrent", cuCtxSynchronize: "cuCtxSynchronize",
	cuMemGetInfo: "cuMemGetInfo_v2", cuMemAlloc: "cuMemAlloc_v2", cuMemFree: "cuMemFree_v2",
	cuMemHostAlloc: "cuMemHostAlloc", cuMemFreeHost: "cuMemFreeHost",
	cuMemcpyHtoDAsync: "cuMemcpyHtoDAsync_v2", cuMemcpyDtoHAsync: "cuMemcpyDtoHAsync_v2",
	cuMemcpyDtoDAsync: "cuMemcpyDtoDAsync_v2", cuMemsetD8Async: "cuMemsetD8Async",
	cuMemGetAllocationGranularity: "cuMemGetAllocationGranularity",
	cuMemAddressReserve:           "cuMemAddressReserve", cuMemAddressFree: "cuMemAddressFree",
	cuMemCreate: "cuMemCreate", cuMemRelease: "cuMemRelease", cuMemMap: "cuMemMap",
	cuMemSetAccess: "cuMemSetAccess", cuMemUnmap: "cuMemUnmap",
	cuStreamCreate: "cuStreamCreate", cuStreamDestroy: "cuStreamDestroy_v2",
	cuStreamSynchronize: "cuStreamSynchronize", cuStreamWaitEvent: "cuStreamWaitEvent",
	cuEventCreate: "cuEventCreate", cuEventDestroy: "cuEventDestroy_v2", cuEventRecord: "cuEventRecord",
	cuEventQuery: "cuEventQuery", cuEventSynchronize: "cuEventSynchronize", cuEventElapsedTime: "cuEventElapsedTime",
	cuModuleLoadDataEx: "cuModuleLoadDataEx", cuModuleUnload: "cuModuleUnload", cuModuleGetFunction: "cuModuleGetFunction",
	cuFuncGetAttribute: "cuFuncGetAttribute", cuFuncSetAttribute: "cuFuncSetAttribute", cuLaunchKernel: "cuLaunchKernel",
	cuTensorMapEncodeTiled: "cuTensorMapEncodeTiled",
	cuStreamBeginCapture:   "cuStreamBeginCapture_v2", cuStreamEndCapture: "cuStreamEndCapture",
	cuGraphInstantiateWithFlags: "cuGraphInstantiateWithFlags", cuGraphLaunch: "cuGraphLaunch",
	cuGraphExecDestroy: "cuGraphExecDestroy", cuGraphDestroy: "cuGraphDestroy",
}

// Driver is the loaded and initialised driver. A process must not fork after Load.
type Driver struct {
	// Path is the file that was opened.
	Path string
	// Version is the newest CUDA version that the driver supports: 12040 for 12.4.
	Version int
	// Replaced lists the signals whose handlers the driver had replaced; they were put back.
	Replaced []syscall.Signal

	functions [symbols]uintptr
	signals   sync.Mutex
}

// Load opens the driver, libcuda.so.1 or the file that BARKA_LIBCUDA names, and initialises it. A
// missing driver is bad input: the machine has none, or the container hides it.
func Load() (*Driver, error) {
	path := os.Getenv("BARKA_LIBCUDA")
	if path == "" {
		path = "libcuda.so.1"
	}
	library, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, badinput.Errorf("no NVIDIA driver: %v. Install the driver, give the container its GPU "+
			"(docker run --gpus all), or compute on the CPU", err)
	}
	d := &Driver{Path: path}
	for s, name := range names {
		// An absent function is an error of the call that needs it: old drivers lack the newer ones.
		d.functions[s], _ = purego.Dlsym(library, name)
	}
	if d.functions[cuInit] == 0 || d.functions[cuLaunchKernel] == 0 {
		return nil, badinput.Errorf("%s is not an NVIDIA driver: it has no cuInit or no cuLaunchKernel", path)
	}
	if err := d.keepSignals(func() error { return d.call(cuInit, 0) }); err != nil {
		if shown, set := os.LookupEnv("CUDA_VISIBLE_DEVICES"); set && isCode(err, codeNoDevice) {
			return nil, badinput.Errorf("CUDA_VISIBLE_DEVICES is %q, which shows no GPU: give the numbers or UUIDs that nvidia-smi -L lists, "+
				"or unset it", shown)
		}
		return nil, err
	}
	var version int32
	if err := d.call(cuDriverGetVersion, uintptr(unsafe.Pointer(&version))); err != nil {
		return nil, err
	}
	d.Version = int(version)
	return d, nil
}

// call calls a function of the driver. Pointers to Go memory may be handed over as
// uintptr(unsafe.Pointer(&v)) in the call itself, for the time of the call.
//
//go:uintptrescapes
func (d *Driver) call(s symbol, arguments ...uintptr) error {
	if d.functions[s] == 0 {
		return &Error{Call: names[s], Code: codeNotFound, Name: "missing in this driver", Text: "update the driver"}
	}
	if code, _, _ := purego.SyscallN(d.functions[s], arguments...); int32(code) != 0 {
		return d.failure(s, int32(code))
	}
	return nil
}

// Devices returns the number of GPUs that the driver shows; CUDA_VISIBLE_DEVICES restricts them.
func (d *Driver) Devices() (int, error) {
	var n int32
	err := d.call(cuDeviceGetCount, uintptr(unsafe.Pointer(&n)))
	return int(n), err
}

// Info describes a GPU.
type Info struct {
	Name         string
	Major, Minor int   // compute capability
	Memory       int64 // bytes
	Processors   int   // multiprocessors
	SharedLimit  int   // shared memory that one block can have, bytes
	L2           int   // bytes
}

// Numbers of the driver's enumeration CUdevice_attribute.
const (
	attributeProcessors  = 16
	attributeL2          = 38
	attributeMajor       = 75
	attributeMinor       = 76
	attributeSharedLimit = 97
)

// Info asks the driver about GPU n.
func (d *Driver) Info(n int) (Info, error) {
	var info Info
	var device int32
	if err := d.call(cuDeviceGet, uintptr(unsafe.Pointer(&device)), uintptr(n)); err != nil {
		return info, err
	}
	var text [256]byte
	if err := d.call(cuDeviceGetName, uintptr(unsafe.Pointer(&text)), uintptr(len(text)), uintptr(device)); err != nil {
		return info, err
	}
	info.Name = goString(text[:])
	if err := d.call(cuDeviceTotalMem, uintptr(unsafe.Pointer(&info.Memory)), uintptr(device)); err != nil {
		return info, err
	}
	for _, a := range []struct {
		number uintptr
		value  *int
	}{
		{attributeProcessors, &info.Processors}, {attributeL2, &info.L2}, {attributeMajor, &info.Major},
		{attributeMinor, &info.Minor}, {attributeSharedLimit, &info.SharedLimit},
	} {
		var v int32
		if err := d.call(cuDeviceGetAttribute, uintptr(unsafe.Pointer(&v)), a.number, uintptr(device)); err != nil {
			return info, err
		}
		*a.value = int(v)
	}
	return info, nil
}
