package translate

import (
	"slices"
	"strings"

	"barka/internal/segment"
)

// Rungs are the ways to translate a segment, in the order in which they are tried. Segments of
// Options.SecondFor have the last one first.
const (
	RungWhole    = "whole"     // in one piece, with placeholders for its protected spans
	RungNBest    = "n_best"    // the best other hypothesis that passes
	RungNoRepeat = "no_repeat" // in one piece, without repeated sequences of tokens
	RungPieces   = "pieces"    // what is between its protected spans, or its clauses, piece by piece
	RungSecond   = "second"    // in one piece, by the second translator
)

// noRepeatNGram is the setting of RungNoRepeat.
const noRepeatNGram = 4

// attempt is the translation of a segment by a rung.
type attempt struct {
	rung    string
	text    string      // with the protected spans
	plain   string      // without them
	tr      Translation // score and counts
	flags   []string
	reasons []string // the flags that act
}

// rung is a way to translate a segment with what the memory knows. If the memory lacks
// texts, it returns them. ok is false if the way does not exist for the segment.
type rung struct {
	name string
	try  func(w *worker, s segment.Segment, failed []attempt) (a attempt, lacks []request, ok bool, err error)
}

var ladder = []rung{
	{RungWhole, (*worker).inOnePiece},
	{RungNBest, (*worker).byRank},
	{RungNoRepeat, (*worker).withoutRepetition},
	{RungPieces, (*worker).inPieces},
	{RungSecond, (*worker).bySecond},
}

// ladder returns the rungs for a segment in their order.
func (w *worker) ladder(s segment.Segment) []rung {
	if slices.Contains(w.o.SecondFor, string(s.Kind)) {
		last := len(ladder) - 1
		return slices.Concat(ladder[last:], ladder[:last])
	}
	return ladder
}

// settled is the outcome of the ladder for a segment.
type settled struct {
	attempt
	retried []string // the flags for which earlier rungs were left
}

// settle translates a segment with what the memory knows, by the first rung that passes its
// checks. If none does, it is the one with the fewest reasons, which remain. If the memory
// lacks texts, settle returns them.
func (w *worker) settle(s segment.Segment) (settled, []request, error) {
	var failed []attempt
	var out settled
	for _, r := range w.ladder(s) {
		if w.c.whole && r.name != RungWhole {
			break
		}
		a, lacks, ok, err := r.try(w, s, failed)
		if err != nil || len(lacks) > 0 {
			return settled{}, lacks, err
		}
		if !ok {
			continue
		}
		a.rung = r.name
		if w.examine(s, &a); len(a.reasons) == 0 {
			out.attempt = a
			break
		}
		failed = append(failed, a)
	}
	for i, f := range failed {
		if out.rung == "" || len(out.reasons) > len(f.reasons) {
			out.attempt = failed[i]
		}
	}
	for _, f := range failed {
		for _, reason := range f.reasons {
			if !slices.Contains(out.retried, reason) && !slices.Contains(out.reasons, reason) {
				out.retried = append(out.retried, reason)
			}
		}
	}
	return out, nil, nil
}

// examine checks an attempt.
func (w *worker) examine(s segment.Segment, a *attempt) {
	a.flags = append(a.flags, w.o.check(s.Plain(), a.plain, a.tr)...)
	for _, f := range a.flags {
		if w.acts[f] {
			a.reasons = append(a.reasons, f)
		}
	}
}

// whole reports whether a segment can be given to the model in one piece.
func (w *worker) whole(s segment.Segment) bool { return len(s.Spans) == 0 || w.c.o.Form.Holds(s) }

// inOnePiece translates a segment with placeholders.
func (w *worker) inOnePiece(s segment.Segment, _ []attempt) (a attempt, lacks []request, ok bool, err error) {
	return w.by(usual, s)
}

func (w *worker) by(via route, s segment.Segment) (a attempt, lacks []request, ok bool, err error) {
	if !w.whole(s) {
		return a, nil, false, nil
	}
	r := w.ask(via, w.c.o.Form.Mask(s))
	tr, known, err := w.memory.get(r)
	if err != nil || !known {
		return a, []request{r}, false, err
	}
	return w.unmask(s, tr), nil, true, nil
}

