//go:build cuda && linux

package cuda

import (
	"math/bits"
	"unsafe"

	"barka/internal/cuda"
	"barka/internal/dtype"
	"barka/internal/tensor"
)

// staging is the page-locked memory through which values reach the GPU. It has two halves. While the
// GPU copies from one, the host fills the other.
type staging struct {
	host   *cuda.Host
	half   int // that is being filled
	at     int // bytes of it that are filled
	passed [2]*cuda.Event
	used   [2]bool // the GPU may still copy from it
}

// stagingHalf is the size of a half in bytes.
const stagingHalf = 4 << 20

func (s *staging) open(gpu *cuda.GPU) (err error) {
	if s.host, err = gpu.AllocHost(2 * stagingHalf); err != nil {
		return err
	}
	for i := range s.passed {
		if s.passed[i], err = gpu.NewEvent(); err != nil {
			return err
		}
	}
	return nil
}

func (s *staging) close(gpu *cuda.GPU) error {
	for _, e := range s.passed {
		if err := e.Close(); err != nil {
			return err
		}
	}
	return gpu.FreeHost(s.host)
}

// push records a copy of bytes to the GPU. It has read them when it returns.
func (d *Device) push(dst cuda.Pointer, src []byte) {
	s := &d.staging
	d.replays.spoiled = true // if operations are recorded
	for len(src) > 0 {
		if s.at == stagingHalf {
			d.stream.Record(s.passed[s.half])
			s.used[s.half] = true
			s.half, s.at = 1-s.half, 0
			if s.used[s.half] {
				d.check(s.passed[s.half].Synchronize())
			}
		}
		from := s.half*stagingHalf + s.at
		n := copy(s.host.Bytes[from:(s.half+1)*stagingHalf], src)
		d.stream.CopyIn(dst, s.host, from, n)
		dst, src, s.at = dst+cuda.Pointer(n), src[n:], s.at+n
	}
}

// replies are page-locked buffers through which results reach the host. Several results may be
// pending at once.
type replies struct {
	idle map[int][]*reply // by the size of the buffer
	all  []*reply
}

type reply struct {
	host   *cuda.Host
	passed *cuda.Event
	number int64 // of the use, in the order of memory's grants; 0 while it is idle
}

// mostReply is the most that one buffer has, in bytes. Longer results come in pieces.
const mostReply = 4 << 20

func (r *replies) close(gpu *cuda.GPU) error {
	for _, b := range r.all {
		if err := b.passed.Close(); err != nil {
			return err
		}
		if err := gpu.FreeHost(b.host); err != nil {
			return err
		}
	}
	return nil
}

// pull records a copy of at most mostReply bytes to the host. The result waits for it and calls use
// with the bytes, which are use's until it returns. It must be called once.
func (d *Device) pull(src cuda.Pointer, n int) (wait func(use func([]byte))) {
	if n > mostReply {
		panic("cuda: pull: too many bytes for one piece")
	}
	size := max(4<<10, 1<<bits.Len(uint(n-1)))
	b := d.reply(size)
	d.stream.CopyOut(b.host, 0, src, n)
	d.stream.Record(b.passed)
	asked := d.running
	return func(use func([]byte)) {
		if err := b.passed.Synchronize(); err != nil {
			d.running = asked
			d.fail(err)
		}
		use(b.host.Bytes[:n])
		d.replies.put(b)
	}
}

// put makes a buffer idle.
func (r *replies) put(b *reply) {
	b.number = 0
	size := len(b.host.Bytes)
	r.idle[size] = append(r.idle[size], b)
}

// release makes the buffers idle whose use is younger than a mark. Nobody waits for them.
func (r *replies) release(mark int64) {
	for _, b := range r.all {
		if b.number > mark {
			r.put(b)
		}
	}
}

// reply returns a buffer of the given size.
func (d *Device) reply(size int) *reply {
	r := &d.replies
	d.memory.last++
	if list := r.idle[size]; len(list) > 0 {
		b := list[len(list)-1]
		r.idle[size] = list[:len(list)-1]
		b.number = d.memory.last
		return b
	}
	event, err := d.gpu.NewEvent()
	d.check(err)
	host, err := d.gpu.AllocHost(size)
	if err != nil {
		event.Close() // the first error is the one to report
		d.fail(err)
	}
	b := &reply{host, event, d.memory.last}
	r.all = append(r.all, b)
	if r.idle == nil {
		r.idle = map[int][]*reply{}
	}
	return b
}

// download copies device memory to the host and waits for it.
func (d *Device) download(dst []byte, src cuda.Pointer) {
	for len(dst) > 0 {
		n := min(len(dst), mostReply)
		d.pull(src, n)(func(b []byte) { copy(dst, b) })
		dst, src = dst[n:], src+cuda.Pointer(n)
	}
}

// Upload implements tensor.Device.
func (d *Device) Upload(dst tensor.Tensor, src []float32) {
	if len(src) != dst.Len() {
		panic("cuda: Upload: the lengths differ")
	}
	d.begin("Upload", dst)
	if dst.Type == tensor.BF16 {
		d.push(at(dst), dtype.Narrow(dtype.BF16, src))
		return
	}
	d.push(at(dst), bytesOf(src))
}

// Download implements tensor.Device.
func (d *Device) Download(dst []float32, src tensor.Tensor) {
	if len(dst) != src.Len() {
		panic("cuda: Download: the lengths differ")
	}
	d.begin("Download", src)
	if src.Type == tensor.BF16 {
		stored := make([]byte, src.Bytes())
		d.download(stored, at(src))
		dtype.Widen(dst, dtype.BF16, stored)
		return
	}
	d.download(bytesOf(dst), at(src))
}

// Zero implements tensor.Device.
func (d *Device) Zero(t tensor.Tensor) {
	d.begin("Zero", t)
	if t.Len() > 0 {
		d.stream.Fill(at(t), 0, t.Bytes())
	}
}

// Copy implements tensor.Device.
func (d *Device) Copy(dst, src tensor.Tensor) {
	sameShape(dst, src)
	d.begin("Copy", dst)
	switch {
	case src.Len() == 0:
	case dst.Type == src.Type:
		d.stream.Copy(at(dst), at(src), src.Bytes())
	default:
		d.convert(rowsOf(dst), rowsOf(src), src.Rows, 0)
	}
}

// bytesOf returns the bytes of values in host memory, which are little-endian here.
func bytesOf[T float32 | float64 | int32 | uint64](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*int(unsafe.Sizeof(v[0])))
}
