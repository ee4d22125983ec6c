package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// usage is the text of a mistake in the command line that the parser has found, with what to do.
func usage(err error) string {
	var p *kong.ParseError
	if !errors.As(err, &p) || p.Context == nil {
		return err.Error() + "\nSee \"barka --help\", or \"barka VERB --help\"."
	}
	text, node := p.Error(), p.Context.Selected()
	argument, extra := strings.CutPrefix(text, "unexpected argument ")
	argument, near, found := strings.Cut(argument, ", did you mean")
	if node == nil {
		if extra && found {
			text = "there is no verb " + argument + "; did you mean" + near
		} else if extra {
			text = "there is no verb " + argument
		}
		return text + "\n\"barka --help\" lists the verbs; \"barka demo\" shows what they do together."
	}
	if flag := inputFlag(node); extra && flag != "" {
		text = fmt.Sprintf("%s takes no argument %s; did you mean --%s %s?", node.Name, argument, flag, argument)
	}
	path := strings.TrimPrefix(node.FullPath(), "barka ")
	return fmt.Sprintf("%s\n\"barka %s --help\" has the flags and an example.", text, path)
}

// inputFlags are the flags for which people give an argument.
var inputFlags = []string{"in", "data", "model", "dump", "out"}

// inputFlag is the flag that an argument of a verb without arguments probably belongs to.
func inputFlag(node *kong.Node) string {
	for _, name := range inputFlags {
		if slices.ContainsFunc(node.Flags, func(f *kong.Flag) bool { return f.Name == name }) {
			return name
		}
	}
	return ""
}
