package durable

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"barka/internal/dataset"

	"github.com/google/go-cmp/cmp"
)

// peerScript prints how pyarrow and Hugging Face datasets read a dataset directory.
// datasets reads with its own Parquet builder, with verification.
const peerScript = `
import json, sys, glob, pyarrow.parquet as pq, datasets
datasets.disable_progress_bars()
out = sys.argv[1]
files = sorted(glob.glob(out + "/part-*.parquet"))
arrow = [row for f in files for row in pq.read_table(f).to_pylist()]
ds = datasets.load_dataset("parquet", data_files={"train": files}, split="train", cache_dir=sys.argv[2])
rejected = pq.read_table(out + "/rejected").to_pylist()
json.dump({"arrow": arrow, "datasets": [dict(r) for r in ds], "features": str(ds.features["messages"]),
           "rejected": rejected, "created_by": pq.ParquetFile(files[0]).metadata.created_by,
           "codec": pq.ParquetFile(files[0]).metadata.row_group(0).column(0).compression}, sys.stdout)
`

// TestPeersRead needs BARKA_VERIFY=1 and a python3 (or $BARKA_PYTHON) with
// pyarrow and datasets.
func TestPeersRead(t *testing.T) {
	if os.Getenv("BARKA_VERIFY") != "1" {
		t.Skip("BARKA_VERIFY=1 compares with pyarrow and datasets")
	}
	python := os.Getenv("BARKA_PYTHON")
	if python == "" {
		python = "python3"
	}
	out := filepath.Join(t.TempDir(), "out")
	if err := testStage(context.Background(), out, 0, 2); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", peerScript, out, t.TempDir())
	cmd.Env = append(os.Environ(), "HF_HUB_OFFLINE=1", "HF_DATASETS_OFFLINE=1")
	cmd.Stderr = os.Stderr
	data, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	type rejected struct {
		dataset.Passage
		Reason, Detail string
	}
	var got struct {
		Arrow, Datasets             []dataset.Instruction
		Features, Codec, Created_by string
		Rejected                    []rejected
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	var want []dataset.Instruction
	for row, err := range dataset.Rows[dataset.Instruction](context.Background(), out) {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, row)
	}
	if d := cmp.Diff(want, got.Arrow); d != "" {
		t.Errorf("pyarrow: %s", d)
	}
	if d := cmp.Diff(want, got.Datasets); d != "" {
		t.Errorf("datasets: %s", d)
	}
	t.Logf("%d rows, %d rejected; messages: %s; codec %s; %s", len(want), len(got.Rejected), got.Features, got.Codec, got.Created_by)
	if len(want) < 100 || len(got.Rejected) < 20 || got.Rejected[0].Reason == "" || got.Codec != "ZSTD" {
		t.Error("rows are missing, or not as they should be")
	}
}
