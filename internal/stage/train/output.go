package train

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/checkpoint"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/lora"
	"barka/internal/tensorboard"
)

const (
	version      = 2
	changed      = "conversations are cut between turns, and micro-batches are filled best-fit"
	identityFile = "train.json"
	metricsFile  = "metrics.jsonl"
	samplesFile  = "samples.jsonl"
	// bestDir holds the adapter with the smallest validation loss.
	bestDir = "best"
)

// known reports whether a file in the output directory is one that training
// writes there, or wrote there in earlier versions.
func known(name string) bool {
	if rest, ok := strings.CutPrefix(name, checkpointDir+"/"); ok {
		return isCheckpoint(rest)
	}
	name = strings.TrimPrefix(name, bestDir+"/")
	return slices.Contains([]string{StateFile, identityFile, metricsFile, samplesFile, lora.WeightsFile, lora.ConfigFile, tensorboard.Name},
		atomicfile.Target(name))
}

// standing is a run whose output stands in its place.
type standing struct {
	identity
	state *State // nil: an earlier version, which worked in place, did not finish it
}

// readStanding returns what stands at out, nil if nothing does.
func readStanding(out string) (*standing, error) {
	entries, err := os.ReadDir(out)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, badinput.Errorf("output %s: %w", out, err)
	}
	var s standing
	path := filepath.Join(out, identityFile)
	switch err := badinput.ReadJSON(path, &s.identity); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, badinput.Errorf("output %s exists and holds no training: choose another --out", out)
	case err != nil:
		return nil, badinput.Errorf("%w; move %s away, or choose another --out", err, out)
	}
	s.state, err = readState(out)
	return &s, err
}

// readState reads the summary of a finished run; nil if there is none.
func readState(dir string) (*State, error) {
	var s State
	err := badinput.ReadJSON(filepath.Join(dir, StateFile), &s)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, badinput.Errorf("%w; --restart trains again", err)
	}
	return &s, nil
}

// accept returns the summary of a run that is finished, whole, and made as id
// says.
func (s *standing) accept(out string, id identity) (*State, error) {
	if s.state == nil {
		return nil, badinput.Errorf("%s holds a training that an earlier version of barka did not finish; "+
			"--restart trains again, or choose another --out", out)
	}
	if s.Chat == "" {
		s.Chat = id.Chat // finished before templates were recorded
	}
	if err := refuse(out, "made", s.identity, id); err != nil {
		return nil, err
	}
	err := dataset.CheckSums(out, s.state.Files)
	if len(s.state.Files) == 0 { // finished before digests were recorded
		var f checkpoint.File
		if f, err = checkpoint.OpenAdapter(out); err == nil {
			err = f.Close()
		}
	}
	if err != nil {
		return nil, badinput.Errorf("%w (or give --restart)", err)
	}
	// Earlier versions left others when they were killed. What cannot be removed does no harm.
	if durable.Foreign(filepath.Join(out, checkpointDir), isCheckpoint) == nil {
		names, _ := listCheckpoints(out)
		for _, name := range names {
			if name != s.checkpoint(out) {
				_ = os.RemoveAll(name)
			}
		}
	}
	return s.state, nil
}

// checkpoint returns the checkpoint of the finished run's last step, or "" if it is gone.
func (s *standing) checkpoint(out string) string {
	names, _ := listCheckpoints(out)
	if n := len(names); n > 0 && filepath.Base(names[n-1]) == checkpointName(s.state.Steps) {
		return names[n-1]
	}
	return ""
}