// unmask puts the protected spans back into a translation.
func (w *worker) unmask(s segment.Segment, tr Translation) attempt {
	form := w.c.o.Form
	u := form.Unmask(s, tr.Text, w.o.finish)
	a := attempt{text: u.Text, plain: u.Plain, tr: tr}
	for _, p := range u.Problems {
		a.flags = append(a.flags, string(p))
	}
	a.tr.Alternatives = nil
	for _, alternative := range tr.Alternatives {
		alternative.Text = form.Unmask(s, alternative.Text, nil).Text
		a.tr.Alternatives = append(a.tr.Alternatives, alternative)
	}
	return a
}

// byRank takes the best of the other hypotheses that passes.
func (w *worker) byRank(s segment.Segment, failed []attempt) (a attempt, lacks []request, ok bool, err error) {
	if len(failed) == 0 {
		return a, nil, false, nil
	}
	r := w.ask(usual, w.c.o.Form.Mask(s))
	tr, _, err := w.memory.get(r)
	if err != nil {
		return a, nil, false, err
	}
	if tr.Dropped > 0 {
		// The text was the whole of another segment, which needed no other hypothesis.
		r.via = every
		known := false
		if tr, known, err = w.memory.get(r); err != nil || !known {
			return a, []request{r}, false, err
		}
	}
	all := append([]Alternative{{Text: tr.Text, Score: tr.Score, HitMax: tr.HitMax, Ignored: tr.Ignored}}, tr.Alternatives...)
	for i, other := range tr.Alternatives {
		a := w.unmask(s, Translation{Text: other.Text, Score: other.Score, HitMax: other.HitMax, Ignored: other.Ignored,
			Cut: tr.Cut, Unknown: tr.Unknown, Alternatives: slices.Delete(slices.Clone(all), i+1, i+2)})
		checked := a
		if w.examine(s, &checked); len(checked.reasons) == 0 {
			return a, nil, true, nil
		}
	}
	return a, nil, false, nil
}

// withoutRepetition translates again if the output repeats itself or does not end.
func (w *worker) withoutRepetition(s segment.Segment, failed []attempt) (a attempt, lacks []request, ok bool, err error) {
	loops := slices.ContainsFunc(failed, func(f attempt) bool {
		return slices.ContainsFunc(f.reasons, func(r string) bool { return r == FlagRepeated || r == FlagHitMax || r == FlagRatio })
	})
	_, streams := w.t.(Streamer)
	if !loops || !streams || w.o.NoRepeatNGram > 0 && w.o.NoRepeatNGram <= noRepeatNGram {
		return a, nil, false, nil
	}
	return w.by(unrepeated, s)
}

// inPieces translates what is between the protected spans, or the clauses. The score is the
// mean of the pieces' scores.
func (w *worker) inPieces(s segment.Segment, _ []attempt) (a attempt, lacks []request, ok bool, err error) {
	parts := segment.Smaller(s, w.c.o)
	if len(parts) < 2 {
		return a, nil, false, nil
	}
	var text, plain strings.Builder
	pieces := 0
	for _, p := range parts {
		if !p.Translated() {
			text.WriteString(p.Text)
			if p.Kind != segment.Span {
				plain.WriteString(p.Text)
			}
			continue
		}
		r := w.ask(usual, p.Text)
		tr, known, err := w.memory.get(r)
		if err != nil {
			return a, nil, false, err
		}
		if !known {
			lacks = append(lacks, r)
			continue
		}
		target := w.o.finish(unended(p.Text, tr.Text))
		text.WriteString(target)
		plain.WriteString(target)
		pieces++
		a.tr.Score += tr.Score
		a.tr.Cut += tr.Cut
		a.tr.Ignored = max(a.tr.Ignored, tr.Ignored)
		a.tr.Unknown += tr.Unknown
		a.tr.HitMax = a.tr.HitMax || tr.HitMax
	}
	a.tr.Score /= float32(max(pieces, 1))
	a.text, a.plain = text.String(), plain.String()
	return a, lacks, true, nil
}

// unended removes the full stop that translators put behind a piece of a sentence.
func unended(source, target string) string {
	if strings.HasSuffix(target, ".") && !strings.HasSuffix(target, "..") && !strings.HasSuffix(source, ".") {
		return strings.TrimSuffix(target, ".")
	}
	return target
}

// bySecond translates a segment by the second translator, if there is one.
func (w *worker) bySecond(s segment.Segment, _ []attempt) (a attempt, lacks []request, ok bool, err error) {
	if w.second == nil {
		return a, nil, false, nil
	}
	return w.by(second, s)
}
