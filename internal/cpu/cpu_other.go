//go:build !amd64

package cpu

// Best returns Generic: there are no assembly kernels for this architecture.
func Best() Level { return Generic }

// Features returns nil: no level needs an instruction set.
func Features() map[string]bool { return nil }
