package durable

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"barka/internal/badinput"
)

// Settings holds all settings that decide an output, as text by name. It is used to
// compare an existing output with a command.
type Settings map[string]string

// Add adds the members of a JSON object as "option NAME". The members of a
// nested object get dotted names.
func (s Settings) Add(options json.RawMessage) {
	d := json.NewDecoder(bytes.NewReader(options))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		s["options"] = string(options)
		return
	}
	s.add("option", " ", v)
}

func (s Settings) add(name, separator string, v any) {
	if m, ok := v.(map[string]any); ok {
		for k, v := range m {
			s.add(name+separator+k, ".", v)
		}
		return
	}
	text, err := json.Marshal(v)
	if err != nil {
		text = fmt.Append(nil, v)
	}
	s[name] = string(text)
}

// Differences lists how now differs from s, one phrase per setting, ordered by name.
// The list is empty if they are equal.
func (s Settings) Differences(now Settings) (all []string) {
	names := maps.Clone(s)
	maps.Copy(names, now)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		a, before := s[name]
		b, after := now[name]
		switch {
		case !before:
			all = append(all, fmt.Sprintf("%s is now %s and was not set", name, shorten(b)))
		case !after:
			all = append(all, fmt.Sprintf("%s was %s and is no longer set", name, shorten(a)))
		case a != b:
			all = append(all, fmt.Sprintf("%s was %s and is now %s", name, shorten(a), shorten(b)))
		}
	}
	return all
}

func shorten(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// Refusal returns the badinput error for a directory that was made with other settings.
// state is "made" or "begun". The error lists the differences and ends with remedy.
func Refusal(dir, state string, differences []string, remedy string) error {
	return badinput.Errorf("%s was %s with other settings: %s; %s", dir, state, strings.Join(differences, "; "), remedy)
}

// RestartOrElsewhere is the remedy of commands that have --restart.
const RestartOrElsewhere = "give --restart to make it again, or choose another --out"
