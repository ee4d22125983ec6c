//go:build !amd64

package cpu

// Best returns Generic: there are no assembly kernels for this architecture.
func Best() Level { return Generic }

// Features lists nothing.
func Features() map[string]bool { return nil }
