// Package merge writes a base model with a LoRA adapter merged into it as a model of its own.
// It also combines adapters to one adapter, and models to one model.
package merge

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/checkpoint"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/mapped"
	"barka/internal/progress"
	"barka/internal/tensor"
)

// maxShard is the size of a merged model's files, transformers' default.
const maxShard = 5 << 30

// OriginFile is written last: a directory that holds it is finished.
const OriginFile = "merge.json"

// Origin says what a merged model, or a combined adapter, was made of.
type Origin struct {
	Base    string `json:"base_digest,omitempty"`
	Adapter string `json:"adapter_digest,omitempty"`
	// Combination, if not nil, is that of several adapters or models.
	Combination *Combination `json:"combination,omitempty"`
	// Files are the digests of the other files in the directory.
	Files map[string]string `json:"files,omitempty"`
	// Unchanged, if not nil, returns an error if the files that the digests identify have
	// changed.
	Unchanged func() error `json:"-"`
	// Verify, if not nil, is called with the directory of the whole model before
	// it is moved into place. If it returns an error, nothing of the merge stays.
	Verify func(dir string) error `json:"-"`
}

// Run writes base + adapter as a model of its own: W + s·B·A in float32, its rows at DoRA's
// magnitudes if there are some, rounded once to W's stored type. Everything else is copied.
// The directory appears whole or not at all. A model that was merged from the same two, as id
// says, is left as it is.
func Run(ctx context.Context, dev tensor.Device, base, adapter, out string, id Origin, reporter progress.Reporter) error {
	return place(out, map[string]string{"model": base, "adapter": adapter}, id, reporter, func() (job, error) {
		return openMerger(ctx, dev, base, adapter)
	})
}

// job makes the files of a directory.
type job interface {
	// bytes is the size of the tensors that write writes.
	bytes() int64
	// write writes the files, and calls done with the bytes of every tensor.
	write(dir string, done func(int64)) error
	// unchanged returns an error if a file that was read has changed.
	unchanged() error
	close()
}

// place makes a directory out of inputs by a job, whole or not at all, unless it stands there
// already.
func place(out string, inputs map[string]string, id Origin, reporter progress.Reporter, open func() (job, error)) error {
	w, err := durable.NewWork(out)
	if err != nil {
		return err
	}
	done, err := id.stands(out)
	if err != nil || done && !w.Pending() {
		return err
	}
	j, err := open()
	if err != nil {
		return err
	}
	defer j.close()
	if err := durable.CheckApart(out, inputs); err != nil {
		return err
	}
	if err := w.Lock(); err != nil {
		return err
	}
	defer w.Close()
	if err := ownMerge(w); err != nil {
		return err
	}
	// Another process may have finished it just now.
	if done, err = id.stands(out); err != nil || done {
		return errors.Join(err, w.Remove())
	}
	if err := w.Start(identity{"merge", id.Base, id.Adapter, id.Combination}, false); err != nil {
		return err
	}
	err = write(j, w.Final(), id, reporter)
	if err == nil && id.Verify != nil {
		err = id.Verify(w.Final())
	}
	if err == nil {
		err = w.Swap(nil)
	}
	return errors.Join(err, w.Remove())
}

// identity is the identity.json of a merge. An interrupted merge is not
// continued but starts again, since it takes minutes only.
type identity struct {
	Stage   string `json:"stage"`
	Base    string `json:"base_digest"`
	Adapter string `json:"adapter_digest"`

	Combination *Combination `json:"combination,omitempty"`
}

// ownMerge refuses unfinished work of another command.
func ownMerge(w *durable.Work) error {
	begun, err := w.Begun()
	if begun == nil || err != nil {
		return err
	}
	var id identity
	if json.Unmarshal(begun.Identity, &id) != nil || id.Stage != "merge" {
		return badinput.Errorf("merge: %s holds the unfinished work of another command; finish it, or name another --out", w.Dir())
	}
	return nil
}

// stands reports whether out is the whole model that id describes. It returns a
// badinput error if out is anything else.
func (id Origin) stands(out string) (bool, error) {
	entries, err := os.ReadDir(out)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return false, nil
	}
	var then Origin
	switch err := badinput.ReadJSON(filepath.Join(out, OriginFile), &then); {
	case errors.Is(err, fs.ErrNotExist):
		return false, badinput.Errorf("merge: %s exists and is no merged model; remove it, or name another --out", out)
	case err != nil:
		return false, badinput.Errorf("merge: %w", err)
	}
	if diff := then.settings().Differences(id.settings()); len(diff) > 0 {
		return false, fmt.Errorf("merge: %w", durable.Refusal(out, "made", diff, "remove it, or choose another --out"))
	}
	err = dataset.CheckSums(out, then.Files)
	if len(then.Files) == 0 { // merged before digests were recorded
		var f checkpoint.File
		if f, err = checkpoint.Open(out); err == nil { // only models were
			err = f.Close()
		}
	}
	if err != nil {
		return false, badinput.Errorf("merge: %w; or remove %s and merge again", err, out)
	}
	return true, nil
}

func (id Origin) settings() durable.Settings {
	s := durable.Settings{"base model": id.Base, "adapter": id.Adapter}
	if id.Combination != nil {
		id.Combination.add(s)
	}
	return s
}

// write makes the directory of a job, all of it durable.
func write(j job, dir string, id Origin, reporter progress.Reporter) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return badinput.Wrap(err)
	}
	reporter.Start("merge", j.bytes(), "B")
	err := mapped.Guard(func() error { return j.write(dir, func(n int64) { reporter.Add(n) }) })
	reporter.Done()
	changed := j.unchanged()
	if changed == nil && id.Unchanged != nil {
		changed = id.Unchanged()
	}
	if err = cmp.Or(changed, err); err != nil { // the change may be the cause
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		if e.Name() != OriginFile { // of a base that is a merged model itself
			names = append(names, e.Name())
		}
	}
	if id.Files, err = dataset.Sums(dir, names...); err != nil {
		return err
	}
	if err := atomicfile.WriteJSON(filepath.Join(dir, OriginFile), id); err != nil {
		return err
	}
	return atomicfile.SyncTree(dir)
}

// weights matches the weight files of a model and their indices, in all formats
// of the hub. They are not copied from the base.
var weights = regexp.MustCompile(`\.(safetensors|bin|pth?|h5|msgpack|ot|gguf|onnx)(\.index\.json)?$`)

// copyOthers copies all files of a model directory except its weights.
func copyOthers(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || weights.MatchString(name) {
			continue
		}
		path := filepath.Join(from, name)
		if err := copyFile(path, filepath.Join(to, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err // else a dangling link
		}
	}
	return nil
}

// copyFile copies a regular file of any size.
func copyFile(from, to string) error {
	f, err := badinput.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	return atomicfile.Write(to, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}
