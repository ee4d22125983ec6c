package chromium

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ForTest starts a browser for a test. It skips the test where there is no Chromium.
func ForTest(t testing.TB) *Browser {
	t.Helper()
	b, err := Start(t.TempDir())
	if err != nil {
		Fail(t, err)
	}
	t.Cleanup(b.Close)
	return b
}

// Fail skips a test for a browser that is missing, and fails it for any other error.
func Fail(t testing.TB, err error) {
	t.Helper()
	if m := new(Missing); errors.As(err, &m) {
		t.Skip(m)
	}
	t.Fatal(err)
}

// CheckPage opens a page in a browser and fails the test if it runs a script, requests
// anything, reports an error, or is wider than a phone or a desktop. Texts of the page that would
// run set window.hacked.
func CheckPage(t testing.TB, page string) {
	t.Helper()
	b := ForTest(t)
	file := filepath.Join(t.TempDir(), "checked.html")
	if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := b.Open(file); err != nil {
		Fail(t, err)
	}
	const state = `return [window.hacked, document.querySelectorAll("img, iframe, object, embed, link, base, form, video, a[href*=':']").length,
		[...document.querySelectorAll("*")].flatMap(e => [...e.attributes]).filter(a => a.name.startsWith("on")).length].join()`
	if got, err := b.Eval(state); err != nil || got != ",0,0" {
		t.Errorf("the page ran or holds foreign elements: %q, %v", got, err)
	}
	for _, look := range []Look{{Width: 390}, {Width: 1280}} {
		if err := b.Show(look); err != nil {
			t.Fatal(err)
		}
		wide, err := b.Eval(Wide)
		if err != nil || wide != "" {
			t.Errorf("at %d pixels the page scrolls sideways because of %s (%v)", look.Width, wide, err)
		}
	}
	for _, r := range b.Requests {
		if !strings.HasPrefix(r, "file://") {
			t.Errorf("the page requested %s", r)
		}
	}
	if len(b.Errors) > 0 {
		t.Errorf("errors of the page: %q", b.Errors)
	}
}

// Wide is a script for Eval: it returns the elements that make the page itself wider than its
// window, up to three.
const Wide = `const width = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth <= width) return "";
	const inside = e => { for (let p = e.parentElement; p; p = p.parentElement) if (getComputedStyle(p).overflowX !== "visible") return true; return false; };
	return [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > width + 1 && !inside(e)).slice(0, 3)
		.map(e => e.tagName + "." + e.getAttribute("class") + " " + Math.round(e.getBoundingClientRect().right)).join("; ") || "something";`
