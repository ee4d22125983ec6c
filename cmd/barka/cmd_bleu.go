package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"barka/internal/badinput"
	"barka/internal/lines"
	"barka/internal/sacrebleu"
)

// metricFlags choose how translations are scored.
type metricFlags struct {
	Metrics   []string `help:"What to compute: bleu, chrf or chrf++." default:"bleu,chrf,chrf++" enum:"bleu,chrf,chrf++"`
	Tokenize  string   `help:"How BLEU divides sentences into words: 13a, intl, char or none." enum:"13a,intl,char,none" default:"13a"`
	Lowercase bool     `help:"Ignore case."`
}

type bleuCmd struct {
	metricFlags
	Reference  []string `required:"" help:"File with a reference per line; more than one for several references." placeholder:"FILE"`
	Sentences  bool     `help:"Score every line alone."`
	Decimals   int      `help:"Digits after the point." default:"1"`
	Hypotheses string   `arg:"" optional:"" help:"File with a translation per line; default: standard input." placeholder:"FILE"`
}

func (bleuCmd) Help() string {
	return `Scores translations against references with BLEU, chrF and chrF++. Figures, names and signatures are
those of sacrebleu ` + sacrebleu.Version + `; the line numbers of both files correspond.

With --sentences there is a line of scores for each line, separated by tabs, or a JSON line with
--json.

Example:

  barka bleu --reference test.ar < translated.ar`
}

func (c *bleuCmd) Run(a *app) error {
	pairs, err := c.open(a)
	if err != nil {
		return err
	}
	defer pairs.close()
	if c.Sentences {
		return c.sentences(a, pairs)
	}
	s, err := c.scores()
	if err != nil {
		return err
	}
	if err := pairs.each(a, s.add); err != nil {
		return err
	}
	return a.ui.Print(s.text(c.Decimals), s)
}

// sentences prints the scores of every line alone.
func (c *bleuCmd) sentences(a *app, pairs *linePairs) error {
	s, err := c.scores()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(a.stdout)
	err = pairs.each(a, func(hypothesis string, references []string) {
		row, fields := map[string]float64{}, []string{}
		for _, m := range s.metrics {
			one := m.Sentence(hypothesis, references)
			row[one.Name] = one.Value
			fields = append(fields, fmt.Sprintf("%.*f", c.Decimals, one.Value))
		}
		if a.JSON {
			json.NewEncoder(out).Encode(row) // of numbers; an error of out is that of Flush
			return
		}
		fmt.Fprintln(out, strings.Join(fields, "\t"))
	})
	if e := out.Flush(); err == nil {
		err = e
	}
	return err
}

// scores accumulates translations with their references for several metrics.
type scores struct {
	metrics []sacrebleu.Metric
	lines   int
}

// scores returns the metrics of the flags.
func (f metricFlags) scores() (*scores, error) {
	s := &scores{}
	for _, name := range f.Metrics {
		m, err := sacrebleu.ByName(name, sacrebleu.Tokenizer(f.Tokenize), f.Lowercase)
		if err != nil {
			return nil, err
		}
		s.metrics = append(s.metrics, m)
	}
	return s, nil
}

func (s *scores) add(hypothesis string, references []string) {
	s.lines++
	for _, m := range s.metrics {
		m.Add(hypothesis, references)
	}
}

// text has a line for each metric.
func (s *scores) text(decimals int) string {
	var out []string
	for _, m := range s.metrics {
		out = append(out, m.Score().String(decimals))
	}
	return strings.Join(out, "\n")
}

// MarshalJSON has the lines and each metric's score.
func (s *scores) MarshalJSON() ([]byte, error) {
	all := struct {
		Lines  int               `json:"lines"`
		Scores []sacrebleu.Score `json:"scores"`
	}{Lines: s.lines}
	for _, m := range s.metrics {
		all.Scores = append(all.Scores, m.Score())
	}
	return json.Marshal(all)
}

// linePairs reads lines of translations with the lines of each reference file.
type linePairs struct {
	hypotheses iter.Seq2[lines.Line, error]
	name       string // of the hypotheses
	references references
	closers    []io.Closer
}

// open opens the files of the command.
func (c *bleuCmd) open(a *app) (*linePairs, error) {
	p := &linePairs{hypotheses: a.stdinLines(), name: lines.Stdin}
	if c.Hypotheses != "" && c.Hypotheses != "-" {
		f, err := os.Open(c.Hypotheses)
		if err != nil {
			return nil, badinput.Wrap(err)
		}
		p.closers = append(p.closers, f)
		p.name, p.hypotheses = c.Hypotheses, lines.Read(c.Hypotheses, lines.SkipMark(f))
	}
	var err error
	if p.references, err = openReferences(c.Reference); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *linePairs) close() {
	for _, c := range p.closers {
		c.Close()
	}
	p.references.close()
}

// each calls f for every line with its references. All files must have as many lines.
func (p *linePairs) each(a *app, f func(hypothesis string, references []string)) error {
	n := 0
	err := a.each(p.hypotheses, func(line lines.Line) error {
		n = line.Number
		hypothesis := string(line.Data)
		refs, err := p.references.next(n)
		if err == nil {
			f(hypothesis, refs)
		}
		return err
	})
	if err == nil {
		err = p.references.end(n)
	}
	if err == nil && n == 0 {
		err = badinput.Errorf("%s: no line", p.name)
	}
	return err
}

// references reads files with a reference per line side by side.
type references []*referenceFile

type referenceFile struct {
	name string
	file *os.File
	next func() (lines.Line, error, bool)
	stop func()
}

func openReferences(names []string) (references, error) {
	var all references
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			all.close()
			return nil, badinput.Wrap(err)
		}
		r := &referenceFile{name: name, file: f}
		r.next, r.stop = iter.Pull2(lines.Read(name, lines.SkipMark(f)))
		all = append(all, r)
	}
	return all, nil
}

// next returns the line of each file for line n of the translations.
func (r references) next(n int) ([]string, error) {
	var texts []string
	for _, f := range r {
		line, err, ok := f.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, badinput.Errorf("%s has %d lines, but there are more translations; expected a reference per line", f.name, n-1)
		}
		texts = append(texts, string(line.Data))
	}
	return texts, nil
}

// end reports references without a translation, after n lines.
func (r references) end(n int) error {
	for _, f := range r {
		if _, err, ok := f.next(); err != nil {
			return err
		} else if ok {
			return badinput.Errorf("%s has more than the %d lines that were translated; expected a reference per line", f.name, n)
		}
	}
	return nil
}

func (r references) close() {
	for _, f := range r {
		f.stop()
		f.file.Close()
	}
}
