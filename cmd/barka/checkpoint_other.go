//go:build !unix

package main

import "os"

// checkpointSignal returns no channel: the system has no signal for it.
func checkpointSignal() <-chan os.Signal { return nil }
