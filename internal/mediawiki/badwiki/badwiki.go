// Package badwiki is a proxy before a wiki's API that answers badly now and then, for tests of
// what clients make of it.
package badwiki

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// Kinds are the faults, in the order in which they come.
var Kinds = []string{"429 with a date", "503", "reset", "half an answer", "HTML", "nothing", "maxlag"}

// Proxy passes requests on to a wiki. Some get a fault instead of their answer.
type Proxy struct {
	to *httputil.ReverseProxy

	mu     sync.Mutex
	rng    *rand.Rand
	share  float64
	counts map[string]int
	next   int
	last   bool // the last request had a fault
}

// New returns a proxy to the wiki at an address. A share of the requests gets a fault, but no
// two in a row.
func New(wiki *url.URL, share float64, seed uint64) *Proxy {
	return &Proxy{to: httputil.NewSingleHostReverseProxy(wiki), rng: rand.New(rand.NewPCG(seed, 0)), share: share, counts: map[string]int{}}
}

// Counts returns how often each fault came.
func (p *Proxy) Counts() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := map[string]int{}
	for k, n := range p.counts {
		counts[k] = n
	}
	return counts
}

// fault draws a fault, or "".
func (p *Proxy) fault() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last = !p.last && p.rng.Float64() < p.share; !p.last {
		return ""
	}
	kind := Kinds[p.next%len(Kinds)]
	p.next++
	p.counts[kind]++
	return kind
}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch kind := p.fault(); kind {
	case "":
		p.to.ServeHTTP(w, r)
	case "429 with a date":
		w.Header().Set("Retry-After", time.Now().Add(1500*time.Millisecond).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusTooManyRequests)
	case "503":
		w.WriteHeader(http.StatusServiceUnavailable)
	case "reset":
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			conn.Close()
		}
	case "half an answer":
		answer := httptest.NewRecorder()
		r.Header.Del("Accept-Encoding")
		p.to.ServeHTTP(answer, r)
		body := answer.Body.Bytes()
		_, _ = w.Write(bytes.Clone(body[:len(body)/2]))
	case "HTML":
		fmt.Fprint(w, "<!DOCTYPE html><title>Wikimedia Error</title>")
	case "nothing":
		w.WriteHeader(http.StatusOK)
	case "maxlag":
		w.Header().Set("Retry-After", "1")
		fmt.Fprint(w, `{"error":{"code":"maxlag","info":"Waiting for a database: 5 seconds lagged."}}`)
	}
}
