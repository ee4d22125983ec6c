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
	Model     string `required:"" help:"Model directory or hub id." placeholder:"MODEL"`
	NoSpecial bool   `help:"Omit the tokens that the tokenizer adds to a text; with --decode, all special tokens."`
	Decode    bool   `help:"Read ids and write text."`
	Whole     bool   `help:"Take all of standard input as one text."`
}

func (tokenizeCmd) Help() string {
	return `Reads lines of UTF-8 text from standard input and writes a line of comma-separated ids for each, or
the reverse with --decode. A line ends with \n or \r\n. A lone \r is part of the text, and with
--whole every line end is.

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
	if e := out.Flush(); err == nil { // also the results of the lines before a bad one
		err = e
	}
	return err
}

// all converts the lines of standard input. A byte order mark is part of the text.
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
			return "", badinput.Errorf("%q is not a token id; --decode reads numbers, separated by commas or white space", f)
		}
		if _, ok := tok.Token(int32(id)); !ok {
			return "", badinput.Errorf("id %d is not in the vocabulary, which has %d tokens", id, tok.VocabSize())
		}
		ids = append(ids, int32(id))
	}
	return tok.Decode(ids, c.NoSpecial), nil
}
