package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"barka/internal/badinput"
	"barka/internal/hub"
	"barka/internal/lines"
	"barka/internal/tokenizer"
)

type tokenizeCmd struct {
	Model     string `required:"" help:"Model directory, or hub id."`
	NoSpecial bool   `help:"Leave out the tokens that the model's template adds; with --decode, all special tokens."`
	Decode    bool   `help:"Ids to text."`
	Whole     bool   `help:"All of standard input is one text."`
}

func (tokenizeCmd) Help() string {
	return `Reads standard input, UTF-8: a line of text in, a line of comma-separated ids out, or back with --decode. A line ends with \n or \r\n. A lone \r is part of the text; with --whole everything is.

Example: echo "مرحبا" | barka tokenize --model google/gemma-2-2b-it`
}

func (c *tokenizeCmd) Run(a *app) error {
	if err := a.ensure(tokenizerOf(c.Model)); err != nil {
		return err
	}
	dir, err := hub.Resolve(c.Model)
	if err != nil {
		return err
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(a.stdout)
	err = c.all(a, tok, out)
	if e := out.Flush(); err == nil { // also what came before a bad line
		err = e
	}
	return err
}

// all converts the lines of standard input. A byte order mark is content here.
func (c *tokenizeCmd) all(a *app, tok *tokenizer.Tokenizer, out io.Writer) error {
	if c.Whole {
		text, err := a.whole()
		if err == nil {
			text, err = c.convert(tok, text)
		}
		if err == nil {
			_, err = fmt.Fprintln(out, text)
		}
		return err
	}
	return a.each(lines.Read(lines.Stdin, a.stdin), func(line lines.Line) error {
		text, err := c.convert(tok, string(line.Data))
		if err != nil {
			return line.Errorf("%w", err)
		}
		_, err = fmt.Fprintln(out, text)
		return err
	})
}

func (c *tokenizeCmd) convert(tok *tokenizer.Tokenizer, line string) (string, error) {
	if !c.Decode {
		var b strings.Builder
		for i, id := range tok.Encode(line, !c.NoSpecial) {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strconv.Itoa(int(id)))
		}
		return b.String(), nil
	}
	var ids []int32
	for _, f := range strings.FieldsFunc(line, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		id, err := strconv.ParseInt(f, 10, 32)
		if err != nil {
			return "", badinput.Errorf("%q is not a token id", f)
		}
		if _, ok := tok.Token(int32(id)); !ok {
			return "", badinput.Errorf("id %d is not in the vocabulary of %d", id, tok.VocabSize())
		}
		ids = append(ids, int32(id))
	}
	return tok.Decode(ids, c.NoSpecial), nil
}
