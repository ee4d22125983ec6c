package model

import "barka/internal/checkpoint"

// Files holds the open files of a model's checkpoint. Architectures embed it in their models.
// Embedding tables are read from the files as long as the model is used.
type Files struct{ checkpoint checkpoint.File }

func (f *Files) own(ck checkpoint.File) { f.checkpoint = ck }

// Close unmaps and closes the files. The model must not be used afterwards. Further calls do
// nothing.
func (f *Files) Close() error {
	if f.checkpoint == nil {
		return nil
	}
	err := f.checkpoint.Close()
	f.checkpoint = nil
	return err
}

// owner is implemented by models that embed Files.
type owner interface{ own(checkpoint.File) }
