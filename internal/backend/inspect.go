package backend

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/chat"
	"barka/internal/checkpoint"
	"barka/internal/dataset"
	"barka/internal/hub"
	"barka/internal/model"
	"barka/internal/tokenizer"
)

// Inspection describes a model's directory. Only the names and shapes of the
// weights are read.
type Inspection struct {
	Dir          string
	Architecture string // from config.json
	Format       string // format of the weights
	Files        int    // number of weight files
	Stored       int64  // size of these files in bytes
	Types        []string
	Tensors      int
	Values       int64 // number of values of all tensors, tied ones once
	Tokenizer    string
}

// Inspect describes a model, named by its directory or by the id of a cached
// hub model.
func Inspect(name string) (*Inspection, error) {
	dir, err := hub.Resolve(name)
	if err != nil {
		return nil, err
	}
	text, err := model.ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	var c struct {
		Architectures []string `json:"architectures"`
		Vocab         int      `json:"vocab_size"`
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, badinput.Errorf("%s/config.json: %w", dir, err)
	}
	i := &Inspection{Dir: dir, Architecture: strings.Join(c.Architectures, ", ")}
	if err := i.weights(); err != nil {
		return nil, err
	}
	i.Tokenizer, err = inspectTokenizer(dir, c.Vocab)
	return i, err
}

func (i *Inspection) weights() error {
	format, paths, err := checkpoint.Paths(i.Dir)
	if err != nil {
		return err
	}
	i.Format, i.Files = format, len(paths)
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return badinput.Wrap(err)
		}
		i.Stored += info.Size()
	}
	if i.Values, err = countValues(i.Dir); err != nil {
		return err
	}
	ck, err := checkpoint.Open(i.Dir)
	if err != nil {
		return err
	}
	defer ck.Close()
	types := map[string]bool{}
	for _, name := range ck.Names() {
		dt, _, _ := ck.Info(name)
		types[string(dt)] = true
		i.Tensors++
	}
	i.Types = slices.Sorted(maps.Keys(types))
	return nil
}

// nllbVocabulary is the vocabulary of the NLLB-200 models.
const nllbVocabulary = 256206

// genuine are the SHA-256 digests of the tokenizer files of all NLLB-200
// repositories, as facebook/nllb-200-1.3B lists them.
var genuine = map[string]string{
	"tokenizer.json":          "e316b82de11d0f951f370943b3c438311629547285129b0b81dadabd01bca665",
	"sentencepiece.bpe.model": "14bb8dfb35c0ffdea7bc01e56cea38b9e3d5efcdcb9c251d6b40538e1aab555a",
}

// inspectTemplate describes a tokenizer's chat template, if it has one.
func inspectTemplate(tok *tokenizer.Tokenizer) string {
	if tok.ChatTemplate() == "" {
		return ""
	}
	format, err := chat.For(tok)
	if err != nil {
		return "; " + err.Error()
	}
	end, ok := format.EndOfTurn()
	if !ok {
		return "; its chat template has no control token after an answer, which train needs"
	}
	text, _ := tok.Token(end)
	return "; its chat template ends an answer with " + text
}

// inspectTokenizer describes a model's tokenizer.
func inspectTokenizer(dir string, vocab int) (string, error) {
	tok, err := tokenizer.Load(dir)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("%d tokens", tok.VocabSize())
	if vocab > 0 && tok.VocabSize() > vocab {
		text += fmt.Sprintf(", more than the %d of the model's vocabulary: it is not the tokenizer of this model", vocab)
	}
	text += inspectTemplate(tok)
	if vocab != nllbVocabulary && !strings.HasPrefix(tok.Class(), "Nllb") {
		return text, nil
	}
	for _, name := range slices.Sorted(maps.Keys(genuine)) {
		file, err := dataset.Describe(dir, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return "", err
		case file.SHA256 == genuine[name]:
			text += fmt.Sprintf("; %s is the original of NLLB-200", name)
		default:
			text += fmt.Sprintf("; %s is not the original of NLLB-200: its SHA-256 is %.12s…, expected %.12s…", name, file.SHA256, genuine[name])
		}
	}
	return text, nil
}
