package lighteval

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"barka/internal/eval/record"
	"barka/internal/eval/tasks"
)

// TestSchemaNames: the files have the schema names of Barka's first version, independent of
// the types' present names.
func TestSchemaNames(t *testing.T) {
	for schema, row := range map[string]reflect.Type{
		accSchema:     reflect.TypeFor[detailRow[[]float64, accMetric, string]](),
		accNormSchema: reflect.TypeFor[detailRow[[]float64, accNormMetric, string]](),
		judgeSchema:   reflect.TypeFor[detailRow[string, judgeMetric, judgeSpecifics]](),
	} {
		if first := strings.ReplaceAll(row.Name(), row.PkgPath(), "barka/internal/stage/eval"); first != schema {
			t.Errorf("%s, was %s", schema, first)
		}
	}
	for metric, schema := range map[string]string{tasks.Acc: accSchema, tasks.AccNorm: accNormSchema, tasks.Judged: judgeSchema} {
		task := &record.Task{Task: tasks.Task{Metric: metric}, Questions: []record.Question{{Answer: new(record.Answer)}}}
		path := filepath.Join(t.TempDir(), "details.parquet")
		if err := writeDetails(path, task, nil, 0); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(path); err != nil || !bytes.Contains(data, []byte(schema)) {
			t.Errorf("%s: %v, the file lacks %s", metric, err, schema)
		}
	}
}
