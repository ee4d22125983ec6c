package tokenizer

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"barka/internal/testfiles"
)

// listOracle decodes whole lists node by node, as the reference is written,
// where Decode and Stream see one token at a time.
func listOracle(d decoder, tokens []string) []string {
	var out []string
	switch d := d.(type) {
	case decoders:
		for _, c := range d {
			tokens = listOracle(c, tokens)
		}
		return tokens
	case spaceDecoder:
		return []string{strings.Join(tokens, " ")}
	case fuseDecoder:
		return []string{strings.Join(tokens, "")}
	case byteLevelDecoder:
		var b []byte
		for _, t := range tokens {
			b = textBytes(b, t)
		}
		return []string{lossy(b)}
	case metaspaceDecoder:
		for i, t := range tokens {
			with := " "
			if i == 0 && !d.never {
				with = ""
			}
			out = append(out, strings.ReplaceAll(t, d.mark, with))
		}
	case replaceDecoder:
		for _, t := range tokens {
			out = append(out, d.normalize(t))
		}
	case stripDecoder:
		for _, t := range tokens {
			for n := 0; n < d.left && strings.HasPrefix(t, d.content); n++ {
				t = t[len(d.content):]
			}
			for n := 0; n < d.right && strings.HasSuffix(t, d.content); n++ {
				t = t[:len(t)-len(d.content)]
			}
			out = append(out, t)
		}
	case byteFallbackDecoder:
		for i := 0; i < len(tokens); i++ {
			var run []byte
			from := i
			for ; i < len(tokens); i++ {
				b, ok := byteToken(tokens[i])
				if !ok {
					break
				}
				run = append(run, b)
			}
			switch {
			case i == from:
				out = append(out, tokens[i])
				continue
			case utf8.Valid(run):
				out = append(out, string(run))
			default:
				out = append(out, slices.Repeat([]string{"\ufffd"}, len(run))...)
			}
			i--
		}
	case *spmDecoder:
		return spmOracle(d, tokens)
	default:
		panic(fmt.Sprintf("no oracle for %T", d))
	}
	return out
}

func spmOracle(d *spmDecoder, tokens []string) []string {
	text, dropped := "", false
	for i := 0; i < len(tokens); i++ {
		var run []byte
		for ; i < len(tokens); i++ {
			b, ok := byteToken(tokens[i])
			if !ok {
				break
			}
			run = append(run, b)
		}
		text += string([]rune(string(run))) // every byte that is no UTF-8 is one U+FFFD
		if i == len(tokens) {
			break
		}
		t := tokens[i]
		switch {
		case t == d.unk:
			dropped = false
			text += d.unkSurface
			continue
		case d.dropFirst && text == "" && !dropped:
			rest := strings.TrimPrefix(t, spaceMark)
			dropped, t = rest != t && !d.dropAll, rest
		}
		text += strings.ReplaceAll(t, spaceMark, " ")
	}
	return []string{text}
}

// checkStream compares Decode and Stream of ids with the oracle and returns
// the pieces of the stream.
func checkStream(t testing.TB, tok *Tokenizer, ids []int32, skip bool) []string {
	t.Helper()
	var tokens []string
	for _, id := range ids {
		if text, ok := tok.Token(id); ok && !(skip && tok.IsSpecial(id)) {
			tokens = append(tokens, text)
		}
	}
	want := strings.Join(listOracle(tok.dec, tokens), "")
	if got := tok.Decode(ids, skip); got != want {
		t.Fatalf("Decode of %q (skip %v):\n got %q\nwant %q", tokens, skip, got, want)
	}
	s := tok.Stream(skip)
	for range 2 { // after Flush it is as new
		var pieces []string
		for _, id := range ids {
			pieces = append(pieces, s.Push(id))
		}
		pieces = append(pieces, s.Flush())
		if got := strings.Join(pieces, ""); got != want {
			t.Fatalf("Stream of %q (skip %v):\n got %q\nwant %q", tokens, skip, got, want)
		}
		if valid := utf8.ValidString(want); valid {
			for _, p := range pieces {
				if !utf8.ValidString(p) {
					t.Fatalf("Stream of %q gave %q, part of a character", tokens, p)
				}
			}
		}
	}
	pieces := make([]string, 0, len(ids)+1)
	for _, id := range ids {
		pieces = append(pieces, s.Push(id))
	}
	return append(pieces, s.Flush())
}