// begin locks the output directory and decides between done (a summary is returned), continued, refused
// and new. The identity of a run that began on another device becomes that run's.
func begin(out string, own *identity, restart bool) (w *durable.Work, done *State, err error) {
	id := *own
	defer func() { *own = id }()
	if w, err = durable.NewWork(out); err != nil {
		return nil, nil, err
	}
	there, err := readStanding(out)
	if err != nil {
		return nil, nil, err
	}
	if there != nil && !restart && !w.Pending() && !there.extendedBy(id) {
		done, err = there.accept(out, id) // needs no write access
		return w, done, err
	}
	if err := w.Lock(); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil || done != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	// Another process may have finished it just now.
	if there, err = readStanding(out); err != nil {
		return w, nil, err
	}
	begun, then, err := readBegun(w)
	if err != nil {
		return w, nil, err
	}
	if begun != nil && there != nil && len(there.differences(then)) == 0 {
		whole, err := badinput.Exists(w.Final())
		if err != nil {
			return w, nil, err
		}
		if !whole {
			begun = nil // it is the work that stands there: only tidying up was interrupted
		}
	}
	if id.anyDevice && !restart {
		id = id.afterAny(begun, then, there)
	}
	switch {
	case restart:
		err = start(w, out, id, there)
	case begun == nil && there != nil && there.extendedBy(id) && there.checkpoint(out) != "":
		err = start(w, out, id, there) // resume takes what the finished run left
	case begun != nil && (there == nil || begun.Replace) && len(then.differences(id)) == 0:
		if done, err = complete(w); err == nil && done == nil && len(id.Devices) > len(then.Devices) {
			err = w.Rename(begun, id)
		}
	case begun != nil && there == nil:
		err = refuse(w.Dir(), "begun", then, id)
	case there == nil:
		err = start(w, out, id, nil)
	default:
		if done, err = there.accept(out, id); err == nil && begun == nil {
			err = w.Remove()
		}
	}
	return w, done, err
}

func readBegun(w *durable.Work) (*durable.Begun, identity, error) {
	var id identity
	b, err := w.Begun()
	if err == nil && b != nil {
		if err = json.Unmarshal(b.Identity, &id); err != nil {
			err = badinput.Errorf("%s: its identity: %w; remove the directory to begin again", w.Dir(), err)
		}
	}
	return b, id, err
}

// start begins a new run. What stands at out stays until the new adapter is
// whole.
func start(w *durable.Work, out string, id identity, there *standing) error {
	if there != nil {
		if err := durable.Foreign(out, known); err != nil {
			return err
		}
	}
	if err := w.Start(id, there != nil); err != nil {
		return err
	}
	if err := os.MkdirAll(w.Final(), 0o755); err != nil {
		return err
	}
	return atomicfile.WriteJSON(filepath.Join(w.Final(), identityFile), id)
}

// complete puts a result in its place that is whole already, and returns its
// summary; nil if the run has to be continued.
func complete(w *durable.Work) (*State, error) {
	s, err := readState(w.Final())
	if s == nil || err != nil {
		// A process killed at the beginning may not have come to this.
		return nil, errors.Join(err, os.MkdirAll(w.Final(), 0o755))
	}
	if err := dataset.CheckSums(w.Final(), s.Files); err != nil {
		return nil, badinput.Errorf("%w (or give --restart)", err)
	}
	return s, place(w)
}

// place makes Final durable and puts it in its place, with the last checkpoint, from which
// the run can be extended.
func place(w *durable.Work) error {
	if last := lastCheckpoint(w.Dir()); last != "" && lastCheckpoint(w.Final()) == "" {
		dir := filepath.Join(w.Final(), checkpointDir)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.Rename(last, filepath.Join(dir, filepath.Base(last))); err != nil {
			return err
		}
	}
	if err := atomicfile.SyncTree(w.Final()); err != nil {
		return err
	}
	if err := w.Swap(known); err != nil {
		return err
	}
	return w.Remove()
}

// finish writes the adapter, then the summary that marks the run finished.
func (t *trainer) finish(id identity) (*State, error) {
	final := t.work.Final()
	if err := errors.Join(t.save(), t.syncRecords(), t.board.Close()); err != nil {
		return nil, err
	}
	if err := t.adapter.Save(t.dev, final); err != nil {
		return nil, err
	}
	if err := atomicfile.WriteJSON(filepath.Join(final, identityFile), id); err != nil {
		return nil, err
	}
	s := &State{
		Steps: t.step, Epochs: t.o.Epochs, FirstLoss: t.first, FinalLoss: t.last, BestVal: t.bestVal, BestStep: t.bestStep,
		Stopped: t.step < t.total, Setbacks: t.setbacks,
		Data: t.data, Seed: t.env.Seed,
		Options: id.Options, ModelDigest: id.Model, DataDigest: id.Data, TrainedTotal: t.trained,
	}
	for _, p := range t.adapter.Params() {
		s.Parameters += int64(p.Value.Len())
	}
	var err error
	files := []string{lora.WeightsFile, lora.ConfigFile, metricsFile}
	if t.samples.size > 0 {
		files = append(files, samplesFile)
	}
	if s.Files, err = dataset.Sums(final, files...); err != nil {
		return nil, err
	}
	if err := atomicfile.WriteJSON(filepath.Join(final, StateFile), s); err != nil {
		return nil, err
	}
	return s, place(t.work)
}
