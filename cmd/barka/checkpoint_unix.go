//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// checkpointSignal returns a channel that receives SIGUSR1, with which schedulers and people
// ask a training to write a checkpoint and to go on.
func checkpointSignal() <-chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	return c
}
