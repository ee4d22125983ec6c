package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNextStep: the errors that a new user meets say what to do next.
func TestNextStep(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	lock := file("q.lock.json", `{"format": "barka-lock", "version": 99}`)
	wiki := "name: q\nlanguage: arb_Arab\nwiki:\n  api: https://en.wikipedia.org/w/api.php\n  titles: [Algeria]\n  dataset: w\n"
	recipe := file("recipe.yaml", wiki)
	newer := file("newer.yaml", wiki+"telepathy:\n  on: true\n")
	at := func(name string) string { return filepath.Join(dir, name) }
	t.Setenv("BARKA_CONTACT", "")
	t.Setenv("HF_HUB_CACHE", at("cache"))
	for name, c := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"unknown verb":    {[]string{"trian"}, exitUsage, []string{`no verb trian; did you mean "train"?`, "barka --help"}},
		"no such verb":    {[]string{"xyzzy"}, exitUsage, []string{"no verb xyzzy", "barka --help", "barka demo"}},
		"unknown option":  {[]string{"translate", "--modle", "x"}, exitUsage, []string{`did you mean "--model"?`, "barka translate --help"}},
		"missing option":  {[]string{"merge"}, exitUsage, []string{"--out", "barka merge --help"}},
		"below a verb":    {[]string{"eval", "merge"}, exitUsage, []string{"barka eval merge --help"}},
		"argument":        {[]string{"filter", "data"}, exitUsage, []string{"did you mean --in data?"}},
		"no recipe":       {[]string{"run", at("recpie.yaml")}, exitBadInput, []string{"did you mean " + recipe + "?", "barka init"}},
		"newer recipe":    {[]string{"run", newer}, exitBadInput, []string{"telepathy", "a newer barka than "}},
		"no contact":      {[]string{"run", recipe}, exitBadInput, []string{"--contact", "BARKA_CONTACT"}},
		"example contact": {[]string{"run", recipe, "--contact", "me@example.org"}, exitBadInput, []string{"is an example"}},
		"no lock":         {[]string{"reproduce", at("none")}, exitBadInput, []string{"barka lock RUN"}},
		"newer lock":      {[]string{"reproduce", lock}, exitBadInput, []string{"version 99", "newer barka"}},
		"no dataset":      {[]string{"show", at("none")}, exitBadInput, []string{"expected a dataset directory", "barka show RUN"}},
		"no run":          {[]string{"report", at("none")}, exitBadInput, []string{"barka run RECIPE"}},
		"no run to lock":  {[]string{"lock", dir}, exitBadInput, []string{"run.json", "barka run"}},
		"no model":        {[]string{"generate", "--model", at("none"), "--prompt", "x"}, exitBadInput, []string{"barka models"}},
		"no network": {[]string{"generate", "--offline", "--model", "org/name", "--prompt", "x"}, exitBadInput,
			[]string{"barka download org/name"}},
		"no benchmarks": {[]string{"eval", "--offline", "--model", "org/name", "--tasks", "acva"}, exitBadInput,
			[]string{"barka download"}},
		"no task":          {[]string{"eval", "--model", "org/name", "--tasks", "acvaa"}, exitBadInput, []string{`did you mean "acva"?`}},
		"something in out": {[]string{"init", recipe, "--defaults"}, exitBadInput, []string{"--overwrite"}},
	} {
		r := barka(t, "", c.args...)
		if r.code != c.code {
			t.Errorf("%s: exit code %d, want %d: %s", name, r.code, c.code, r.err)
		}
		for _, want := range c.says {
			if !strings.Contains(r.err, want) {
				t.Errorf("%s: %q is not in\n%s", name, want, r.err)
			}
		}
	}
}
