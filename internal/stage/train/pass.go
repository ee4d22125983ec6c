package train

import (
	"math"

	"barka/internal/lora"
	"barka/internal/nn"
	"barka/internal/tensor"
)

// pass is a forward or a forward and backward pass over units.
type pass struct {
	*nn.Pass
	sample        // of all units, one after the other
	lengths []int // of the samples
	trained []int // trained tokens of the samples
	samples []int32
}

// pass lays units out as one ragged batch.
func (t *trainer) pass(d *Data, units []int) (*pass, error) {
	p := &pass{}
	for _, u := range units {
		for _, i := range d.samples(u) {
			if err := d.tokens.read(&p.sample, int(i)); err != nil {
				return nil, err
			}
			e := d.tokens.index[i]
			p.lengths, p.trained, p.samples = append(p.lengths, int(e.tokens)), append(p.trained, int(e.trained)), append(p.samples, i)
		}
	}
	p.Pass = layout(t.dev, p.lengths)
	return p, nil
}

// layout returns a pass over sequences of some lengths.
func layout(dev tensor.Device, lengths []int) *nn.Pass {
	l := tensor.Packed(lengths...)
	return &nn.Pass{Dev: dev, Layout: &l, Positions: l.Positions()}
}

// free gives back the memory of a pass.
func (p *pass) free() { p.Dev.Free(p.Noise) }

// perturb sets what training passes alone have: recomputed blocks, dropout and noise. Both
// depend on seed, step, sample and position, and not on the pass.
func (t *trainer) perturb(p *pass) {
	p.Recompute = t.plan.Recompute
	if t.o.Dropout == 0 && t.o.NEFTune == 0 {
		return
	}
	seed := uint64(t.env.Seed)<<20 + uint64(t.step)
	var rows []uint64
	for k, i := range p.samples {
		for j := range p.lengths[k] {
			rows = append(rows, uint64(i)<<24|uint64(j))
		}
	}
	if t.o.Dropout > 0 {
		p.Dropout = lora.Dropout{Rate: float32(t.o.Dropout), Seed: seed, Rows: tensor.Numbers{Host: rows}}
	}
	if t.o.NEFTune > 0 {
		p.Noise = t.noise(p, seed, rows)
	}
}

// noise returns NEFTune's noise on the embeddings [T,D]: uniform in ±alpha/√(L·D), where L is
// the length of the row's sample (Jain et al., "NEFTune: Noisy Embeddings Improve Instruction
// Finetuning", 2023).
func (t *trainer) noise(p *pass, seed uint64, rows []uint64) tensor.Tensor {
	width := t.model.Info().Hidden
	noise := t.dev.Alloc(len(rows), width)
	values := make([]float32, width) // of a row: no second copy of all
	row := 0
	for _, n := range p.lengths {
		size := t.o.NEFTune / math.Sqrt(float64(n)*float64(width)) / (1 << 31)
		for range n {
			state := mix(seed^0x6e656674756e65) + mix(rows[row])
			for j := range width {
				values[j] = float32(float64(int32(mix(state+uint64(j))>>32)) * size)
			}
			t.dev.Upload(noise.Slice(row, row+1), values)
			row++
		}
	}
	return noise
}

// mix is splitmix64's finalizer.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
