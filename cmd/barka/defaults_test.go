package main

import (
	"reflect"
	"testing"

	"barka/internal/audit"
	"barka/internal/stage/convert"
	"barka/internal/stage/decontaminate"
	"barka/internal/stage/filter"
	"barka/internal/stage/mix"
	"barka/internal/stage/synth"
	"barka/internal/stage/train"
	"barka/internal/stage/translate"
	"barka/internal/stage/wiki"
)

// TestDefaults compares the defaults of flags with those of recipes: a verb with only its
// required flags runs with the stage's Defaults.
func TestDefaults(t *testing.T) {
	for _, c := range []struct {
		args    []string
		options func(*commands) (any, error)
		want    any
	}{
		{[]string{"wiki", "--out=x"},
			func(c *commands) (any, error) { return c.Wiki.options(), nil }, wiki.Defaults()},
		{[]string{"synth", "--in=x", "--out=x", "--model=x"},
			func(c *commands) (any, error) { return c.Synth.options(), nil }, synth.Defaults()},
		{[]string{"convert", "boolq", "--data=x", "--out=x"},
			func(c *commands) (any, error) { c.Convert.Benchmark = ""; return c.Convert.options(), nil }, convert.Defaults()},
		{[]string{"translate", "--model=x"},
			func(c *commands) (any, error) { return c.Translate.options(&app{}) }, translate.Defaults()},
		{[]string{"filter", "--in=x", "--out=x"},
			func(c *commands) (any, error) { return c.Filter.options(), nil }, filter.Defaults()},
		{[]string{"decontaminate", "--in=x", "--out=x"},
			func(c *commands) (any, error) { return c.Clean.options(), nil }, decontaminate.Defaults()},
		{[]string{"mix", "--in=x=x", "--out=x"},
			func(c *commands) (any, error) { return c.Mix.options(), nil }, mix.Defaults()},
		{[]string{"train", "--model=x", "--data=x", "--out=x"},
			func(c *commands) (any, error) { return c.Train.options(), nil }, train.Defaults()},
		{[]string{"audit"},
			func(c *commands) (any, error) { return c.Audit.options(), nil }, audit.Defaults()},
	} {
		var parsed commands
		parser, err := newParser(&parsed)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(c.args); err != nil {
			t.Fatalf("%v: %v", c.args, err)
		}
		options, err := c.options(&parsed)
		if err != nil {
			t.Fatalf("%v: %v", c.args, err)
		}
		got, want := reflect.ValueOf(options), reflect.ValueOf(c.want)
		for i := range want.NumField() {
			if !want.Type().Field(i).IsExported() {
				continue // what a run reads, not a setting
			}
			g, w := got.Field(i), want.Field(i)
			if !reflect.DeepEqual(g.Interface(), w.Interface()) && !(empty(g) && empty(w)) {
				t.Errorf("%s: %s is %v by the flags, %v by Defaults", c.args[0], want.Type().Field(i).Name, g, w)
			}
		}
	}
}

// empty reports whether v is an empty list or map, which counts as a missing setting.
func empty(v reflect.Value) bool {
	return (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
}
