// Package pause waits between requests to servers and for their answers, and
// decides when waiting is pointless.
package pause

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Sleep waits for d. If the context ends first, it returns the context's error.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// forever caps the duration that a Retry-After header asks for.
const forever = 100 * 365 * 24 * time.Hour

var seconds = regexp.MustCompile(`^\d+(\.\d*)?$`)

// After returns how long a Retry-After header asks to wait. The header holds
// seconds or a date (RFC 9110, 10.2.3); for anything else, After returns 0.
func After(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if seconds.MatchString(header) {
		s, _ := strconv.ParseFloat(header, 64) // infinite beyond its range
		return time.Duration(min(s, forever.Seconds()) * float64(time.Second))
	}
	if t, err := http.ParseTime(header); err == nil && t.After(now) {
		return t.Sub(now)
	}
	return 0
}

// Grace returns a context that ends d after ctx does, for work that may finish
// after an interruption. The caller must call cancel.
func Grace(ctx context.Context, d time.Duration) (graced context.Context, cancel context.CancelFunc) {
	graced, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { _ = Sleep(graced, d); end() })
	return graced, func() { stop(); end() }
}

// Unreachable explains why a request did not reach a server, given its error. It
// returns "" for errors of another kind.
func Unreachable(err error) string {
	var dns *net.DNSError
	var dial *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the server refuses connections; start it, or check the address's host and port"
	case errors.As(err, &dns):
		return fmt.Sprintf("no address is known for the host %q (%s); check the address and the network", dns.Name, dns.Err)
	case errors.As(err, &certificate):
		return fmt.Sprintf("the server's certificate is not accepted: %v", certificate)
	case errors.Is(err, http.ErrSchemeMismatch):
		return "the server speaks http, the address says https"
	case errors.As(err, &dial) && dial.Op == "dial":
		return fmt.Sprintf("no connection to the server (%v); check the address and the network", dial)
	}
	return ""
}
