package bench

import (
	"slices"
	"time"

	"barka/internal/dtype"
	"barka/internal/tensor"
)

// gpu is what a device with memory of its own has besides the operations.
type gpu interface {
	tensor.Device
	// Kind names what computes, such as cuda.
	Kind() string
	// Held returns the memory that the device has taken from the GPU, in bytes. It never shrinks.
	Held() int64
}

// gpu returns the device if it is a GPU.
func (o Options) gpu() (gpu, bool) {
	g, ok := o.Device.(gpu)
	return g, ok
}

// finish waits until the device has computed what was asked of it.
func (o Options) finish() {
	g, ok := o.gpu()
	if !ok {
		return // the operations of a CPU have computed when they return
	}
	t := g.Alloc(1, 1)
	g.Zero(t)
	g.SumSquares(t).Get()
	g.Free(t)
}

// gpuCeilings measures large products and copies of a GPU. Unlike those of a CPU, these ceilings are what the
// device's own operations reach. divide is that of Options.
func gpuCeilings(o Options) (c Ceilings, err error) {
	n := max(8192/o.divide(), 64)
	noise := weight{"layers.", []int{n, n}}.noise()
	product := func(dt dtype.DType) (float64, error) {
		w, err := o.Device.Pack(tensor.Matrix{Rows: n, Cols: n, DType: dtype.BF16, Bytes: noise}, dt)
		if err != nil {
			return 0, err
		}
		x, y := tensor.AllocOperand(o.Device, n, n, w), tensor.AllocOperand(o.Device, n, n, w)
		defer o.Device.Free(x, y)
		o.Device.Zero(x)
		seconds := o.seconds(func() { o.Device.MatMul(y, x, w, tensor.Tensor{}, false) })
		return 2 * float64(n) * float64(n) * float64(n) / seconds, nil
	}
	if c.F32, err = product(dtype.F32); err != nil {
		return c, err
	}
	if c.BF16, err = product(dtype.BF16); err != nil {
		return c, err
	}
	if c.I8, err = product(dtype.I8); err != nil {
		return c, err
	}
	rows := max(1<<17/o.divide(), 64) // 1 GiB of them
	from, to := o.Device.Alloc(rows, 2048), o.Device.Alloc(rows, 2048)
	defer o.Device.Free(from, to)
	o.Device.Zero(from)
	c.Read = 2 * float64(from.Bytes()) / o.seconds(func() { o.Device.Copy(to, from) }) // read and written
	return c, nil
}

// seconds returns the shortest time of an operation on the device.
func (o Options) seconds(f func()) float64 {
	var all []float64
	for range 4 {
		o.finish()
		start := time.Now()
		f()
		o.finish()
		all = append(all, time.Since(start).Seconds())
	}
	return slices.Min(all)
}

// divide returns Options.Divide, or 1.
func (o Options) divide() int { return max(o.Divide, 1) }

// inputs returns the inputs of the works: on a GPU larger ones, their lengths divided by Options.Divide.
func (o Options) inputs() Inputs {
	if _, ok := o.gpu(); !ok {
		return o.Shape.Inputs()
	}
	return o.Shape.largeInputs(o.divide())
}

// largeInputs are the inputs on a GPU, which needs more work at once than a CPU: answers after longer
// prompts, and of 32 sequences; questions sixteen times; two batches of an optimiser step, the second
// of 16,384 tokens.
func (s *Shape) largeInputs(divide int) Inputs {
	length := func(n int) int { return max(n/divide, 8) }
	if s.Seq2Seq() {
		in := s.Inputs()
		if divide > 1 {
			in.Translate.Batches, in.Translate.Tokens = []int{1, 3}, length(in.Translate.Tokens)
		}
		return in
	}
	return Inputs{
		Prefill:    &Prefill{s.tokens(1, length(1024))},
		Decode:     s.decode([]int{1, 8}, length(128), length(128)),
		LongDecode: s.decode([]int{max(32/divide, 2)}, length(1024), length(128)),
		LoRA:       s.lora(max(128/divide, 4), 4, length(1024)),
		LargeLoRA:  s.lora(max(128/divide, 4), max(16/divide, 1), length(1024)),
		Choice:     []Choice{s.choice("mmlu-like", repeated(mmlu, divide), mmluPadded)},
	}
}

// repeated returns the lengths of sixteen times as many questions, or fewer and shorter ones if they are divided.
func repeated(questions []lengths, divide int) (all []lengths) {
	for range max(16/divide, 1) {
		for _, q := range questions[:max(len(questions)/divide, 2)] {
			q.prompt = max(q.prompt/divide, 2)
			all = append(all, q)
		}
	}
	return all
}

// decode makes prompts of a length for the largest batch.
func (s *Shape) decode(batches []int, prompt, tokens int) *Decode {
	d := &Decode{Batches: batches, Tokens: tokens}
	for i := range slices.Max(batches) {
		d.Prompts = append(d.Prompts, s.tokens(uint64(i), prompt))
	}
	return d
}

// lora makes sequences of a length, of which the second half is trained.
func (s *Shape) lora(rank, sequences, length int) *LoRA {
	in := &LoRA{Rank: rank, TrainFrom: length / 2}
	for i := range sequences {
		in.Sequences = append(in.Sequences, s.tokens(uint64(i), length))
	}
	return in
}
