package hub

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"barka/internal/badinput"
)

// DefaultEndpoint is the address of the hub. HF_ENDPOINT replaces it.
const DefaultEndpoint = "https://huggingface.co"

// Offline reports whether the environment forbids requests to the hub. It
// accepts the values that huggingface_hub accepts as true.
func Offline() bool {
	for _, name := range []string{"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
		switch strings.ToUpper(os.Getenv(name)) {
		case "1", "ON", "YES", "TRUE":
			return true
		}
	}
	return false
}

// endpoint returns the address of the hub.
func endpoint() (*url.URL, error) {
	text := os.Getenv("HF_ENDPOINT")
	if text == "" {
		text = DefaultEndpoint
	}
	u, err := url.Parse(strings.TrimRight(text, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, badinput.Errorf("HF_ENDPOINT is not an address of a hub; expected one such as %s", DefaultEndpoint)
	}
	if u.User != nil {
		return nil, badinput.Errorf("HF_ENDPOINT contains credentials; leave them out and set HF_TOKEN")
	}
	return u, nil
}

// maxToken bounds the size of a token's file, in bytes.
const maxToken = 64 << 10

// token returns the user's token, from the places where huggingface_hub looks
// for it, or "".
func token() (string, error) {
	for _, name := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"} {
		if t := strings.TrimSpace(os.Getenv(name)); t != "" {
			return t, plainToken(name, t)
		}
	}
	switch strings.ToUpper(os.Getenv("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
	case "1", "ON", "YES", "TRUE":
		return "", nil
	}
	path := os.Getenv("HF_TOKEN_PATH")
	if path == "" {
		path = filepath.Join(homeDir(), "token")
	}
	data, err := badinput.ReadFile(path, maxToken)
	if badinput.Is(err) {
		return "", err
	}
	if err != nil {
		return "", nil // no token
	}
	t := strings.TrimSpace(string(data))
	return t, plainToken(path, t)
}

// plainToken returns an error for a token that cannot be part of a header. The error
// does not repeat the token.
func plainToken(where, t string) error {
	if strings.ContainsFunc(t, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return badinput.Errorf("%s does not hold a token: it contains white space or characters beyond ASCII", where)
	}
	return nil
}
