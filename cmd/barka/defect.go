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

// defect returns the report of a panic for the user, with its stack, and "" for
// any other error.
func (a *app) defect(err error) string {
	var p *panics.Error
	if !errors.As(err, &p) {
		return ""
	}
	return withoutSecrets(fmt.Sprintf("%v\nThis is a defect of barka, not of its input. Please report it with the "+
		"command, this text and, if you can share it, the input.\nbarka %s %s, %s %s/%s\n\n%s",
		err, version.Barka, a.verb, runtime.Version(), runtime.GOOS, runtime.GOARCH, p.Stack))
}

// withoutSecrets replaces the values of environment variables whose names mark
// secrets by the variables' names.
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
