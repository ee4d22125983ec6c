//go:build cuda && linux

package cuda

import (
	"syscall"
	"unsafe"
)

// action is the kernel's struct sigaction: handler, flags, restorer and mask on amd64; elsewhere the
// restorer may be missing, so it is only kept and compared, never read.
type action [4]uint64

const lastSignal = 64

// signalAction gets or sets a signal's handler; nil leaves a side out.
func signalAction(signal syscall.Signal, set, get *action) bool {
	_, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(signal), uintptr(unsafe.Pointer(set)),
		uintptr(unsafe.Pointer(get)), 8, 0, 0)
	return e == 0
}

// keepSignals runs f and puts back every signal handler that f replaced. A handler of the driver's
// without SA_ONSTACK would abort a Go program at its first signal, Ctrl+C for one.
func (d *Driver) keepSignals(f func() error) error {
	d.signals.Lock()
	defer d.signals.Unlock()
	var before, after [lastSignal + 1]action
	for s := range before[1:] {
		signalAction(syscall.Signal(s+1), nil, &before[s+1])
	}
	err := f()
	for s := syscall.Signal(1); s <= lastSignal; s++ {
		if signalAction(s, nil, &after[s]) && after[s] != before[s] && signalAction(s, &before[s], nil) {
			d.Replaced = append(d.Replaced, s)
		}
	}
	return err
}
