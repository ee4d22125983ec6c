package benchdata

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"barka/internal/badinput"
	"barka/internal/eval/tasks"
	"barka/internal/progress"
)

const (
	csvRow    = "\"سؤال \"\"أول\"\"\r\nسطر، ثان\",ا,ب,ج,د,B\n"
	examsRow  = `{"id": "Biology-1", "question": "س", "A": "ا", "B": "ب", "C": "ج", "D": "د", "answer": "D"}` + "\n"
	acvaFile  = "ArabicCulture/difficulty-easy-TF_all.jsonl"
	examsFile = "EXAMS_Arabic/exam_test.jsonl"
	mmluFile  = "MMLUArabic/test/anatomy_test.csv"
)

// aceGPT writes files in AceGPT's layout: a row of each MMLU subject and of
// EXAMS, seven of two ACVA subjects.
func aceGPT(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "AceGPT")
	put := func(file, text string) {
		path := filepath.Join(dir, "eval/benchmark_eval/benchmarks", file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for subject := range tasks.MMLUSubjects {
		for _, split := range []string{"dev", "test"} {
			put("MMLUArabic/"+split+"/"+subject+"_"+split+".csv", csvRow)
		}
	}
	put("EXAMS_Arabic/exam_dev.jsonl", examsRow)
	put(examsFile, examsRow)
	var acva strings.Builder
	for i := range 14 {
		fmt.Fprintf(&acva, `{"id": "%s-%d", "question": "عبارة %d", "answer": "صح"}`+"\n", []string{"Iraq", "daily life"}[i%2], i/2, i)
	}
	put(acvaFile, acva.String())
	return dir
}

// notes keeps what a stage notes.
type notes struct {
	progress.Reporter
	all []string
}

func (n *notes) Note(s string) { n.all = append(n.all, s) }

func TestConvertAceGPT(t *testing.T) {
	dst := t.TempDir()
	n := &notes{Reporter: progress.Silent}
	splits, err := ConvertAceGPT(t.Context(), aceGPT(t), dst, n)
	if err != nil || splits != 2*57+2+2*2 {
		t.Fatalf("%d splits, %v", splits, err)
	}
	store, err := Open(dst)
	if err != nil {
		t.Fatal(err)
	}
	rows := func(repo, subset, split string) [][]any {
		t.Helper()
		files, err := store.Locate(repo, subset, split)
		if err != nil {
			t.Fatal(err)
		}
		table, err := Read(files)
		if err != nil {
			t.Fatal(err)
		}
		return table.Rows
	}
	if got, want := fmt.Sprintf("%q", rows("OALL/Arabic_MMLU", "anatomy", "test")),
		`[["" "سؤال \"أول\"\r\nسطر، ثان" "ا" "ب" "ج" "د" "B" "`+tasks.MMLUSubjects["anatomy"]+`"]]`; got != want {
		t.Errorf("MMLU: %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(rows("OALL/Arabic_EXAMS", "default", "test")),
		"[[Biology-1 س ا ب ج د D "+tasks.ExamsSubjects["Biology"]+"]]"; got != want {
		t.Errorf("EXAMS: %s, want %s", got, want)
	}
	if test, held := rows("OALL/ACVA", "daily_life", "test"),
		rows("OALL/ACVA", "daily_life", "validation"); len(test) != 2 || len(held) != 5 {
		t.Errorf("ACVA: %d rows and %d held back, want 2 and 5", len(test), len(held))
	}
	if want := "community|acva:Iraq has 2 questions, the published set 85"; len(n.all) != 57+1+2 ||
		!strings.Contains(strings.Join(n.all, "\n"), want) {
		t.Errorf("%d notes, want one of every task and %q: %q", len(n.all), want, n.all)
	}
}

func TestConvertBadFiles(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		want       string
	}{
		"no file":             {mmluFile, "", mmluFile},
		"a field too few":     {mmluFile, csvRow + "س,ا,ب,ج,A\n", "row 2: 5 fields, expected question, A, B, C, D, answer"},
		"a quote left open":   {mmluFile, csvRow + "\"س,ا,ب,ج,د,A\n", "record 2: a quoted field is not closed"},
		"csv not UTF-8":       {mmluFile, "\xd8,ا,ب,ج,د,A\n", "not UTF-8"},
		"no such subject":     {examsFile, strings.ReplaceAll(examsRow, "Biology", "Alchemy"), `id "Alchemy-1" names no known subject`},
		"cut line":            {examsFile, examsRow + examsRow[:20], "line 2"},
		"lines not UTF-8":     {examsFile, strings.ReplaceAll(examsRow, "س", "\xff"), "not UTF-8"},
		"no lines":            {acvaFile, "\n\n", "no rows"},
		"way out of the tree": {acvaFile, `{"id": "../../../x-1", "question": "س", "answer": "صح"}`, `id "../../../x-1" names no subject`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src, dst := aceGPT(t), filepath.Join(t.TempDir(), "below", "hub")
			path := filepath.Join(src, "eval/benchmark_eval/benchmarks", c.file)
			if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			if c.text == "" {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			_, err := ConvertAceGPT(t.Context(), src, dst, nil)
			if !badinput.Is(err) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want bad input with the file and %q", err, c.want)
			}
		})
	}
	if _, err := ConvertAceGPT(t.Context(), t.TempDir(), t.TempDir(), nil); !badinput.Is(err) ||
		!strings.Contains(err.Error(), "expected a checkout of") {
		t.Errorf("an empty directory: %v", err)
	}
}
