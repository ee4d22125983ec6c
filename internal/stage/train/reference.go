package train

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"

	"barka/internal/atomicfile"
	"barka/internal/badinput"
	"barka/internal/model"
)

// reference holds, for each sample, the log-probability that the model had for its trained
// tokens at the start. It is nil in a probe, which has no use for the values.
type reference struct{ logp []float64 }

func (r *reference) at(sample int32) float64 {
	if r == nil {
		return 0
	}
	return r.logp[sample]
}

// referenceBytes is the size of a sample's record: the bits of a float64, and a check that
// depends on them and on the sample's number.
const referenceBytes = 16

func referenceRecord(sample int, logp float64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, math.Float64bits(logp))
	check := xxhash.Sum64(binary.LittleEndian.AppendUint64(b[:8:8], uint64(sample)))
	return binary.LittleEndian.AppendUint64(b, check)
}

// refer computes the reference of a set, or reads it from the file that this run has made.
// Samples are done in their order, and an interrupted process is followed by one that goes on
// behind the last whole record. A pass's size does not change the values.
func (t *trainer) refer(ctx context.Context, name string, d *Data) (r *reference, err error) {
	if t.work == nil {
		return nil, nil
	}
	path := filepath.Join(t.work.Dir(), name+".reference")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, atomicfile.Explain(path, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r, n := &reference{}, len(d.tokens.index)
	if r.logp, err = readReference(f, n); err != nil || len(r.logp) == n {
		return r, err
	}
	if t.step > 0 || t.started() {
		return nil, badinput.Errorf("%s holds %d of %d values, and the model of the start, which they are of, is gone; --restart",
			path, len(r.logp), n)
	}
	p := t.env.Progress
	p.Start("reference", int64(n), "answers")
	p.Skip(int64(len(r.logp)))
	defer p.Done()
	for u := len(r.logp) / 2; u < d.Samples(); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var units []int
		for size := 0; u < d.Samples() && (len(units) == 0 || size+d.length(u) <= t.o.MicroTokens); u++ {
			units, size = append(units, u), size+d.length(u)
		}
		records, err := t.referTo(r, d, units)
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(records); err != nil {
			return nil, atomicfile.Explain(path, err)
		}
		p.Add(int64(2 * len(units)))
	}
	return r, atomicfile.Explain(path, f.Sync())
}

// referTo appends the values of units, and returns their records.
func (t *trainer) referTo(r *reference, d *Data, units []int) (records []byte, err error) {
	p, err := t.pass(d, units)
	if err != nil {
		return nil, err
	}
	nll, err := model.NLL(t.model, p.Pass, p.tokens, p.rows, p.targets)
	if err != nil {
		return nil, err
	}
	for k, n := range p.trained {
		logp := -sum64(nll[:n])
		if nll = nll[n:]; math.IsNaN(logp) || math.IsInf(logp, 0) {
			return nil, badinput.Errorf("the log-probability of an answer of %s is %g before the first step; the model cannot be trained "+
				"on it", d.name(units[k/2]), logp)
		}
		records = append(records, referenceRecord(len(r.logp), logp)...)
		r.logp = append(r.logp, logp)
	}
	return records, nil
}

// readReference reads the whole records of pairs at the beginning of a file, of n at most,
// and leaves the file at their end.
func readReference(f *os.File, n int) (logp []float64, err error) {
	data, err := io.ReadAll(io.LimitReader(f, int64(n)*referenceBytes))
	if err != nil {
		return nil, badinput.Wrap(err)
	}
	for i := 0; (i+1)*referenceBytes <= len(data); i++ {
		b := data[i*referenceBytes : (i+1)*referenceBytes]
		v := math.Float64frombits(binary.LittleEndian.Uint64(b))
		if string(referenceRecord(i, v)) != string(b) {
			break
		}
		logp = append(logp, v)
	}
	logp = logp[:len(logp)/2*2]
	end := int64(len(logp)) * referenceBytes
	if err := f.Truncate(end); err != nil {
		return nil, err
	}
	_, err = f.Seek(end, io.SeekStart)
	return logp, err
}

// started reports whether the run has a checkpoint.
func (t *trainer) started() bool {
	names, err := t.checkpoints()
	return err != nil || len(names) > 0
}
