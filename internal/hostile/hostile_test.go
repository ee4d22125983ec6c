package hostile_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"barka/internal/badinput"
	"barka/internal/benchdata"
	"barka/internal/chat"
	"barka/internal/checkpoint"
	"barka/internal/compare"
	"barka/internal/dataset"
	"barka/internal/dtype"
	"barka/internal/durable"
	"barka/internal/gguf"
	"barka/internal/hostile"
	"barka/internal/lora"
	"barka/internal/mediawiki"
	"barka/internal/model"
	_ "barka/internal/model/all"
	"barka/internal/parquet"
	"barka/internal/recipe"
	"barka/internal/tensor/cpu"
	"barka/internal/tokenizer"
	"barka/internal/torchfile"
	"barka/internal/wikitext"
)

// kind is a kind of file: a directory with a valid one, and what reads it.
type kind struct {
	name string
	dir  string
	file string // that is damaged, below dir
	read func(dir string) error
}

const root = "../.."

// copied is a copy of a directory of the repository.
func copied(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(filepath.Join(root, dir))); err != nil {
		t.Fatal(err)
	}
	return to
}

// holding is a directory with one file.
func holding(t *testing.T, name string, data []byte) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

func kinds(t *testing.T) []kind {
	t.Helper()
	var all []kind
	add := func(name, dir, file string, read func(dir string) error) {
		all = append(all, kind{name, dir, file, read})
	}
	one := func(name string, data []byte, read func(path string) error) {
		add(name, holding(t, name, data), name, func(dir string) error { return read(filepath.Join(dir, name)) })
	}
	dump, err := os.ReadFile(filepath.Join(root, "testdata/chain/data/pages.xml"))
	if err != nil {
		t.Fatal(err)
	}
	one("dump.xml", dump, readDump)
	one("dump.xml.bz2", decoded(t, dumpBZ2), readDump)
	one("dump.xml.xz", decoded(t, dumpXZ), readDump)
	one("dump.xml.gz", gzipped(dump), readDump)
	one("dump.xml.zst", zstandard(dump), readDump)

	rows := bytes.Repeat([]byte(`{"id":"1","dataset":"d","messages":[{"role":"user","content":"a \u0633"},`+
		`{"role":"assistant","content":"b"}],"seed":42,"segments":[{"message":0,"score":-0.5,"flags":["x"]}]}`+"\n"), 20)
	one("rows.jsonl", rows, readRows)
	one("rows.jsonl.gz", gzipped(rows), readRows)
	one("rows.jsonl.zst", zstandard(rows), readRows)
	own := filepath.Join(t.TempDir(), "rows.parquet")
	if err := pipelineParquet(own); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	one("rows.parquet", data, readRows)
	for _, name := range []string{"zstd", "snappy", "gzip", "brotli", "lz4", "delta", "v2", "legacy", "map"} {
		if data, err = os.ReadFile(filepath.Join(root, "internal/parquet/testdata", name+".parquet")); err != nil {
			t.Fatal(err)
		}
		one(name+".parquet", data, readParquet)
	}
	one("bench.csv.gz", gzipped([]byte("q,a,n\n\"x, \"\"y\"\"\",b,1\nسؤال,ج,2\n")), readBenchmark)
	one("bench.json", []byte(`[{"q":"a","n":[1,2.5,"x"],"o":{"a":null}},{"q":"b","n":[]}]`), readBenchmark)

	add("model.safetensors", copied(t, "testdata/models/llama-tied"), "model.safetensors", readModel)
	add("model.safetensors.index.json", copied(t, "testdata/models/gemma2-bf16"), "model.safetensors.index.json", readModel)
	for _, name := range []string{"gemma2", "gptneox", "llama", "m2m100", "mistral", "qwen2"} {
		add("config.json of "+name, copied(t, "testdata/models/"+name), "config.json", readModel)
	}
	add("generation_config.json", copied(t, "testdata/models/gemma2"), "generation_config.json", readModel)
	add("adapter_config.json", copied(t, "testdata/models/gemma2/adapter"), "adapter_config.json", func(dir string) error {
		_, err := lora.ReadConfig(dir)
		return err
	})
	addGGUF(t, add)
	for _, name := range []string{"layouts", "layouts-deflated", "layouts-dict"} {
		if data, err = os.ReadFile(filepath.Join(root, "testdata/torch", name+".bin")); err != nil {
			t.Fatal(err)
		}
		one(name+".bin", data, readTorch)
	}
	add("tokenizer.json of Gemma", copied(t, "testdata/chain/models/gemma2"), "tokenizer.json", readTokenizer)
	add("tokenizer.json of NLLB", copied(t, "testdata/chain/models/nllb"), "tokenizer.json", readTokenizer)
	add("tokenizer_config.json", copied(t, "testdata/chain/models/gemma2"), "tokenizer_config.json", readTokenizer)
	add("tokenizer.model", copied(t, "internal/tokenizer/testdata/layouts/slow-llama2"), "tokenizer.model", readTokenizer)
	add("recipe.yaml", copied(t, "testdata/chain"), "recipe.yaml", func(dir string) error {
		_, err := recipe.Load(filepath.Join(dir, "recipe.yaml"))
		return err
	})
	dataset := filepath.Join(t.TempDir(), "dataset")
	if err := writeDataset(dataset); err != nil {
		t.Fatal(err)
	}
	add("manifest.json", dataset, "manifest.json", readRows)
	add("results.json", evaluation(t), filepath.Join("details", "m", "results_"+stamp+".json"), readEvaluation)
	add("details.parquet", evaluation(t), filepath.Join("details", "m", stamp,
		"details_community|acva:Iraq|0_"+stamp+".parquet"), readEvaluation)
	return all
}

