package convert

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/progress"
	"barka/internal/testfiles"
)

// TestMain lets a test start this program as a child that converts and can be killed.
func TestMain(m *testing.M) {
	if in := os.Getenv("BARKA_CONVERT_TEST_IN"); in != "" {
		if err := convertCauses(context.Background(), in, os.Getenv("BARKA_CONVERT_TEST_OUT")); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func convertCauses(ctx context.Context, in, out string) error {
	o := Defaults()
	o.Benchmark, o.FewShot = "copa", 0.25
	_, err := Run(ctx, o, nil, durable.Env{Out: out, In: map[string]string{"data": in}, Seed: 3, Progress: progress.Silent})
	return err
}

// TestConvertSurvivesKills kills the stage at random moments and resumes it each time. The
// rows are of several blocks, the last of them not full, and some of them repeat earlier ones.
func TestConvertSurvivesKills(t *testing.T) {
	rows := causeRows(4*blockRows + 100)
	for i := blockRows; i < len(rows); i += 37 {
		rows[i] = rows[i-blockRows/2]
	}
	in, whole := jsonRows(t, rows...), filepath.Join(t.TempDir(), "whole")
	if err := convertCauses(t.Context(), in, whole); err != nil {
		t.Fatal(err)
	}
	if m, err := dataset.ReadManifest(whole); err != nil || m.Counts["rejected_duplicate"] < 50 || m.Counts["few_shot"] < 500 {
		t.Fatalf("%v, %v", m.Counts, err)
	}
	want := testfiles.Tree(t, whole)
	testfiles.Kills(t, func(out string) []string {
		return []string{"BARKA_CONVERT_TEST_IN=" + in, "BARKA_CONVERT_TEST_OUT=" + out}
	},
		func(what, out string) {
			testfiles.Same(t, what, testfiles.Tree(t, out), want)
			if _, err := os.Lstat(out + dataset.PartialSuffix); err == nil {
				t.Errorf("%s is still there", out+dataset.PartialSuffix)
			}
		})
}
