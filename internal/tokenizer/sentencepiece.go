package tokenizer

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"barka/internal/badinput"
)

// Types of pieces and models in a SentencePiece file.
const (
	pieceNormal = 1 + iota
	pieceUnknown
	pieceControl
	pieceUser
	pieceUnused
	pieceByte
)

const (
	typeUnigram = 1
	typeBPE     = 2
)

// spmPiece is an entry of the vocabulary.
type spmPiece struct {
	text  string
	score float32
	kind  int
}

// spmFile holds the content of a SentencePiece model (sentencepiece_model.proto).
type spmFile struct {
	pieces       []spmPiece
	kind         int
	byteFallback bool
	suffix       bool // spaces end words instead of starting them
	unkSurface   string
	marks        [3]string // the pieces for BOS, EOS and padding
	charsmap     []byte
	dummyPrefix  bool
	trimSpaces   bool // remove_extra_whitespaces
	escapeSpaces bool
}

// ParseSentencePiece reads a SentencePiece model of type BPE or unigram. It encodes
// and decodes as SentencePiece does: the names of control pieces in a text are plain
// text, and no BOS or EOS tokens are added. Load, which sees the files beside the
// model, does both.
func ParseSentencePiece(data []byte) (*Tokenizer, error) {
	if bytes.HasPrefix(data, []byte("IQ== 0\n")) {
		return nil, badinput.Errorf("this is a tiktoken vocabulary, as in Llama 3's original release; " +
			"use the tokenizer.json of the Hugging Face release")
	}
	f := spmFile{
		kind: typeUnigram, unkSurface: " ⁇ ", marks: [3]string{"<s>", "</s>", "<pad>"},
		dummyPrefix: true, trimSpaces: true, escapeSpaces: true,
	}
	if err := f.read(data); err != nil {
		return nil, badinput.Errorf("sentencepiece model: %w", err)
	}
	v, err := newSPMVocab(&f)
	if err != nil {
		return nil, badinput.Errorf("sentencepiece model: %w", err)
	}
	t := &Tokenizer{config: config{special: Special{BOS: -1, EOS: -1, Pad: -1, Unk: v.unk}}}
	switch f.kind {
	case typeBPE:
		t.model = newSPMBPE(v)
	case typeUnigram:
		t.model = newSPMUnigram(v)
	default:
		return nil, badinput.Errorf("sentencepiece model: model type %d is not supported; expected unigram (1) or bpe (2)", f.kind)
	}
	chars, err := newPrecompiled(f.charsmap)
	if err != nil {
		return nil, badinput.Errorf("sentencepiece model: %w", err)
	}
	t.norm = &spmNormalizer{
		chars: chars, user: &v.user, dummy: f.dummyPrefix, suffix: f.suffix, trim: f.trimSpaces, escape: f.escapeSpaces,
	}
	t.dec = &spmDecoder{
		unk: v.pieces[v.unk].text, unkSurface: f.unkSurface, dropFirst: f.dummyPrefix || f.trimSpaces, dropAll: f.trimSpaces,
	}
	t.added = newAddedTokens(nil, nil)
	for id, p := range f.pieces {
		if p.kind == pieceControl {
			t.added.special[int32(id)] = true
		}
	}
	for i, id := range []*int32{&t.config.special.BOS, &t.config.special.EOS, &t.config.special.Pad} {
		if k, ok := v.ids[f.marks[i]]; ok && v.pieces[k].kind == pieceControl {
			*id = k
		}
	}
	return t, nil
}

func (f *spmFile) read(data []byte) error {
	return messages(data, func(field int, v uint64, b []byte) error {
		switch field {
		case 1:
			p := spmPiece{kind: pieceNormal}
			err := messages(b, func(field int, v uint64, b []byte) error {
				switch field {
				case 1:
					p.text = string(b)
				case 2:
					p.score = math.Float32frombits(uint32(v))
				case 3:
					p.kind = int(v)
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("piece %d: %w", len(f.pieces), err)
			}
			if f.pieces = append(f.pieces, p); len(f.pieces) > maxID {
				return fmt.Errorf("more than the limit of %d pieces", maxID)
			}
		case 2:
			return messages(b, func(field int, v uint64, b []byte) error {
				switch field {
				case 3:
					f.kind = int(v)
				case 24:
					f.suffix = v != 0
				case 35:
					f.byteFallback = v != 0
				case 44:
					f.unkSurface = string(b)
				case 46, 47, 48:
					f.marks[field-46] = string(b)
				}
				return nil
			})
		case 3:
			return messages(b, func(field int, v uint64, b []byte) error {
				switch field {
				case 2:
					f.charsmap = b
				case 3:
					f.dummyPrefix = v != 0
				case 4:
					f.trimSpaces = v != 0
				case 5:
					f.escapeSpaces = v != 0
				}
				return nil
			})
		}
		return nil
	})
}

var errTruncated = errors.New("the file is truncated or is not a SentencePiece model")

// messages calls f for each field of a protobuf message. v holds numbers and the bits
// of floats, b holds strings and messages.
func messages(data []byte, f func(field int, v uint64, b []byte) error) error {
	for len(data) > 0 {
		key, n := varint(data)
		if n == 0 || key>>3 == 0 || key>>3 > 1<<29-1 {
			return errTruncated
		}
		data = data[n:]
		var v uint64
		var b []byte
		size := 0
		switch key & 7 {
		case 0:
			if v, size = varint(data); size == 0 {
				return errTruncated
			}
		case 1:
			size = 8
		case 2:
			l, n := varint(data)
			if n == 0 || l > uint64(len(data)-n) {
				return errTruncated
			}
			b, size = data[n:n+int(l)], n+int(l)
		case 5:
			size = 4
		default:
			return errTruncated
		}
		if size > len(data) {
			return errTruncated
		}
		if key&7 == 1 || key&7 == 5 {
			for i := range size {
				v |= uint64(data[i]) << (8 * i)
			}
		}
		data = data[size:]
		if err := f(int(key>>3), v, b); err != nil {
			return err
		}
	}
	return nil
}

// varint returns a number and its length in bytes, which is 0 if it is invalid.
func varint(b []byte) (uint64, int) {
	var v uint64
	for i := 0; i < len(b) && i < 10; i++ {
		v |= uint64(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}
