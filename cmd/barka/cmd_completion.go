package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

func (completionCmd) Help() string {
	return `Prints a script that completes verbs and flags in a shell.

Examples:
  source <(barka completion bash)
  barka completion zsh > "${fpath[1]}/_barka"
  barka completion fish > ~/.config/fish/completions/barka.fish`
}

func (c *completionCmd) Run(a *app) error {
	parser, err := newParser(new(commands))
	if err != nil {
		return err
	}
	var nodes []completed
	walkCommands(parser.Model.Node, "", parser.Model.Flags, &nodes)
	write := map[string]func([]completed) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[c.Shell]
	_, err = fmt.Fprint(a.stdout, write(nodes))
	return err
}

// completed is a verb with the words that may follow it.
type completed struct {
	path     string // such as "eval merge"; "" before any verb
	children []*kong.Node
	flags    []*kong.Flag
}

// walkCommands lists a node and its verbs. Every verb has the global flags.
func walkCommands(n *kong.Node, path string, global []*kong.Flag, to *[]completed) {
	c := completed{path: path}
	for _, child := range n.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			c.children = append(c.children, child)
		}
	}
	all := global
	if path != "" {
		all = append(append([]*kong.Flag{}, n.Flags...), global...)
		if n.DefaultCmd != nil { // its flags may follow at once
			all = append(append([]*kong.Flag{}, n.DefaultCmd.Flags...), all...)
		}
	}
	for _, f := range all {
		if !f.Hidden {
			c.flags = append(c.flags, f)
		}
	}
	*to = append(*to, c)
	for _, child := range c.children {
		walkCommands(child, strings.TrimSpace(path+" "+child.Name), global, to)
	}
}

// words returns the verbs and flags that may follow.
func (c completed) words() []string {
	var words []string
	for _, child := range c.children {
		words = append(words, child.Name)
	}
	for _, f := range c.flags {
		words = append(words, "--"+f.Name)
	}
	return words
}

// paths returns the pattern of a shell's case that matches all verbs but "".
func paths(nodes []completed) string {
	var all []string
	for _, n := range nodes[1:] {
		all = append(all, `"`+n.path+`"`)
	}
	return strings.Join(all, "|")
}

// followPath is the shell code, of bash and zsh, that finds the verb before the cursor.
const followPath = `  for ((i = %s; i < %s; i++)); do
    w="${path:+$path }${%s}"
    case "$w" in
      %s) path="$w" ;;
    esac
  done
`

func bashCompletion(nodes []completed) string {
	var b strings.Builder
	b.WriteString("# Completion of barka for bash: source <(barka completion bash)\n_barka() {\n" +
		"  local path= words= w i cur=\"${COMP_WORDS[COMP_CWORD]}\"\n")
	fmt.Fprintf(&b, followPath, "1", "COMP_CWORD", "COMP_WORDS[i]", paths(nodes))
	b.WriteString("  case \"$path\" in\n")
	for _, n := range nodes {
		fmt.Fprintf(&b, "    %q) words=%q ;;\n", n.path, strings.Join(n.words(), " "))
	}
	b.WriteString("  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F _barka barka\n")
	return b.String()
}

func zshCompletion(nodes []completed) string {
	var b strings.Builder
	b.WriteString("#compdef barka\n# Completion of barka for zsh: barka completion zsh > \"${fpath[1]}/_barka\"\n_barka() {\n" +
		"  local path= w i\n  local -a verbs flags\n")
	fmt.Fprintf(&b, followPath, "2", "CURRENT", "words[i]", paths(nodes))
	b.WriteString("  case \"$path\" in\n")
	for _, n := range nodes {
		fmt.Fprintf(&b, "    %q)\n", n.path)
		for _, child := range n.children {
			fmt.Fprintf(&b, "      verbs+=(%s)\n", quoted(child.Name+":"+child.Help))
		}
		for _, f := range n.flags {
			fmt.Fprintf(&b, "      flags+=(%s)\n", quoted("--"+f.Name+":"+f.Help))
		}
		b.WriteString("      ;;\n")
	}
	b.WriteString(`  esac
  if [[ $PREFIX == -* ]]; then
    _describe -o flag flags
  elif (( $#verbs )); then
    _describe verb verbs
  else
    _files
  fi
}
if [ "$funcstack[1]" = _barka ]; then _barka "$@"; else compdef _barka barka; fi
`)
	return b.String()
}

func fishCompletion(nodes []completed) string {
	var b strings.Builder
	b.WriteString("# Completion of barka for fish: barka completion fish > ~/.config/fish/completions/barka.fish\n")
	for _, n := range nodes {
		condition := "__fish_use_subcommand"
		if n.path != "" {
			verbs := strings.Fields(n.path)
			condition = "__fish_seen_subcommand_from " + verbs[0]
			for _, v := range verbs[1:] {
				condition += "; and __fish_seen_subcommand_from " + v
			}
		}
		for _, child := range n.children {
			fmt.Fprintf(&b, "complete -c barka -f -n %s -a %s -d %s\n", quoted(condition), child.Name, quoted(child.Help))
		}
		for _, f := range n.flags {
			fmt.Fprintf(&b, "complete -c barka -n %s -l %s -d %s", quoted(condition), f.Name, quoted(f.Help))
			if f.Short != 0 {
				fmt.Fprintf(&b, " -s %c", f.Short)
			}
			if !f.IsBool() {
				b.WriteString(" -r")
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// quoted returns a text in the single quotes of a shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
