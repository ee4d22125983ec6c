// Package tensorboard writes scalars and texts to TensorBoard's event files. These are
// TFRecords of protocol buffers (tensorflow/core/util/event.proto), encoded by
// hand.
package tensorboard

import (
	"encoding/binary"
	"hash/crc32"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"barka/internal/badinput"
)

// Name is the event file that Append writes to.
const Name = "events.out.tfevents.0.barka"

// Writer appends events to a file.
type Writer struct{ f *os.File }

// Append opens or creates the event file of a directory and truncates it to size,
// as returned by Sync: the events that a run wrote after its last checkpoint are
// written again. It fails if the file is shorter.
func Append(dir string, size int64) (*Writer, error) {
	path := filepath.Join(dir, Name)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() < size {
		err = badinput.Errorf("%s has %d bytes, but had %d when the checkpoint was written: events are missing; restore "+
			"the file, or use --restart",
			path, info.Size(), size)
	}
	if err == nil {
		err = f.Truncate(size)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	w := &Writer{f}
	if size > 0 {
		return w, nil
	}
	// The first event names the format: field 3, file_version.
	event := wallTime(nil, time.Now())
	event = bytesField(event, 3, []byte("brain.Event:2"))
	if err := w.record(event); err != nil {
		f.Close()
		return nil, err
	}
	return w, nil
}

// Scalars writes one event with a value for each tag.
func (w *Writer) Scalars(step int64, values map[string]float64) error {
	return summaries(w, step, values, func(value []byte, v float64) []byte {
		value = binary.AppendUvarint(value, 2<<3|5) // simple_value, 32 bits
		return binary.LittleEndian.AppendUint32(value, math.Float32bits(float32(v)))
	})
}

// Texts writes one event with a text for each tag, which TensorBoard shows as Markdown.
func (w *Writer) Texts(step int64, texts map[string]string) error {
	return summaries(w, step, texts, func(value []byte, text string) []byte {
		tensor := binary.AppendUvarint(nil, 1<<3) // dtype
		tensor = binary.AppendUvarint(tensor, 7)  // DT_STRING
		dim := binary.AppendUvarint(binary.AppendUvarint(nil, 1<<3), 1)
		tensor = bytesField(tensor, 2, bytesField(nil, 2, dim)) // tensor_shape: one dimension of size 1
		tensor = bytesField(tensor, 8, []byte(text))            // string_val
		value = bytesField(value, 8, tensor)
		plugin := bytesField(nil, 1, []byte("text")) // plugin_name
		return bytesField(value, 9, bytesField(nil, 1, plugin))
	})
}

// summaries writes one event with a value for each tag, which fill encodes.
func summaries[V any](w *Writer, step int64, values map[string]V, fill func(value []byte, v V) []byte) error {
	var summary []byte
	for _, tag := range slices.Sorted(maps.Keys(values)) {
		summary = bytesField(summary, 1, fill(bytesField(nil, 1, []byte(tag)), values[tag]))
	}
	event := wallTime(nil, time.Now())
	event = binary.AppendUvarint(event, 2<<3) // step, varint
	event = binary.AppendUvarint(event, uint64(step))
	return w.record(bytesField(event, 5, summary))
}

// Sync flushes the events to disk and returns the size of the file in bytes.
func (w *Writer) Sync() (int64, error) {
	if err := w.f.Sync(); err != nil {
		return 0, err
	}
	info, err := w.f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Close closes the file.
func (w *Writer) Close() error { return w.f.Close() }

func wallTime(b []byte, t time.Time) []byte {
	b = binary.AppendUvarint(b, 1<<3|1) // wall_time, 64 bits
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(float64(t.UnixNano())/1e9))
}

func bytesField(b []byte, field uint64, data []byte) []byte {
	b = binary.AppendUvarint(b, field<<3|2)
	b = binary.AppendUvarint(b, uint64(len(data)))
	return append(b, data...)
}

// record writes a TFRecord: length, its checksum, data, its checksum.
func (w *Writer) record(data []byte) error {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, masked(b))
	b = append(b, data...)
	b = binary.LittleEndian.AppendUint32(b, masked(data))
	_, err := w.f.Write(b)
	return err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func masked(data []byte) uint32 {
	c := crc32.Checksum(data, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}
