// Package pause waits between requests to servers, and tells when waiting is of
// no use.
package pause

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Sleep waits for d, or until the context ends, whose error it then returns.
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

// After is how long a Retry-After header asks to wait, in seconds or until a
// date (RFC 9110, 10.2.3); 0 if it does not say.
func After(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if s, err := strconv.ParseFloat(header, 64); err == nil && s >= 0 && s < 1e6 {
		return time.Duration(s * float64(time.Second))
	}
	if t, err := http.ParseTime(header); err == nil && t.After(now) {
		return t.Sub(now)
	}
	return 0
}

// Grace returns a context that ends d after ctx does: for work that an
// interruption should let finish. The caller must call cancel.
func Grace(ctx context.Context, d time.Duration) (graced context.Context, cancel context.CancelFunc) {
	graced, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { _ = Sleep(graced, d); end() })
	return graced, func() { stop(); end() }
}

// Unreachable says in words why no request can reach a server, from the error of
// one that did not; "" for errors of another kind.
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
