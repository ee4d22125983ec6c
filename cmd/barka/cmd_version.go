package main

import "barka/internal/version"

type versionCmd struct{}

func (versionCmd) Help() string {
	return `Prints the version, the commit that it was built from, the version of Go and the system. --version
prints the number alone.

Example: barka version --json`
}

func (versionCmd) Run(a *app) error { return a.ui.Print(version.Of().String(), version.Of()) }
