package train

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"barka/internal/badinput"
	"barka/internal/generate"
	"barka/internal/model"
	"barka/internal/nn"
	"barka/internal/optim"
	"barka/internal/printable"
	"barka/internal/resident"
	"barka/internal/tensor"
	"barka/internal/tensor/cpu"
)

// garbage is the heap that garbage may take in percent of the rest. Nearly all of the rest
// is weights and tensors without pointers, so that a collection costs milliseconds.
const garbage = 4

// Opener opens a model on a device that computes nothing, with weights of a type.
type Opener func(dev tensor.Device, dtype string) (model.Decoder, error)

// micro is the shape of a micro-batch: the tokens of its conversations, and how many of all
// tokens are trained.
type micro struct {
	lengths []int
	trained int
}

func (m micro) tokens() (n int) {
	for _, l := range m.lengths {
		n += l
	}
	return n
}

// largest returns the micro-batch of a run with the most tokens.
func (d *Data) largest(o Options, seed int64) (most micro) {
	c := newCourse(d, o, seed)
	for step := range o.steps(c.size) {
		for _, part := range d.micro(c.at(step), o.MicroTokens) {
			var m micro
			for _, u := range part {
				for _, i := range d.samples(u) {
					m.lengths = append(m.lengths, int(d.tokens.index[i].tokens))
				}
			}
			if m.trained = d.trained(part); m.tokens() > most.tokens() {
				most = m
			}
		}
	}
	return most
}

// assumed is the largest micro-batch of data that does not exist yet.
func assumed(o Options, longest int) (m micro) {
	longest = min(longest, o.MaxLength)
	m.lengths = []int{longest}
	for len(m.lengths) < o.Batch && (len(m.lengths)+1)*longest <= o.MicroTokens {
		m.lengths = append(m.lengths, longest)
	}
	m.trained = m.tokens()
	return m
}

// meter measures the memory of a run by taking its steps on a cpu.Meter.
type meter struct {
	dev    *cpu.Meter
	model  model.Decoder
	params int64
	noise  bool   // on the embeddings
	base   int64  // memory of the device that is taken without the run: on the CPU what the process has
	apart  *Apart // the device has memory of its own; or nil
	width  int    // of the widest layer
	beside int64  // bytes of what is not on the Meter, whatever the pass
}

// newMeter opens the model on a Meter with adapters and an optimiser.
func newMeter(o Options, in *Input) (*meter, error) {
	m := &meter{dev: cpu.NewMeter(), noise: o.NEFTune > 0, apart: in.Apart}
	var err error
	if m.model, err = in.Measure(m.dev, o.DType); err != nil {
		return nil, err
	}
	defer m.model.Close()
	a, err := o.newAdapter(m.model, "", 0)
	if err != nil {
		return nil, err
	}
	a.Train(m.dev)
	optim.New(m.dev, a.Params(), optim.Config{})
	for _, p := range a.Params() {
		m.params += int64(p.Value.Len())
	}
	if m.apart != nil {
		for _, l := range m.model.Linears() {
			n, k := l.Dims()
			m.width = max(m.width, n, k)
		}
		m.beside = m.dev.Tables() + 2*m.params // the adapters in bfloat16 lie beside the weights
	}
	return m, nil
}

// taken returns the memory of the device that is taken without a run: on the CPU what the process has.
func (in *Input) taken() int64 {
	if in.Apart != nil {
		return 0
	}
	return resident.Now()
}

// pass returns a Meter after a forward and backward pass in which some blocks are
// recomputed, and the mark of its beginning.
func (m *meter) pass(shape micro, recompute int) (*cpu.Meter, int, error) {
	dev := m.dev.Clone()
	layout := tensor.Packed(shape.lengths...)
	rows := make([]int32, shape.trained)
	p := &nn.Pass{Dev: dev, Layout: &layout, Positions: layout.Positions(), Recompute: recompute}
	if m.noise {
		p.Noise = dev.Alloc(shape.tokens(), m.model.Info().Hidden)
		defer dev.Free(p.Noise)
	}
	_, err := model.Backward(m.model, p, make([]int32, shape.tokens()), rows, rows, make([]float32, len(rows)))
	return dev, m.dev.Mark(), err
}

// bytes estimates the resident memory of the process: what it has now, with the tokenizer
// and the data, and what the run adds. Garbage and memory on its way back to the system
// take a share.
func (m *meter) bytes(shape micro, recompute int) (int64, error) {
	dev, _, err := m.pass(shape, recompute)
	if err != nil {
		return 0, err
	}
	return m.total(dev) + m.workspace(shape.tokens()), nil
}

// workspace returns the bytes of operations in a pass, if the Meter does not count them.
func (m *meter) workspace(tokens int) int64 {
	if m.apart == nil {
		return 0
	}
	return m.apart.Workspace(tokens, m.width, m.model.Info().Vocab)
}

