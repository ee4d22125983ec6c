package badinput

import (
	"encoding/json"
	"errors"
	"io/fs"
)

// ReadJSON reads a file of settings into v. For a missing file it returns the error of
// package os; every other error is an Error that names the file.
func ReadJSON(path string, v any) error {
	data, err := ReadFile(path, MaxSettings)
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil && !Is(err) {
		return Errorf("%s: %w", path, err)
	}
	return err
}
