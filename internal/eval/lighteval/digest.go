package lighteval

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// hex64 formats a digest as xxhash.hexdigest does.
func hex64(sum uint64) string { return fmt.Sprintf("%016x", sum) }

// DigestText returns the xxHash64 (seed 0) of a text.
func DigestText(s string) string { return hex64(xxhash.Sum64String(s)) }

// DigestSorted returns the digest of a task: that of its questions' digests, sorted and
// joined. It does not change digests.
func DigestSorted(digests []string) string {
	d := xxhash.New()
	for _, s := range slices.Sorted(slices.Values(digests)) {
		d.WriteString(s)
	}
	return hex64(d.Sum64())
}

// listDigest computes the digest of Python's str() of a list of lists of tokens. It works
// list by list, because the padded lists of one question can be long.
type listDigest struct {
	d       xxhash.Digest
	started bool
	scratch []byte
}

// add appends one list: the tokens, followed by padding times the token pad.
func (l *listDigest) add(tokens []int32, padding int, pad int32) {
	open := ", "
	if !l.started {
		l.d.Reset()
		l.started, open = true, "["
	}
	l.scratch = appendPadded(append(l.scratch[:0], open...), tokens, padding, pad)
	l.d.Write(l.scratch)
}

// appendPadded appends Python's str() of a list of tokens, followed by padding times the
// token pad.
func appendPadded(b []byte, tokens []int32, padding int, pad int32) []byte {
	b = append(b, '[')
	for _, t := range tokens {
		b = append(strconv.AppendInt(b, int64(t), 10), ", "...)
	}
	one := append(strconv.AppendInt(nil, int64(pad), 10), ", "...)
	for range padding {
		b = append(b, one...)
	}
	if len(tokens)+padding > 0 {
		b = b[:len(b)-2]
	}
	return append(b, ']')
}

// sum closes the list.
func (l *listDigest) sum() string {
	if !l.started {
		return DigestText("[]")
	}
	l.d.WriteString("]")
	return hex64(l.d.Sum64())
}
