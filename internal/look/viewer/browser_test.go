package viewer

import (
	"testing"

	"barka/internal/htmlpage/chromium"
)

// browser is a page in Chromium. Its methods end the test instead of returning errors.
type browser struct {
	t *testing.T
	*chromium.Browser
}

func openBrowser(t *testing.T, file string) browser {
	t.Helper()
	b := browser{t, chromium.ForTest(t)}
	if err := b.Open(file); err != nil {
		chromium.Fail(t, err)
	}
	return b
}

func (b browser) eval(script string) string {
	b.t.Helper()
	got, err := b.Eval(script)
	if err != nil {
		chromium.Fail(b.t, err)
	}
	return got
}
