package eval

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"barka/internal/eval/evaltest"
	"barka/internal/pytext"
)

// keys lists the paths of an ordered object, with the kind of each value.
func keys(prefix string, v any, out []string) []string {
	o, ok := v.(pytext.Object)
	if !ok {
		return append(out, fmt.Sprintf("%s %T", prefix, v))
	}
	for _, f := range o {
		out = keys(prefix+"/"+f.Key, f.Value, out)
	}
	return out
}

// TestResultLayout runs the same three tasks as in the reference's file. Keys, their order
// and the kinds of values must be equal, and config_tasks too, except for the number of
// questions.
func TestResultLayout(t *testing.T) {
	_, want := evaltest.Reference(t)
	out, err := Run(t.Context(), newHashModel(), fixtureOptions(t,
		"community|arabic_mmlu:abstract_algebra|0|1,community|arabic_mmlu:anatomy|0|1,lighteval|xstory_cloze:ar|0|0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out.ResultsPath)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	got := evaltest.DecodeOrdered(t, d).(pytext.Object)
	wantKeys := keys("", want, nil)
	gotKeys := keys("", got, nil)
	// The shortened copy lacks the config_tasks of anatomy.
	gotKeys = without(gotKeys, "/config_tasks/community|arabic_mmlu:anatomy/")
	wantKeys = without(wantKeys, "/config_tasks/community|arabic_mmlu:anatomy/")
	if diff := cmp.Diff(wantKeys, gotKeys); diff != "" {
		t.Errorf("keys:\n%s", diff)
	}
	for _, key := range []string{"community|arabic_mmlu:abstract_algebra", "lighteval|xstory_cloze:ar"} {
		w := want.Get("config_tasks").(pytext.Object).Get(key).(pytext.Object)
		g := got.Get("config_tasks").(pytext.Object).Get(key).(pytext.Object)
		for _, f := range w {
			if !strings.HasSuffix(f.Key, "num_docs") {
				if diff := cmp.Diff(f.Value, g.Get(f.Key)); diff != "" {
					t.Errorf("%s %s:\n%s", key, f.Key, diff)
				}
			}
		}
	}
}

func without(list []string, prefix string) []string {
	var out []string
	for _, s := range list {
		if !strings.HasPrefix(s, prefix) {
			out = append(out, s)
		}
	}
	return out
}
