package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"barka/internal/panics"
	"barka/internal/version"
)

// defect returns the report of a panic, "" for other errors: what the user is
// told, with the stack.
func (a *app) defect(err error) string {
	var p *panics.Error
	if !errors.As(err, &p) {
		return ""
	}
	return withoutSecrets(fmt.Sprintf("%v\nThis is a defect of barka, not of its input. Please report it with the "+
		"command, this text and, if it can be shared, the input.\nbarka %s %s, %s %s/%s\n\n%s",
		err, version.Barka, a.verb, runtime.Version(), runtime.GOOS, runtime.GOARCH, p.Stack))
}

// withoutSecrets blots out what the environment holds under the name of a
// secret.
func withoutSecrets(text string) string {
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		value = strings.TrimSpace(value)
		for _, word := range []string{"TOKEN", "KEY", "SECRET", "PASSWORD"} {
			if len(value) >= 8 && strings.Contains(strings.ToUpper(name), word) {
				text = strings.ReplaceAll(text, value, "$"+name)
			}
		}
	}
	return text
}
