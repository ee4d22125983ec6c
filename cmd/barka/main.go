// Command barka takes an open large language model to a new language, from
// Wikipedia pages to an evaluated model. See README.md.
//
// Each verb has one file, cmd_VERB.go; eval has several. A verb's Run parses,
// prepares, stops after the estimate with --dry-run, runs and prints. The package
// is large because a third of it is flags and help.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	// Certificates of public servers, for systems that have none, such as an image on scratch.
	_ "golang.org/x/crypto/x509roots/fallback"
)

// sameSignal is the time within which signals count as one.
const sameSignal = 300 * time.Millisecond

func main() {
	log.SetOutput(io.Discard) // net/http logs unsolicited responses of servers there
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once. timeout(1) and some schedulers send
	// the first one twice: to the process and to its group.
	context.AfterFunc(ctx, func() { time.AfterFunc(sameSignal, stop) })
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