func gzipped(data []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(data)
	z.Close()
	return out.Bytes()
}

func zstandard(data []byte) []byte {
	z, _ := zstd.NewWriter(nil)
	return z.EncodeAll(data, nil)
}

func decoded(t *testing.T, text string) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readDump(path string) error {
	f, err := mediawiki.OpenDump(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := wikitext.New(wikitext.Options{})
	for p, err := range mediawiki.Pages(f, nil) {
		if err != nil {
			return badinput.Errorf("%s: %w", path, err) // as wiki says it
		}
		w.Parse(p.Title, p.Text)
	}
	return nil
}

func readRows(path string) error {
	for _, err := range dataset.Rows[dataset.Instruction](context.Background(), path) {
		if err != nil {
			return err
		}
	}
	return nil
}

func readParquet(path string) error {
	for _, err := range parquet.Read[map[string]any](path) {
		if err != nil {
			return err
		}
	}
	return nil
}

func readBenchmark(path string) error {
	_, err := benchdata.Read([]string{path})
	return err
}

func readModel(dir string) error {
	if _, err := model.ReadGeneration(dir); err != nil {
		return err
	}
	text, err := model.ReadConfig(dir)
	if err != nil {
		return err
	}
	o := model.Options{Device: cpu.New(1), DType: dtype.F32}
	if bytes.Contains(text, []byte("M2M100ForConditionalGeneration")) {
		_, err = model.OpenSeq2Seq(dir, o)
	} else {
		_, err = model.OpenDecoder(dir, o)
	}
	return err
}

func readTorch(path string) error {
	f, err := torchfile.Open(path)
	if err != nil {
		return err
	}
	return readTensors(f)
}

// readTensors reads every tensor of a checkpoint and closes it.
func readTensors(f checkpoint.File) error {
	defer f.Close()
	for _, name := range f.Names() {
		if _, err := f.Tensor(name); err != nil {
			return err
		}
	}
	return nil
}

func readTokenizer(dir string) error {
	t, err := tokenizer.Load(dir)
	if err != nil {
		return err
	}
	t.Decode(t.Encode("ab a\u0301<s> ▁\x00 1 كتاب ", true), false)
	if t.ChatTemplate() == "" {
		return nil
	}
	format, err := chat.For(t)
	if err != nil {
		return badinput.Errorf("%s: %w", dir, err) // the commands name the model
	}
	format.EndOfTurn()
	return nil
}

func instructions() []dataset.Instruction {
	var rows []dataset.Instruction
	for i := range 30 {
		rows = append(rows, dataset.Instruction{ID: fmt.Sprint(i), Dataset: "d",
			Messages: []chat.Message{{Role: "user", Content: "سؤال"}, {Role: "assistant", Content: strings.Repeat("x", i)}}})
	}
	return rows
}

func pipelineParquet(path string) error { return parquet.WriteFile(path, instructions()) }

func writeDataset(dir string) error {
	run, err := durable.Begin(dir, durable.Identity{Stage: "test", Version: 1, Options: struct{}{}}, false)
	if err != nil {
		return err
	}
	defer run.Close()
	w, err := durable.NewWriter[dataset.Instruction](run)
	if err != nil {
		return err
	}
	for _, row := range instructions() {
		if err := w.Write(row); err != nil {
			return err
		}
	}
	return run.Finish(durable.Final{Counts: map[string]int64{"in": 30}})
}

const stamp = "2024-07-04T21-22-05.321098"

// evaluation writes the details of one task, and the results.
func evaluation(t *testing.T) string {
	t.Helper()
	type detail struct {
		Choices     string `parquet:"choices"`
		Example     string `parquet:"example"`
		FullPrompt  string `parquet:"full_prompt"`
		GoldIndex   string `parquet:"gold_index"`
		Metrics     string `parquet:"metrics"`
		Predictions string `parquet:"predictions"`
	}
	row := detail{"['صح', 'خطأ']", "السؤال", "السؤال", "[0]", "{'acc_norm': 1}", "[(-1.5, True), (-7.25, False)]"}
	dir := holding(t, filepath.Join("details", "m", "results_"+stamp+".json"),
		[]byte(`{"config_general": {"lighteval_sha": "?", "num_fewshot_seeds": 1, "model_name": "m", `+
			`"model_dtype": "float16", "max_samples": 10, "job_id": null}, "results": `+
			`{"community|acva:Iraq|0": {"acc_norm": 0.5, "acc_norm_stderr": 0.1}}, "versions": {}}`))
	details := filepath.Join(dir, "details", "m", stamp)
	if err := os.Mkdir(details, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := parquet.WriteFile(filepath.Join(details, "details_community|acva:Iraq|0_"+stamp+".parquet"),
		[]detail{row, row, row}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func readEvaluation(dir string) error {
	run, err := compare.Open(dir)
	if err == nil {
		_, err = run.Answers()
	}
	return err
}

// number is a setting of the environment.
func number(name string, usual int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return usual
}

// TestDamagedFiles reads mutations of valid files of every kind: a sample, or
// as many as BARKA_HOSTILE_FILES says (.ci/long). BARKA_HOSTILE_SEED gives
// others.
func TestDamagedFiles(t *testing.T) {
	all := kinds(t)
	var tally hostile.Tally
	rng := rand.New(rand.NewPCG(uint64(number("BARKA_HOSTILE_SEED", 1)), 0))
	for i := range number("BARKA_HOSTILE_FILES", 4*len(all)) {
		k := all[i%len(all)]
		path := filepath.Join(k.dir, k.file)
		valid, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if i < len(all) {
			if err := k.read(k.dir); err != nil {
				t.Fatalf("%s: the valid file is refused: %v", k.name, err)
			}
		}
		damaged := hostile.Mutate(rng, valid)
		if err := os.WriteFile(path, damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		before := len(tally.Problems)
		tally.Read(fmt.Sprintf("%s, file %d", k.name, i), path, func() error { return k.read(k.dir) })
		if len(tally.Problems) > before {
			keep(t, k.file, i, damaged)
		}
		if err := os.WriteFile(path, valid, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d damaged files of %d kinds: %s", number("BARKA_HOSTILE_FILES", 4*len(all)), len(all), &tally)
	for _, p := range tally.Problems {
		t.Error(p)
	}
}

// keep saves a file that made trouble where BARKA_HOSTILE_KEEP says.
func keep(t *testing.T, file string, i int, data []byte) {
	dir := os.Getenv("BARKA_HOSTILE_KEEP")
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%s", i, filepath.Base(file))), data, 0o666); err != nil {
		t.Error(err)
	}
}

// The same dump in two compressions that Go writes none of, in base64.
const (
	dumpBZ2 = "QlpoOTFBWSZTWS59v7MAAHJfgAAQWYPxPz9iFAo/793uQAHc6oOgwAA0AAZNAAAGgI0qab1TRsoP1IMhgjQ0Gg0aYGmkp6mT1NqG" +
		"mg0NNAAAPUyAbUphMpNlMxDRTTxR6nqPFPKeo2nqntT1JGcmfBdgRgYm/geDoYosOlJAoMLGS/nY/Zfn9VLZ7ON+uaOprM6MhHYn" +
		"ItM3U8G5O83Z+C0u/C92SKUKCcoJ1oi1OmBBwghciK00VvlRSgFd7e7AeDpS9MiWrZ78+kRIsRX+vSxvycD0HlWihVCpU1Ae5OSg" +
		"zKxKTZblWNqo0BhEZuM0pB9jsIBWJ3/IqPh4xxOikxrS8nN5zPsLyMk4wvSXjx2P8uRuJF3Xatx2OAom+c0Kc4kEu+QxkO7tcuL0" +
		"8ZOc17DBxCl9KfBL4jSPR3rejG0rRekqcwXo5b5CtLhZRaxf+eVXBTeaUeR6Vgn6xaleaNr4i+5Gk0IYrSsvtcltGWTKG21NKlNB" +
		"cSJ7PUFtMBVH0mFJXbaVA11AmE0nF3ooYmITB/ATgNUMzCDSElaDJDI8JNuiiU2Z+DERoDbLzNOd5oGGKoCmlnNNakNqoVCgKkiq" +
		"jFOyyejfQZlklQ939I0RVAaCRR0O5AYoGMw4xORgfIu5IpwoSBc+39mA"
	dumpXZ = "/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4AOlAZNdAB4bSKZbClpd31fYWB7hX3G7wC29v1p8orHHqrjQ9Sb9CTNsBR7fccbFvcAE" +
		"OrYpxChpUZ197HYqoTpD8D34cP0JzbkpBwyyAR09Tu6XjeqVeGKMJ0VFuPyy3ktufQjRYBX3r/O3KJLxCIUvcEzPj6QI/M3r4PmX" +
		"kuZsBW3nJBy7LJ3k+As2Z0V2RLAbe/YH6OcBbJloXBrOjQGrE1YwW4xLZ7F1wbzYl35WOeruw/8sU2oFjU/kRtmg45JdizyRJaI0" +
		"fCf4kloMrk/oKVhbAZurF77HakOWFF+udi0SjKUrfcbN02SIRvoF1gFwVeLOB2QuK5/6ERIvu6ClUMor59qKZmR1CYDwWa18mpxm" +
		"YX6kuwVGdWInMehgqfBsmyDi2d9Fyz+agf8lKmJw9UTQsobbeJVwaYKFcPDbxtztMIUlfSc7658lAtRauJbSkR8THgJcccPlPWjw" +
		"O/KXIUX+79qzFlntsTHjqKYAPZxzMNQVFEej8Nhucroyq7AkCUmRx6pVjDKodqUBG+dnX9TDcCcBZmQAAOhSUrPlmNPTAAGvA6YH" +
		"AABqXfABscRn+wIAAAAABFla"
)

// addGGUF adds a GGUF file as the source of a model directory, and as its
// weights.
func addGGUF(t *testing.T, add func(name, dir, file string, read func(dir string) error)) {
	t.Helper()
	dir := copied(t, "testdata/gguf")
	cache := t.TempDir()
	add("types.gguf", dir, "types.gguf", func(dir string) error {
		_, err := gguf.Directory(filepath.Join(dir, "types.gguf"), cache)
		return err
	})
	add("weights of types.gguf", dir, "types.gguf", func(dir string) error {
		f, err := gguf.Open(filepath.Join(dir, "types.gguf"))
		if err != nil {
			return err
		}
		return readTensors(f)
	})
}
