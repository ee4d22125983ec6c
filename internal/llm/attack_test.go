package llm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"barka/internal/badinput"
)

const attackKey = "sk-attack/very+secret-key"

// attack is a server's answer, as raw bytes or by a handler, and the expected outcome.
type attack struct {
	raw     string
	handler http.HandlerFunc
	// want is part of the error; "" means that the answer is accepted.
	want string
	// tries is the number of requests that the client makes; 0 means 1.
	tries int
	// final is an error that concerns all requests, not this one.
	final bool
}

// wire is an answer with a body of JSON.
func wire(body string, header ...string) string {
	return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + strings.Join(append(header, ""), "\r\n") +
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

// start serves the attack and counts its requests.
func (a attack) start(t *testing.T) (address string, requests *atomic.Int32) {
	t.Helper()
	if a.raw == "" {
		s, n := server(t, a.handler)
		return s.URL, n
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	requests = new(atomic.Int32)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				r.Body.Close()
				requests.Add(1)
				conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
				conn.Write([]byte(a.raw))
			}()
		}
	}()
	return "http://" + l.Addr().String(), requests
}

// drip sends a byte from time to time, without end.
func drip(before string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // otherwise the server does not notice that the client has gone
		fmt.Fprint(w, before)
		for r.Context().Err() == nil {
			fmt.Fprint(w, " ")
			w.(http.Flusher).Flush()
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func silent(_ http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func endless(w http.ResponseWriter, _ *http.Request) {
	for block := []byte(strings.Repeat("x", 1<<16)); ; {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

func choiceOf(content string) string {
	return `{"choices":[{"message":{"content":` + content + `},"finish_reason":"stop"}]}`
}

// attacks returns the table; elsewhere is another server, which must not get any request.
func attacks(elsewhere string) map[string]attack {
	deep := strings.Repeat("[", 200_000)
	table := map[string]attack{
		// Wrong answers.
		"no content": {handler: answer(200,
			`{"choices":[{"message":{"content":null},"finish_reason":"stop"}]}`), want: "no content", tries: 3},
		"no choice":          {handler: answer(200, `{"choices":[]}`), want: "no choice", tries: 3},
		"choices of null":    {handler: answer(200, `{"choices":null}`), want: "no choice", tries: 3},
		"choices of numbers": {handler: answer(200, `{"choices":[1,2]}`), want: "not valid JSON", tries: 3},
		"a message of text":  {handler: answer(200, `{"choices":[{"message":"hi"}]}`), want: "not valid JSON", tries: 3},
		"content of parts":   {handler: answer(200, choiceOf(`[{"type":"text","text":"x"}]`)), want: "not valid JSON", tries: 3},
		"two choices": {handler: answer(200,
			`{"choices":[{"message":{"content":"Hello."},"finish_reason":"stop"},{"message":{"content":"Other."}}]}`)},
		"a thousand choices": {handler: answer(200,
			`{"choices":[{"message":{"content":"Hello."},"finish_reason":"stop"}`+strings.Repeat(`,{}`, 999)+`]}`)},
		"a field twice": {handler: answer(200,
			`{"choices":[],"choices":[{"message":{"content":"Hello."},"finish_reason":"stop"}]}`)},
		"unknown fields": {handler: answer(200,
			`{"x":{"y":[1,{}]},"choices":[{"z":0,"message":{"content":"Hello."},"finish_reason":"stop"}]}`)},
		"negative tokens": {handler: answer(200,
			`{"choices":[{"message":{"content":"Hello."},"finish_reason":"stop"}],`+
				`"usage":{"prompt_tokens":-7,"completion_tokens":1}}`), want: "-7 prompt tokens", tries: 3},
		"tokens beyond numbers": {handler: answer(200,
			`{"choices":[{"message":{"content":"Hello."}}],"usage":{"prompt_tokens":1e99}}`), want: "not valid JSON", tries: 3},
		"tokens of NaN": {handler: answer(200,
			`{"choices":[{"message":{"content":"Hello."}}],"usage":{"prompt_tokens":NaN}}`), want: "not valid JSON", tries: 3},
		"huge nesting":          {handler: answer(200, deep), want: "max depth", tries: 3},
		"huge nesting in error": {handler: answer(400, deep), want: "status 400"},
		"an empty answer":       {handler: answer(200, ""), want: "not valid JSON", tries: 3},
		"null":                  {handler: answer(200, "null"), want: "no choice", tries: 3},
		"half of JSON":          {handler: answer(200, good[:40]), want: "not valid JSON", tries: 3},
		"JSON and more":         {handler: answer(200, good+"{}"), want: "not valid JSON", tries: 3},
		"a stream of events": {handler: answer(200, "data: {\"choices\":[]}\n\ndata: [DONE]\n", "Content-Type",
			"text/event-stream"), want: "not valid JSON", tries: 3},
		"a page": {handler: answer(200, "<html><title>Sign in</title>", "Content-Type", "text/html"),
			want: "a page, not JSON", tries: 3},
		"JSON called a picture": {handler: answer(200, good, "Content-Type", "image/png")},
		"a login in the error":  {handler: answer(400, "<html><title>Sign\x1b[31m in</title>"), want: "a page titled Sign in"},
		"another encoding": {handler: answer(200, "\xff\xfe{\x00}\x00", "Content-Type",
			"application/json; charset=utf-16"), want: "not valid JSON", tries: 3},
		"false gzip": {handler: answer(200, "this is not gzip at all", "Content-Encoding", "gzip"),
			want: "ended early: gzip: invalid header", tries: 3},
		"status 204": {handler: answer(204, ""), want: "status 204"},
		"status 206": {handler: answer(206, good), want: "status 206"},
		"status 299": {handler: answer(299, good), want: "status 299"},
		"status 418": {handler: answer(418, "teapot"), want: "status 418 I'm a teapot: teapot"},
		"status 599": {handler: answer(599, ""), want: "status 599", tries: 3},

		// Endless and slow bodies.
		"endless body": {handler: endless, want: "longer than 32 MiB"},
		"endless error": {handler: func(w http.ResponseWriter,
			r *http.Request) {
			w.WriteHeader(400)
			endless(w, r)
		}, want: "longer than 32 MiB"},
		"slow drip": {handler: drip(""), want: "no answer within 300ms", tries: 3},
		"slow drip of an error": {handler: func(w http.ResponseWriter,
			r *http.Request) {
			w.WriteHeader(500)
			drip("x")(w, r)
		}, want: "no answer within 300ms", tries: 3},
		"silence": {handler: silent, want: "no answer within 300ms", tries: 3},
		"endless header": {raw: "HTTP/1.1 200 OK\r\n" +
			strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 2000), want: "exceeded", tries: 3},
		"one long header": {raw: "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 2<<20), want: "exceeded", tries: 3},
		"endless 100":     {raw: strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 2000), want: "no answer: ", tries: 3},

		// Violations of the protocol.
		"closed at once":        {raw: " ", want: "no answer: ", tries: 3},
		"another protocol":      {raw: "SSH-2.0-OpenSSH_9.6\r\n", want: "malformed HTTP response", tries: 3},
		"key in a bad header":   {raw: "HTTP/1.1 200 OK\r\nBearer " + attackKey + "\r\n\r\n", want: "malformed MIME header", tries: 3},
		"key in a bad status":   {raw: "HTTP/1.1 " + attackKey + " OK\r\n\r\n", want: "malformed HTTP status code", tries: 3},
		"key in a bad protocol": {raw: attackKey + "\r\n\r\n", want: "malformed HTTP response", tries: 3},
		"key in a bad length": {raw: "HTTP/1.1 200 OK\r\nContent-Length: " + attackKey + "\r\n\r\n",
			want: "bad Content-Length", tries: 3},
		"escapes in a header": {raw: "HTTP/1.1 200 OK\r\n\x1b[2J\x1b]0;owned\x07\r\n\r\n", want: "malformed MIME header", tries: 3},
		"two lengths": {raw: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n{}",
			want: "Content-Length", tries: 3},
		"negative length":       {raw: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}", want: "Content-Length", tries: 3},
		"shorter than promised": {raw: "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + good, want: "the answer ended early", tries: 3},
		"chunked garbage": {raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nboo\r\n",
			want: "the answer ended early", tries: 3},
		"a chunk of exabytes": {raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\nboo",
			want: "the answer ended early", tries: 3},
		"chunks that stop": {raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"c",
			want: "the answer ended early", tries: 3},
		"unknown transfer": {raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\n{}",
			want: "unsupported transfer encoding", tries: 3},
		"switching protocols": {raw: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", want: "status 101"},
		"two answers at once": {raw: wire(good) + wire(choiceOf(`"smuggled"`))},

		// Echoes of the key.
		"key in an error":          {handler: answer(400, `{"error":{"message":"bad key `+attackKey+`"}}`), want: "bad key [secret]"},
		"key in plain text":        {handler: answer(400, "Authorization: Bearer "+attackKey), want: "Bearer [secret]"},
		"key in an address":        {handler: answer(400, "see http://x/?key=sk-attack%2Fvery%2Bsecret-key"), want: "key=[secret]"},
		"key at the limit":         {handler: answer(400, strings.Repeat("x ", 2040)+attackKey), want: "status 400"},
		"key split by escapes":     {handler: answer(400, "sk-attack/very\x1b[0m+secret-key"), want: "sk-attack/very +secret-key"},
		"key in a page's title":    {handler: answer(400, "<title>"+attackKey+"</title>"), want: "a page titled [secret]"},
		"key in an error with 200": {handler: answer(200, `{"error":{"message":"`+attackKey+`"}}`), want: "contains the API key", final: true},
		"key in the answer":        {handler: answer(200, choiceOf(`"your key is `+attackKey+`"`)), want: "contains the API key", final: true},
		"key in the model's name": {handler: answer(200,
			`{"model":"`+attackKey+`","choices":[{"message":{"content":"Hello."},"finish_reason":"stop"}]}`),
			want: "contains the API key", final: true},
		"credentials in an error": {handler: answer(400, `proxy http://me:`+attackKey+`@10.0.0.1 failed`),
			want: "proxy http://10.0.0.1 failed"},

		// Requested pauses.
		"a pause of a day": {handler: answer(429, "", "Retry-After", "86400"),
			want: "a pause of 24h0m0s, longer than the limit of 15m0s", final: true},
		"a pause of a century": {handler: answer(503, "", "Retry-After", "99999999999"),
			want: "longer than the limit of 15m0s", final: true},
		"a pause without end": {handler: answer(503, "", "Retry-After", strings.Repeat("9", 400)),
			want: "longer than the limit of 15m0s", final: true},
		"a pause to the year 9999": {handler: answer(503, "", "Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"),
			want: "longer than the limit of 15m0s", final: true},
		"a pause of inf": {handler: answer(503, "", "Retry-After", "inf"), want: "status 503", tries: 3},
	}
	for _, status := range []int{300, 301, 302, 303, 305, 307, 308, 399} {
		for name, location := range map[string]string{
			"another server": elsewhere +
				"/v1/chat/completions", "another scheme": "ftp://host/x", "itself": "/v1/chat/completions", "a secret": "http://me:" +
				url.QueryEscape(attackKey) + "@elsewhere/x?" + attackKey,
			"another port by name": strings.Replace(elsewhere, "127.0.0.1", "localhost", 1),
		} {
			table[fmt.Sprintf("redirect %d to %s", status, name)] = attack{handler: func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Location"] = []string{location}
				w.WriteHeader(status)
			}, want: "which is not followed", final: true}
		}
	}
	table["redirect to a broken address"] = attack{handler: answer(302, "", "Location", "http://["+attackKey),
		want: "failed to parse Location", tries: 3}
	table["redirect to an escape"] = attack{raw: "HTTP/1.1 302 Found\r\nLocation: /\x1b[31m\r\n\r\n",
		want: "malformed MIME header", tries: 3}
	table["redirect to nowhere"] = attack{handler: answer(302, ""), want: "to nowhere, which is not followed", final: true}
	return table
}

// TestAttacks: whatever a server does, the client ends soon, sends nothing to another
// server, and shows neither the key nor a control character.
func TestAttacks(t *testing.T) {
	t.Setenv("TEST_BARKA_KEY", attackKey)
	log.SetOutput(io.Discard) // net/http quotes unsolicited answers
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	var strayed atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		strayed.Add(1)
		fmt.Fprint(w, good)
	}))
	t.Cleanup(other.Close)
	table := attacks(other.URL)
	if len(table) < 100 {
		t.Errorf("%d attacks", len(table))
	}
	var wg sync.WaitGroup
	slots := make(chan bool, 16)
	for name, a := range table {
		url, requests := a.start(t)
		var mu sync.Mutex
		var notes []string
		c, err := NewHTTP(Options{BaseURL: url + "/v1", Model: "m", KeyVariable: "TEST_BARKA_KEY", Retries: 2, Timeout: 10 * time.Second,
			Note:  func(s string) { mu.Lock(); notes = append(notes, s); mu.Unlock() },
			Sleep: func(context.Context, time.Duration) error { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(a.want, "300ms") {
			c.o.Timeout, c.client.Timeout = 300*time.Millisecond, 300*time.Millisecond
		}
		wg.Go(func() {
			slots <- true
			defer func() { <-slots }()
			got, err := c.Complete(context.Background(), request)
			tries := int32(max(a.tries, 1))
			if n := requests.Load(); n != tries {
				t.Errorf("%s: %d requests, want %d", name, n, tries)
			}
			var one *RequestError
			switch {
			case a.want == "" && (err != nil || got.Text != "Hello."):
				t.Errorf("%s: %+v, %v", name, got, err)
			case a.want != "" && (err == nil || !strings.Contains(err.Error(), a.want)):
				t.Errorf("%s: error %v, want %q", name, err, a.want)
			case err != nil && errors.As(err, &one) == a.final:
				t.Errorf("%s: final %v, want %v: %v", name, !a.final, a.final, err)
			}
			for _, s := range append(slices.Clone(notes), fmt.Sprint(err)) {
				if strings.Contains(s, attackKey) || strings.Contains(s, "%2Bsecret") ||
					strings.ContainsFunc(s, unicode.IsControl) || len(s) > 1500 {
					t.Errorf("%s: shown: %.3000q", name, s)
				}
			}
		})
	}
	wg.Wait()
	if strayed.Load() != 0 {
		t.Errorf("%d requests went to another server", strayed.Load())
	}
}

// TestNoRedirectFromHTTPS: the key is not sent over an unencrypted connection.
func TestNoRedirectFromHTTPS(t *testing.T) {
	t.Setenv("TEST_BARKA_KEY", attackKey)
	var strayed atomic.Int32
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strayed.Add(1) }))
	t.Cleanup(plain.Close)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(s.Close)
	p, err := NewPromptScorer(Options{BaseURL: s.URL + "/v1", Model: "m", KeyVariable: "TEST_BARKA_KEY"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.http.client.Transport = s.Client().Transport
	_, err = p.Score(context.Background(), prompt, 2)
	if !badinput.Is(err) || !strings.Contains(err.Error(),
		"redirects (status 307) to "+plain.URL+"/v1, which is not followed") || strayed.Load() != 0 {
		t.Errorf("%v, %d requests went to the other server", err, strayed.Load())
	}
	if _, err = p.Limit(context.Background()); err != nil && strings.Contains(err.Error(), attackKey) || strayed.Load() != 0 {
		t.Errorf("%v, %d requests went to the other server", err, strayed.Load())
	}
}

// TestScoreAttacks: wrong answers to a request for log-probabilities give an error of this
// prompt, and never a score.
func TestScoreAttacks(t *testing.T) {
	ranked := func(second, third string) string {
		return `{"choices":[{"prompt_logprobs":[null,` + second + `,` + third + `]}],"usage":{"prompt_tokens":3}}`
	}
	const six, seven = `{"6":{"logprob":-0.5,"rank":1}}`, `{"7":{"logprob":-0.5,"rank":1}}`
	for name, c := range map[string]struct{ text, want string }{
		"NaN":              {ranked(six, `{"7":{"logprob":NaN,"rank":1}}`), "a log-probability of NaN"},
		"Infinity":         {ranked(six, `{"7":{"logprob":-Infinity,"rank":1}}`), "a log-probability of -Infinity"},
		"positive":         {ranked(six, `{"7":{"logprob":0.5,"rank":1}}`), "is 0.5"},
		"null":             {ranked(six, `{"7":{"logprob":null,"rank":1}}`), "is null"},
		"missing":          {ranked(six, `{"7":{}}`), "is null"},
		"text":             {ranked(six, `{"7":{"logprob":"-1"}}`), "not valid JSON"},
		"beyond numbers":   {ranked(six, `{"7":{"logprob":-1e999}}`), "not valid JSON"},
		"of another token": {ranked(six, `{"8":{"logprob":-0.5,"rank":1}}`), "no log-probability of token 2"},
		"no entry":         {ranked(six, `null`), "no log-probability of token 2"},
		"in another order": {ranked(seven, six), "no log-probability of token 1"},
		"too many":         {ranked(six, seven+`,`+seven), "4 log-probabilities, expected 3"},
		"other prompt": {strings.Replace(ranked(six, seven), `"prompt_tokens":3`, `"prompt_tokens":4`, 1),
			"read 4 prompt tokens, expected the 3"},
		"negative count":     {strings.Replace(ranked(six, seven), `"prompt_tokens":3`, `"prompt_tokens":-3`, 1), "read -3 prompt tokens"},
		"a list for the map": {ranked(six, `[-0.5]`), "not valid JSON"},
		"no choice":          {`{"choices":[]}`, "no choice"},
	} {
		s, _ := server(t, answer(200, ranked(six, seven)), answer(200, c.text))
		p, err := NewPromptScorer(Options{BaseURL: s.URL + "/v1", Model: "m", Retries: 1,
			Sleep: func(context.Context, time.Duration) error { return nil }}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Score(context.Background(), prompt, 2); err != nil {
			t.Fatal(err)
		}
		got, err := p.Score(context.Background(), prompt, 2)
		if err == nil || got != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want %q", name, got, err, c.want)
		}
	}
}

// TestAddressesAreNotRepeated: errors do not show parts of an address or a variable that
// may be secret.
func TestAddressesAreNotRepeated(t *testing.T) {
	t.Setenv("TEST_BARKA_BAD", "two words")
	t.Setenv("TEST_BARKA_LINE", "sk-x\nInjected: y")
	for _, o := range []Options{
		{BaseURL: "me:secret@host/v1"}, {BaseURL: "http://me:secret@host/v1"}, {BaseURL: "http://me:secret@ho st/v1"},
		{BaseURL: "ftp://host/v1?key=secret"},
		{BaseURL: "http://host/v1?key=secret"}, {BaseURL: "http://host/v1#secret"}, {BaseURL: "http://host:port/v1?secret"},
		{BaseURL: "http://host/v1", Model: "m", KeyVariable: "sk-secret"}, {BaseURL: "http://host/v1", Model: "m",
			KeyVariable: "hf_secret"},
		{BaseURL: "http://host/v1", Model: "m", KeyVariable: "TEST_BARKA_BAD"}, {BaseURL: "http://host/v1",
			Model: "m", KeyVariable: "TEST_BARKA_LINE"},
	} {
		_, err := NewHTTP(o)
		if !badinput.Is(err) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "words") ||
			strings.Contains(err.Error(), "Injected") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, found := os.LookupEnv("sk-secret"); found {
		t.Fatal("the environment has the variable")
	}
}
