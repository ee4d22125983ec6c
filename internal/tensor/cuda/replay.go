//go:build cuda && linux

package cuda

import (
	"barka/internal/cuda"
	"barka/internal/tensor"
)

const (
	mostReplayed = 64  // tokens of a pass whose operations are recorded
	mostGraphs   = 256 // that are kept at once
)

// replays are the recorded operations of decoding. A step has some hundred launches, which take the
// driver longer than the GPU; as one graph they do not.
//
// What a graph was recorded with must be the same when it runs again. The lists of a pass therefore
// lie in a range of their own, those of variable length last. The tensors of the recorded operations
// lie in a second one, in which every recording begins at the first address: between two runs nothing
// of it is in use but the last result.
type replays struct {
	open   bool
	lists  *cuda.Arena
	memory memory
	graphs map[replayKey]*recording

	recording bool
	spoiled   bool // the operations copy from the host
}

// replayKey identifies a pass: what its launches depend on beside the contents of device memory.
type replayKey struct {
	key          any
	tokens, rows int
	keys, source extent
}

// extent is what launches of attention depend on.
type extent struct{ sequences, rows, most, joined, joinedMost int }

func (l *layout) extent() (e extent) {
	if l != nil {
		e = extent{sequences: l.sequences, rows: l.rows, most: l.most}
		if l.joined != nil {
			e.joined, e.joinedMost = l.joined.sequences, l.joined.most
		}
	}
	return e
}

type recording struct {
	uses   int
	graph  *cuda.Graph
	result tensor.Tensor
	never  bool
}

// Replay implements tensor.Device. The first call with a key runs f, the second one records it, and
// later ones run the recording.
func (d *Device) Replay(key any, b tensor.Batch, f func(tensor.Batch) tensor.Tensor) tensor.Tensor {
	others := len(b.Keep.Host) + len(b.Numbers.Host) + len(b.Picked.Host) + len(b.Targets.Host) + len(b.Weights.Data)
	if len(b.Tokens.Host) > mostReplayed || others > 0 || d.replays.recording {
		b = d.Prepare(b)
		t := f(b)
		d.Free(b.Memory)
		return t
	}
	d.begin("Replay")
	r := &d.replays
	d.openReplays()
	places := d.packer.pack(&b)
	d.check(r.lists.Grow(len(d.packer.bytes)))
	d.push(r.lists.Base(), d.packer.bytes)
	places.at(r.lists.Base(), &b)
	rec := d.recordingOf(replayKey{key, len(b.Tokens.Host), len(b.Rows.Host), places.layouts[0].extent(), places.layouts[1].extent()})
	if rec.uses++; rec.uses == 2 && !rec.never {
		d.record(rec, b, f)
	}
	if rec.graph == nil {
		return d.apart(b, f)
	}
	d.stream.Replay(rec.graph)
	return rec.result
}

// owns reports whether a tensor lies in the memory of recordings.
func (r *replays) owns(t tensor.Tensor) bool {
	return r.open && r.memory.arena.Contains(cuda.Pointer(t.Handle))
}

func (d *Device) openReplays() {
	r := &d.replays
	if r.open {
		return
	}
	d.check(r.memory.open(d.gpu))
	var err error
	r.lists, err = d.gpu.NewArena(int(d.gpu.Info.Memory), smallChunk)
	d.check(err)
	r.graphs, r.open = map[replayKey]*recording{}, true
}

// recordingOf returns the recording of a key, which may be none yet.
func (d *Device) recordingOf(k replayKey) *recording {
	r := &d.replays
	rec := r.graphs[k]
	if rec == nil {
		if len(r.graphs) == mostGraphs {
			d.check(r.drop())
		}
		rec = new(recording)
		r.graphs[k] = rec
	}
	return rec
}

// apart runs f with the memory of recordings.
func (d *Device) apart(b tensor.Batch, f func(tensor.Batch) tensor.Tensor) tensor.Tensor {
	d.replays.memory.forget()
	d.scope = &d.replays.memory
	defer func() { d.scope = nil }()
	return f(b)
}

// record records the operations of f. If they copy from the host, as unprepared lists do, they are
// never recorded again.
func (d *Device) record(rec *recording, b tensor.Batch, f func(tensor.Batch) tensor.Tensor) {
	r := &d.replays
	r.recording, r.spoiled = true, false
	var failed any
	graph, err := d.stream.Capture(func() {
		defer func() { failed = recover() }()
		rec.result = d.apart(b, f)
	})
	r.recording = false
	if err == nil && (failed != nil || r.spoiled) {
		err = graph.Close()
		rec.never = true
	} else {
		rec.graph = graph
	}
	if failed != nil {
		panic(failed)
	}
	d.check(err)
}

// drop forgets all recordings.
func (r *replays) drop() error {
	for _, rec := range r.graphs {
		if rec.graph != nil {
			if err := rec.graph.Close(); err != nil {
				return err
			}
		}
	}
	clear(r.graphs)
	return nil
}

func (r *replays) close() error {
	if !r.open {
		return nil
	}
	err := r.drop()
	if e := r.memory.close(); err == nil {
		err = e
	}
	if e := r.lists.Close(); err == nil {
		err = e
	}
	return err
}
