//go:build !unix

package pipeline

import "os"

// acquire opens the file at path. Without flock two processes are not kept
// apart here.
func acquire(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
}
