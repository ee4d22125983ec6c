package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"barka/internal/badinput"
	"barka/internal/hub"
	"barka/internal/tokenizer"
)

type tokenizeCmd struct {
	Model     string `required:"" help:"Model directory, or hub id."`
	NoSpecial bool   `help:"Leave out the tokens that the model's template adds; with --decode, all special tokens."`
	Decode    bool   `help:"Ids to text."`
	Whole     bool   `help:"All of standard input is one text."`
}

func (tokenizeCmd) Help() string {
	return `Reads standard input: a line of text in, a line of comma-separated ids out, or back with --decode.

Example: echo "مرحبا" | barka tokenize --model google/gemma-2-2b-it`
}

func (c *tokenizeCmd) Run(a *app) error {
	if err := a.need(tokenizerOf(c.Model)); err != nil {
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
	one := func(n int, line string) error {
		text, err := c.convert(tok, line)
		if err != nil {
			return badinput.Errorf("standard input, line %d: %w", n, err)
		}
		_, err = fmt.Fprintln(out, text)
		return err
	}
	if c.Whole {
		data, err := io.ReadAll(a.stdin)
		if err != nil {
			return err
		}
		if err := one(1, string(data)); err != nil {
			return err
		}
		return out.Flush()
	}
	if err := a.lines(one); err != nil {
		return err
	}
	return out.Flush()
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
	for _, f := range strings.FieldsFunc(line, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' }) {
		id, err := strconv.ParseInt(f, 10, 32)
		if err != nil {
			return "", fmt.Errorf("%q is not a token id", f)
		}
		if _, ok := tok.Token(int32(id)); !ok {
			return "", fmt.Errorf("id %d is not in the vocabulary of %d", id, tok.VocabSize())
		}
		ids = append(ids, int32(id))
	}
	return tok.Decode(ids, c.NoSpecial), nil
}
