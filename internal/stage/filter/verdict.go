package filter

import (
	"encoding/binary"
	"encoding/json"

	"barka/internal/dataset"
	"barka/internal/rowlog"
)

// verdict is what the first reading keeps of a row: the reason against it, or what the
// search for duplicates needs.
type verdict struct {
	reject dataset.Reject // Reason is "" if the rules let the row pass
	id     string
	key    dataset.TextKey // of the normalised conversation; zero if duplicates are kept
	words  words
}

// words are the elements by which rows are compared, as results of minhash.Set.
type words struct{ prompts, answers []uint32 }

// judge applies the rules to a row.
func (o *Options) judge(r dataset.Instruction) (v verdict, err error) {
	if v.reject, err = o.Check(r); err != nil || v.reject.Reason != "" {
		return v, err
	}
	return o.pass(r), nil
}

// pass returns the verdict about a row that the rules let pass.
func (o *Options) pass(r dataset.Instruction) (v verdict) {
	v.id = r.ID
	if o.Duplicates {
		v.key = dataset.KeyOf(Key(r.Messages))
	}
	if o.NearDuplicates > 0 {
		v.words = wordsOf(r)
	}
	return v
}

// encode returns the record of a verdict in the log: a byte 0 and a dataset.Reject as
// JSON, or a byte 1, the key, the lengths of the id and of the prompts' elements, the id,
// the prompts' elements and the answers'. Numbers are little-endian uint32.
func (v verdict) encode() []byte {
	if v.reject.Reason != "" {
		data, err := json.Marshal(v.reject)
		if err != nil {
			panic(err) // two strings and a truth value
		}
		return append([]byte{0}, data...)
	}
	b := make([]byte, 0, 1+len(v.key)+8+len(v.id)+4*(len(v.words.prompts)+len(v.words.answers)))
	b = append(append(b, 1), v.key[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(v.id)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(v.words.prompts)))
	b = append(b, v.id...)
	for _, list := range [][]uint32{v.words.prompts, v.words.answers} {
		for _, e := range list {
			b = binary.LittleEndian.AppendUint32(b, e)
		}
	}
	return b
}

// decode is the inverse of encode. Records have checksums, so their content is trusted.
func decode(b []byte) (v verdict, err error) {
	if b[0] == 0 {
		return v, json.Unmarshal(b[1:], &v.reject)
	}
	b = b[1+copy(v.key[:], b[1:]):]
	id, prompts := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	b = b[8:]
	v.id, b = string(b[:id]), b[id:]
	all := make([]uint32, len(b)/4)
	for i := range all {
		all[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	v.words = words{all[:prompts], all[prompts:]}
	return v, nil
}

func verdictAt(log *rowlog.Log, i int) (verdict, error) {
	record, err := log.At(i)
	if err != nil {
		return verdict{}, err
	}
	return decode(record)
}
