package atomicfile

import "encoding/json"

// WriteJSON creates or replaces the file at path with v as indented JSON and a line
// feed.
func WriteJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return WriteFile(path, append(data, '\n'))
}