// TestDecoderChains: chains of every kind of node decode as the reference
// decodes them, whole and streamed.
func TestDecoderChains(t *testing.T) {
	type row struct {
		Decoder json.RawMessage `json:"decoder"`
		Lists   []recorded      `json:"lists"`
	}
	vocab, rows := readChains[row](t)
	for _, r := range rows {
		tok := chained(t, vocab, r.Decoder)
		for _, l := range r.Lists {
			if !checkRecorded(t, tok, l, true) {
				t.Fatalf("decoder %s", r.Decoder)
			}
			checkStream(t, tok, l.IDs, false)
			checkStream(t, tok, l.IDs, true)
		}
	}
}

// chainVocab is the vocabulary of testdata/decoders.jsonl.gz.
type chainVocab struct {
	Vocab   []string `json:"vocab"`
	Special int      `json:"special"` // the first tokens that are special
}

func readChains[T any](t testing.TB) (chainVocab, []T) {
	t.Helper()
	lines := testfiles.Lines(t, filepath.Join("testdata", "decoders.jsonl.gz"))
	var v chainVocab
	if err := json.Unmarshal(lines[0], &v); err != nil {
		t.Fatal(err)
	}
	var rows []T
	for _, l := range lines[1:] {
		var r T
		if err := json.Unmarshal(l, &r); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	return v, rows
}

// chained returns a tokenizer of that vocabulary with a decoder.
func chained(t testing.TB, v chainVocab, dec json.RawMessage) *Tokenizer {
	t.Helper()
	ids := map[string]int{}
	var added []map[string]any
	for i, text := range v.Vocab {
		if ids[text] = i; i < v.Special {
			added = append(added, map[string]any{"id": i, "content": text, "special": true})
		}
	}
	data, err := json.Marshal(map[string]any{"decoder": dec, "added_tokens": added,
		"model": map[string]any{"type": "BPE", "vocab": ids, "merges": []string{}}})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := Parse(data)
	if err != nil {
		t.Fatalf("%s: %v", dec, err)
	}
	return tok
}

// everyTokenizer returns the tokenizers of the test data, testdata/chain,
// and the shared reference data where that is here.
func everyTokenizer(t testing.TB) map[string]*Tokenizer {
	t.Helper()
	all := map[string]*Tokenizer{}
	files, err := filepath.Glob(filepath.Join("testdata", "layouts", "*.jsonl.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no layouts: %v", err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".jsonl.gz")
		all[name] = layout(t, filepath.Join("testdata", "layouts", name))
	}
	for _, name := range []string{"gemma2", "nllb"} {
		if all["demo "+name], err = Load(filepath.Join("..", "..", "testdata", "chain", "models", name)); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// planes holds text of every plane of Unicode with characters, of all lengths
// in UTF-8, and what is not text at all.
func planes(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(12) {
		switch top := []rune{0x80, 0x700, 0x3000, 0x10000, 0x20000, 0x30000, 0x110000}[r.IntN(7)]; r.IntN(12) {
		case 0:
			b.WriteString([]string{" ", "\n", "▁", "\ufffd", "<0xE2>", "<s>", "<|im_end|>", "  ", "كيف حالك؟ "}[r.IntN(9)])
		case 1:
			b.WriteByte(byte(r.IntN(256)))
		default:
			b.WriteRune(r.Int32N(top))
		}
	}
	return b.String()
}

// TestStreamEveryTokenizer: the stream of any ids (those of texts in all
// scripts, such ids with some lost or changed, and any ids at all) is the text
// that they decode to together.
func TestStreamEveryTokenizer(t *testing.T) {
	all := everyTokenizer(t)
	for _, name := range []string{"gemma", "gpt_neox", "llama2", "llama2-model"} {
		t.Run("shared "+name, func(t *testing.T) { streamAnything(t, realTokenizer(t, name)) })
	}
	for name, tok := range all {
		t.Run(name, func(t *testing.T) { streamAnything(t, tok) })
	}
}

func streamAnything(t *testing.T, tok *Tokenizer) {
	r := rand.New(rand.NewPCG(7, 8))
	size := tok.VocabSize()
	for i := range 600 {
		ids := tok.Encode(planes(r), i%2 == 0)
		switch i % 4 {
		case 1, 2:
			for range 1 + r.IntN(3) {
				if len(ids) > 0 {
					ids[r.IntN(len(ids))] = int32(r.IntN(size))
				}
			}
		case 3:
			ids = make([]int32, r.IntN(20))
			for j := range ids {
				ids[j] = int32(r.IntN(min(size+3, []int{300, 300, size + 3}[r.IntN(3)]))) - 1
			}
		}
		checkStream(t, tok, ids, i%3 == 0)
	}
}

// TestStreamHoldsLittle: byte-level tokenizers and those of SentencePiece,
// also behind a fuse, hold back no more than an incomplete character.
func TestStreamHoldsLittle(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	all := everyTokenizer(t)
	for _, name := range []string{"neox", "llama3", "qwen2", "gguf", "spm-llama2", "spm-gemma2", "slow-gemma2"} {
		tok := all[name]
		for range 200 {
			ids := tok.Encode(planes(r), false)
			s, sofar := tok.Stream(true), ""
			for n, id := range ids {
				sofar += s.Push(id)
				now := tok.Decode(ids[:n+1], true)
				rest, final := strings.CutPrefix(now, sofar)
				if !final || strings.Trim(rest, "\ufffd") != "" || utf8.RuneCountInString(rest) > 3 {
					t.Fatalf("%s: %d tokens of %q decode to %q, streamed %q", name, n+1, tok.Decode(ids, true), now, sofar)
				}
			}
		}
	}
}

// TestStreamHoldsUntilItIsSure: with ByteLevel behind Fuse, a token outside
// the alphabet turns all text into plain text. Where the vocabulary has one,
// nothing may come before the end; where only special tokens are such, they
// matter only if they are decoded.
func TestStreamHoldsUntilItIsSure(t *testing.T) {
	const (
		bytes = `{"type":"ByteFallback"},`
		marks = `{"type":"Replace","pattern":{"String":"▁"},"content":" "},`
		signs = `{"type":"Replace","pattern":{"String":"§"},"content":" "},`
	)
	for _, c := range []struct {
		before string // the fuse
		vocab  []string
		ids    []int32
		skip   bool
		want   []string
	}{
		{bytes + marks, []string{"<s>", "Ø", "§", "Ġ"}, []int32{1, 2, 3, 1}, true, []string{"", "ا", " ", "", "\ufffd"}},
		{bytes, []string{"<s>", "Ø", "§", "<0x20>"}, []int32{1, 2, 3, 1}, true, []string{"", "", "", "Ø§ Ø", ""}},
		{signs, []string{"<s>", "Ø", "§", "Ġ"}, []int32{1, 3, 2}, true, []string{"", "", "ØĠ ", ""}},
		{marks, []string{"<s>", "Ø", "§", "▁"}, []int32{1, 2, 3}, true, []string{"", "", "Ø§ ", ""}},
		{"", []string{"<s>", "Ø", "§", "Ġ"}, []int32{1, 2, 3, 1, 2, 0}, true, []string{"", "ا", " ", "", "ا", "", ""}},
		{"", []string{"<s>", "Ø", "§", "Ġ"}, []int32{1, 2, 3, 0}, false, []string{"", "ا", " ", "<s>", ""}},
		{"", []string{"<ا>", "Ø", "§", "Ġ"}, []int32{1, 2, 3, 0}, true, []string{"", "ا", " ", "", ""}},
		{"", []string{"<ا>", "Ø", "§", "Ġ"}, []int32{1, 2, 3}, false, []string{"", "", "", "ا "}},
		{"", []string{"<ا>", "Ø", "§", "Ġ"}, []int32{1, 2, 0, 3}, false, []string{"", "", "Ø§<ا>", "Ġ", ""}},
		{"", []string{"<s>", "Ø", "§", " "}, []int32{1, 2}, true, []string{"", "", "ا"}},
	} {
		const fused = `{"type":"Sequence","decoders":[%s{"type":"Fuse"},{"type":"Sequence","decoders":[{"type":"ByteLevel"}]}]}`
		tok := chained(t, chainVocab{c.vocab, 1}, json.RawMessage(fmt.Sprintf(fused, c.before)))
		if got := checkStream(t, tok, c.ids, c.skip); !slices.Equal(got, c.want) {
			t.Errorf("%q of %q, skip %v: %q, want %q", c.ids, c.vocab, c.skip, got, c.want)
		}
	}
}

// TestStreamCost: the memory that a stream takes grows with its tokens, not
// with their square.
func TestStreamCost(t *testing.T) {
	taken := func(tok *Tokenizer, n int) uint64 {
		ids := tok.Encode("وزارة الصحة تعلن 😀 <0xE2> new cases. ", false)
		s := tok.Stream(true)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for i := range n {
			s.Push(ids[i%len(ids)])
		}
		s.Flush()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	for name, tok := range everyTokenizer(t) {
		taken(tok, 100)
		if few, many := taken(tok, 2000), taken(tok, 16000); many > 12*few+1<<16 {
			t.Errorf("%s: 2000 tokens take %d bytes, 16000 take %d", name, few, many)
		}
	}
}

// FuzzStream: any chain of nodes streams any tokens as the text that the
// oracle gives for all of them.
func FuzzStream(f *testing.F) {
	v, rows := readChains[struct {
		Decoder json.RawMessage `json:"decoder"`
	}](f)
	kinds := []string{`{"type":"Fuse"}`, `{"type":"ByteLevel"}`, `{"type":"ByteFallback"}`}
	for _, r := range rows {
		var n struct {
			Type     string            `json:"type"`
			Decoders []json.RawMessage `json:"decoders"`
		}
		if json.Unmarshal(r.Decoder, &n); n.Type == "Sequence" {
			for _, d := range n.Decoders {
				if s := string(d); !slices.Contains(kinds, s) && len(kinds) < 200 {
					kinds = append(kinds, s)
				}
			}
		}
	}
	f.Add([]byte{2, 0, 3, 1}, []byte{1, 2, 200, 3, 0xd9, 0x83})
	f.Add([]byte{0, 1}, []byte("\xf0\x9f\x98\x80 \xe2\x96"))
	f.Add([]byte{}, []byte("abc"))
	f.Fuzz(func(t *testing.T, chain, list []byte) {
		if len(chain) > 6 || len(list) > 64 {
			return
		}
		var nodes []string
		for _, b := range chain {
			nodes = append(nodes, kinds[int(b)%len(kinds)])
		}
		tok := chained(t, v, json.RawMessage(`{"type":"Sequence","decoders":[`+strings.Join(nodes, ",")+`]}`))
		var ids []int32
		for i, b := range list { // a byte as a token, as characters, or any word
			switch id := int32(b); i & 3 {
			case 0:
				ids = append(ids, int32(v.Special)+id)
			case 1:
				ids = append(ids, int32(v.Special)+256+id)
			default:
				ids = append(ids, int32(len(v.Vocab)-1)-id%60)
			}
		}
		checkStream(t, tok, ids, len(list)&1 == 0)
	})
}

// TestDecoderFields: fields of nodes that the reference refuses are errors.
func TestDecoderFields(t *testing.T) {
	for dec, want := range map[string]string{
		`{"type":"Strip","content":"","start":1}`:                "Strip",
		`{"type":"Strip","content":"ab","start":1,"stop":0}`:     "one character",
		`{"type":"Strip","content":"a","start":-1,"stop":0}`:     "start -1",
		`{"type":"Metaspace","replacement":"ab"}`:                `"ab"`,
		`{"type":"Sequence","decoders":[{"type":"WordPiece"}]}`:  `decoder.decoders[0]: type "WordPiece" is not supported`,
		`{"type":"Replace","pattern":{"Oops":"a"},"content":""}`: "String or Regex",
	} {
		_, err := Parse([]byte(`{"decoder":` + dec + `,"model":{"type":"BPE","vocab":{"a":0},"merges":[]}}`))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", dec, err, want)
		}
	}
}
