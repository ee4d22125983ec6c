// Package version holds the version of this program, which manifests and
// results state.
package version

// Barka is the version of this program.
const Barka = "0.1.0"
