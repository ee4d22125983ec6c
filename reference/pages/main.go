// Command pages makes the pages about a run and photographs them: as a phone and a desktop
// show them, light and dark, and on paper. It fails for a page that scrolls sideways, requests
// anything or reports an error. Without Chromium it says so and ends with 75.
//
//	go run ./reference/pages BARKA RUN OUT
//
// BARKA is the program, RUN the directory of a finished run, such as that of barka demo, and OUT
// gets the pages and pictures.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"barka/internal/htmlpage/chromium"
)

func main() {
	err := run(os.Args[1:])
	if m := new(chromium.Missing); errors.As(err, &m) {
		fmt.Println("skipped:", m)
		os.Exit(75)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pages:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: go run ./reference/pages BARKA RUN OUT")
	}
	barka, made, out := args[0], args[1], args[2]
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	profile, err := os.MkdirTemp("", "barka-pages-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(profile)
	b, err := chromium.Start(profile)
	if err != nil {
		return err
	}
	defer b.Close()
	names, err := write(barka, made, out)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := photograph(b, out, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// write writes the pages and returns their names.
func write(barka, made, out string) (names []string, err error) {
	audit := filepath.Join(out, "audited")
	data := filepath.Join(made, "inputs", "data", "benchmarks")
	for _, c := range []struct {
		name string
		args []string
	}{
		{"", []string{"audit", "--data", data, "--tasks", filepath.Join(made, "inputs", "data", "tasks.txt"), "--train",
			filepath.Join(made, "5-mix"), "--out", audit, "--quiet"}},
		{"report", []string{"report", made, "--audit", audit, "--out", "PAGE"}},
		{"compare", []string{"compare", filepath.Join(made, "8-eval-base"), filepath.Join(made, "9-eval-tuned"), "--html", "PAGE"}},
		{"view", []string{"view", filepath.Join(made, "4-clean"), "--out", "PAGE"}},
	} {
		for i, arg := range c.args {
			if arg == "PAGE" {
				c.args[i], err = filepath.Abs(filepath.Join(out, c.name+".html"))
			}
		}
		if text, err := exec.Command(barka, c.args...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("barka %s: %w\n%s", strings.Join(c.args, " "), err, text)
		}
		if c.name != "" {
			names = append(names, c.name)
		}
	}
	if err == nil {
		err = os.Rename(filepath.Join(audit, "audit.html"), filepath.Join(out, "audit.html"))
	}
	return append(names, "audit"), err
}

// looks are the pictures of each page.
var looks = []struct {
	name string
	look chromium.Look
}{
	{"desktop", chromium.Look{Width: 1280}},
	{"desktop-dark", chromium.Look{Width: 1280, Dark: true}},
	{"phone", chromium.Look{Width: 390}},
	{"phone-dark", chromium.Look{Width: 390, Dark: true}},
	{"print", chromium.Look{Width: 720, Print: true, Dark: true}},
}

// photograph takes the pictures of a page.
func photograph(b *chromium.Browser, out, name string) error {
	file, err := filepath.Abs(filepath.Join(out, name+".html"))
	if err != nil {
		return err
	}
	b.Requests, b.Errors = nil, nil
	if err := b.Open(file); err != nil {
		return err
	}
	for _, l := range looks {
		if err := b.Show(l.look); err != nil {
			return err
		}
		if wide, err := b.Eval(chromium.Wide); err != nil || wide != "" && !l.look.Print {
			return fmt.Errorf("as %s it scrolls sideways because of %s (%v)", l.name, wide, err)
		}
		picture, err := b.Screenshot()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, name+"-"+l.name+".png"), picture, 0o644); err != nil {
			return err
		}
	}
	pdf, err := b.PDF()
	if err != nil {
		return err
	}
	if len(b.Requests) != 1 || len(b.Errors) > 0 {
		return fmt.Errorf("it requested %q and reported %q", b.Requests, b.Errors)
	}
	fmt.Printf("%s: %d pictures and a PDF\n", name, len(looks))
	return os.WriteFile(filepath.Join(out, name+".pdf"), pdf, 0o644)
}