// total returns the memory of a run that has done what a Meter has counted: on the CPU the resident
// memory of the process.
func (m *meter) total(dev *cpu.Meter) int64 {
	return m.base + withGarbage(dev.Weights()+dev.Tensors()+m.beside)
}

func withGarbage(bytes int64) int64 { return bytes + bytes*garbage/100 }

// with returns the resident memory of a process that takes so many bytes while no training
// pass runs.
func (m *meter) with(bytes int64) int64 { return m.total(m.dev) + withGarbage(bytes) }

// sampling returns the bytes that answering prompts takes beside the weights.
func (m *meter) sampling(prompts []prompt, o Options) (int64, error) {
	if len(prompts) == 0 {
		return 0, nil
	}
	rows := cacheRows(prompts, o)
	longest := 0
	for _, p := range prompts {
		longest = max(longest, len(p.tokens))
	}
	dev := m.dev.Clone()
	tokens := min(longest*sampledTogether, generate.BatchTokens)
	_, _, err := m.model.Forward(layout(dev, []int{tokens}), make([]int32, tokens), nil)
	return dev.Tensors() - m.dev.Tensors() + int64(rows)*m.model.NewCache().RowBytes(), err
}

// blocks is the number of layers.
func (m *meter) blocks() int { return m.model.Info().Layers }

// choose returns how many blocks are recomputed and the estimated memory. With auto it is
// the smallest number with which the run fits into limit bytes (0: no limit).
func (m *meter) choose(mode string, shape micro, limit int64) (recompute int, need int64, err error) {
	if mode == CheckpointingOn {
		recompute = m.blocks()
	}
	if mode == CheckpointingAuto && limit > 0 {
		recompute = sort.Search(m.blocks(), func(n int) bool {
			need, e := m.bytes(shape, n)
			if e != nil {
				err = e
			}
			return need <= limit
		})
		if err != nil {
			return 0, 0, err
		}
	}
	need, err = m.bytes(shape, recompute)
	return recompute, need, err
}

// fits returns an error if a run needs more memory than there is. It names settings with
// which the run would fit.
func (e *Estimate) fits(o Options, in *Input, base, limit int64) error {
	if limit <= 0 || e.Memory <= limit {
		return nil
	}
	what := "no smaller setting was found that fits; take a smaller model or a larger machine"
	if s := fitting(o, e.shape, in, base, limit); s != "" {
		what = "it would fit with " + s
	}
	return badinput.Errorf("train: the run needs about %s of memory, and %s are available; %s",
		printable.Bytes(e.Memory), printable.Bytes(limit), what)
}

// fitting makes a run smaller, one setting after the other, until it fits. It returns the
// changed settings, or "".
func fitting(o Options, shape micro, in *Input, base, limit int64) string {
	said := map[string]string{}
	var order []string
	set := func(name, value string) {
		if said[name] == "" {
			order = append(order, name)
		}
		said[name] = value
	}
	try := func() bool {
		m, err := newMeter(o, in)
		if err != nil {
			return false
		}
		m.base = base
		_, need, err := m.choose(CheckpointingOn, shape, limit)
		return err == nil && need <= limit
	}
	text := func() string {
		var all []string
		for _, name := range order {
			all = append(all, name+" "+said[name])
		}
		return strings.Join(all, ", ")
	}
	if o.Checkpointing != CheckpointingOn {
		set("checkpointing", CheckpointingOn)
		if try() {
			return text()
		}
	}
	if o.DType != "int8" {
		was := o.DType
		o.DType = "int8"
		set("dtype", o.DType)
		if try() {
			return text()
		}
		delete(said, "dtype")
		o.DType, order = was, slices.DeleteFunc(order, func(s string) bool { return s == "dtype" })
	}
	for shape.tokens() > 512 {
		shape = shape.half()
		set("micro_tokens", fmt.Sprint(shape.tokens()))
		if len(shape.lengths) == 1 {
			set("max_length", fmt.Sprint(shape.tokens()))
		}
		if try() {
			return text()
		}
	}
	if o.DType != "int8" {
		o.DType = "int8"
		set("dtype", o.DType)
		if try() {
			return text()
		}
	}
	for o.Rank > 8 {
		o.Rank /= 2
		set("rank", fmt.Sprint(o.Rank))
		if try() {
			return text()
		}
	}
	return ""
}

// half returns a micro-batch of half the tokens.
func (m micro) half() micro {
	n := max(m.tokens()/2, 1)
	out := micro{lengths: []int{n}, trained: min(m.trained, n)}
	if len(m.lengths) > 1 {
		out.lengths = []int{n / 2, n - n/2}
	}
	return out
}

// limitGarbage bounds the garbage of a run. The returned function undoes it.
func limitGarbage() func() { return resident.LimitGarbage(garbage) }
