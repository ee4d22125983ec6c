package durable

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"barka/internal/chat"
	"barka/internal/dataset"
)

// failing runs a Map in which the records of fail fail. The record of leaves fails too, but
// has a result row. It returns the records that were worked on, in order.
func failing(t *testing.T, r *Run, n int, retry bool, limits Failures, fail []string, leaves string) ([]string, error) {
	t.Helper()
	var worked []string
	o := MapOptions[dataset.Passage]{Key: func(p dataset.Passage) string { return p.ID }, Failures: limits,
		Retry: retry, Rejected: reflect.TypeFor[chat.Message]()}
	err := Map(context.Background(), r, testPassages(n), o, func(_ context.Context, p dataset.Passage) ([]dataset.Passage, error) {
		worked = append(worked, p.ID)
		why := &dataset.Reject{Reason: "refused", Failed: true, Row: chat.Message{Role: "user", Content: p.ID}}
		switch {
		case slices.Contains(fail, p.ID):
			return nil, why
		case p.ID == leaves:
			return []dataset.Passage{{ID: p.ID, Title: "left"}}, why
		}
		return []dataset.Passage{p}, nil
	})
	return worked, err
}

func ids(t *testing.T, n int) (all []string) {
	t.Helper()
	for p, err := range testPassages(n) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p.ID)
	}
	return all
}

// TestFailures: failures at the end of a stopped run, without a success after them, have no
// result. Earlier failures are kept, and are retried only on request.
func TestFailures(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	all := ids(t, 12)
	begin := func() *Run {
		r, err := Begin(out, Identity{Stage: "test", Version: 1}, false)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := begin()
	bad := append([]string{all[1], all[2]}, all[5:]...)
	worked, err := failing(t, r, 12, false, Failures{InARow: 4}, bad, all[4])
	var many *TooManyFailures
	// all[4] fails too, although it has a result row.
	if !errors.As(err, &many) || many.InARow != 4 || !slices.Equal(worked, all[:8]) {
		t.Fatalf("%v after %v", err, worked)
	}
	r.Close()

	r = begin()
	if worked, err = failing(t, r, 12, false, Failures{}, all[6:7], all[4]); err != nil || !slices.Equal(worked, all[4:]) {
		t.Fatalf("%v after %v, want all from the first of the row on", err, worked)
	}
	r.Close()

	r = begin()
	defer r.Close()
	if worked, err = failing(t, r, 12, true, Failures{}, all[2:3], ""); err != nil ||
		!slices.Equal(worked, []string{all[1], all[2], all[4], all[6]}) {
		t.Fatalf("%v after %v, want those that failed", err, worked)
	}
	var rejected []string
	for m, err := range Rejects[chat.Message](r) {
		if err != nil {
			t.Fatal(err)
		}
		rejected = append(rejected, m.Content)
	}
	if err := r.Finish(Final{}); err != nil {
		t.Fatal(err)
	}
	if want := map[string]int64{"in": 12, "out": 11, "rejected": 1,
		"rejected_refused": 1}; !maps.Equal(r.Manifest().Counts, want) || !slices.Equal(rejected, all[2:3]) {
		t.Errorf("counts %v, rejected %v", r.Manifest().Counts, rejected)
	}
}

// TestFailureShare: the share is that of this run's records, from the 100th on.
func TestFailureShare(t *testing.T) {
	r, err := Begin(filepath.Join(t.TempDir(), "out"), Identity{Stage: "test", Version: 1}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all := ids(t, 120)
	worked, err := failing(t, r, 120, false, Failures{Share: 0.1}, all[10:21], "")
	var many *TooManyFailures
	if !errors.As(err, &many) || many.InARow != 0 || many.Failed != 11 || len(worked) != 100 {
		t.Errorf("%v after %d records", err, len(worked))
	}
}
