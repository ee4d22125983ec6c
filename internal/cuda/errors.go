//go:build cuda && linux

package cuda

import (
	"bytes"
	"errors"
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Numbers of the driver's enumeration CUresult that callers decide by.
const (
	codeOutOfMemory = 2
	codeNoDevice    = 100
	codeNotFound    = 500
	codeNotReady    = 600
)

// Error is a failed call of the driver.
type Error struct {
	Call   string // the driver's function
	Kernel string // the kernel that was launched, if the call launched one
	Code   int    // CUresult
	Name   string // of the code: CUDA_ERROR_OUT_OF_MEMORY
	Text   string // what the driver says of it, or the compiler's log
	Remedy string // what usually helps, or ""
	// Launch is the number of the launch that failed, counted from 1 over all of the GPU, or 0 if
	// another call failed.
	Launch int64
}

func (e *Error) Error() string {
	where := e.Call
	if e.Kernel != "" {
		where += " of " + e.Kernel
	}
	text := fmt.Sprintf("GPU: %s failed with error %d, %s", where, e.Code, e.Name)
	if e.Text != "" {
		text += ": " + e.Text
	}
	if e.Remedy != "" {
		text += ". " + e.Remedy
	}
	return text
}

// remedies say what usually helps.
var remedies = map[int]string{
	codeOutOfMemory: "Other programs may be using the GPU's memory: see nvidia-smi",
	100:             "The driver sees no GPU: check CUDA_VISIBLE_DEVICES, and run containers with --gpus",
	802:             "The fabric manager is not running or not ready",
	803:             "The driver's library and its kernel module differ: reboot after a driver update",
	209:             "The compiled kernels have no code for this GPU: update barka",
	218:             "The driver cannot translate the kernels: update it",
	222:             "The driver is older than the compiled kernels: update it",
	700:             "The GPU can no longer be used by this process. BARKA_CUDA_SYNC=1 names the kernel",
	719:             "The GPU can no longer be used by this process. BARKA_CUDA_SYNC=1 names the kernel",
	214:             "The GPU's memory has an uncorrectable error: reset or replace it",
	999:             "The driver's state is broken: reload it or reboot",
}

// OutOfMemory reports whether err is the driver's lack of device memory.
func OutOfMemory(err error) bool { return isCode(err, codeOutOfMemory) }

// isCode reports whether err is a failed call of the driver with a code.
func isCode(err error, code int) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// FailedLaunch returns how many launches of the GPU were recorded before the one that failed with err.
// It returns false if another call failed.
func FailedLaunch(err error) (before int64, ok bool) {
	var e *Error
	if !errors.As(err, &e) || e.Launch == 0 {
		return 0, false
	}
	return e.Launch - 1, true
}

// failure builds the Error of a call.
func (d *Driver) failure(s symbol, code int32) error {
	return &Error{Call: names[s], Code: int(code), Name: d.text(cuGetErrorName, code), Text: d.text(cuGetErrorString, code),
		Remedy: remedies[int(code)]}
}

// text asks the driver for its name or description of a code; the C string is the driver's for good.
func (d *Driver) text(s symbol, code int32) string {
	var p *byte
	if d.functions[s] != 0 { // not by call, whose errors come here
		purego.SyscallN(d.functions[s], uintptr(code), uintptr(unsafe.Pointer(&p)))
	}
	if p == nil {
		if s == cuGetErrorName {
			return "unknown to the driver"
		}
		return ""
	}
	const most = 1 << 10
	n := 0
	for n < most && *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}

// goString returns what stands before the first zero byte.
func goString(text []byte) string {
	before, _, _ := bytes.Cut(text, []byte{0})
	return string(before)
}
