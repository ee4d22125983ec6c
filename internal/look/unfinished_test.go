package look

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
)

type made struct {
	ID   string `json:"id" parquet:"id"`
	Text string `json:"text" parquet:"text"`
}

// TestUnfinished: what an interrupted run has done can be read, the rejected rows with their
// reasons, up to a torn line, and the run goes on afterwards.
func TestUnfinished(t *testing.T) {
	out := filepath.Join(t.TempDir(), "a[1]*", "rows")
	work := func(stop int) error {
		run, err := durable.Begin(out, durable.Identity{Stage: "synth", Version: 1}, false)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		in := func(yield func(made, error) bool) {
			for i := range 10 {
				if !yield(made{ID: fmt.Sprint(i)}, nil) {
					return
				}
			}
		}
		n := 0
		o := durable.MapOptions[made]{Key: func(r made) string { return r.ID }, Workers: 1, Total: 10}
		_, err = run.Execute(func(run *durable.Run) (durable.Final, error) {
			return durable.Final{}, durable.Map(ctx, run, in, o, func(_ context.Context, r made) ([]made, error) {
				if n++; n == stop {
					cancel()
					return nil, ctx.Err()
				}
				if r.ID == "2" {
					return nil, &dataset.Reject{Reason: "bad", Detail: "it is 2"}
				}
				return []made{{r.ID, "one"}, {r.ID, "two"}}, nil
			})
		})
		return err
	}
	if err := work(5); err == nil {
		t.Fatal("not interrupted")
	}
	partial := out + dataset.PartialSuffix
	journal := filepath.Join(partial, "rows-0.jsonl")
	f, err := os.OpenFile(journal, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString("0123456789abcdef {\"k\":\"9\",\"v")
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for row, err := range Rows(t.Context(), partial) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(row.Columns["id"], row.Columns["text"]))
	}
	if want := []string{"0one", "0two", "1one", "1two", "3one", "3two"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	n := 0
	for row, err := range (Selection{Reasons: []string{"bad"}}).Read(t.Context(), filepath.Join(partial, dataset.RejectedDir)) {
		if n++; err != nil || row.Columns["id"] != "2" || row.Columns["detail"] != "it is 2" {
			t.Errorf("%v, %v", row.Columns, err)
		}
	}
	if n != 1 {
		t.Errorf("%d rejected rows", n)
	}
	if err := work(-1); err != nil {
		t.Errorf("the run does not go on: %v", err)
	}
	if n, err := dataset.Count(out); n != 18 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
}

// TestNothingToReadYet: a stage that writes at its end has no rows before, and says so.
func TestNothingToReadYet(t *testing.T) {
	out := filepath.Join(t.TempDir(), "clean")
	run, err := durable.Begin(out, durable.Identity{Stage: "filter", Version: 1}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	for _, err := range Rows(t.Context(), out+dataset.PartialSuffix) {
		if !badinput.Is(err) || !strings.Contains(err.Error(), "filter writes its rows at its end") {
			t.Error(err)
		}
	}
}
