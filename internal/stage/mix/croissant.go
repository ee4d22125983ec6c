package mix

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"strings"

	"barka/internal/dataset"
)

// CroissantName is the file with the set's Croissant metadata (ML Commons Croissant 1.0,
// https://docs.mlcommons.org/croissant/docs/croissant-spec.html).
const CroissantName = "croissant.json"

// object is a JSON object.
type object = map[string]any

// croissantContext is the JSON-LD context that the specification prescribes.
const croissantContext = `{"@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column",
	"conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
	"data": {"@id": "cr:data", "@type": "@json"}, "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
	"dct": "http://purl.org/dc/terms/", "equivalentProperty": "cr:equivalentProperty",
	"examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract", "field": "cr:field",
	"fileObject": "cr:fileObject", "fileProperty": "cr:fileProperty", "fileSet": "cr:fileSet", "format": "cr:format",
	"includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath", "key": "cr:key", "md5": "cr:md5",
	"parentField": "cr:parentField", "path": "cr:path", "recordSet": "cr:recordSet", "references": "cr:references",
	"regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace", "samplingRate": "cr:samplingRate",
	"sc": "https://schema.org/", "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
	"transform": "cr:transform"}`

// croissant describes the set for programs: each file with its digest, and each split
// as a record set with its fields.
func (m *mixer) croissant(files []dataset.FileInfo) ([]byte, error) {
	var distribution, records []any
	for _, split := range []struct{ name, dir string }{{"train", "."}, {ValidationName, ValidationName}} {
		some := false
		for _, f := range files {
			if path.Dir(f.Name) != split.dir {
				continue
			}
			some = true
			distribution = append(distribution, object{"@type": "cr:FileObject", "@id": f.Name, "name": f.Name, "contentUrl": f.Name,
				"contentSize": fmt.Sprintf("%d B", f.Size), "encodingFormat": "application/x-parquet", "sha256": f.SHA256})
		}
		if !some {
			continue
		}
		set := split.name + "-files"
		distribution = append(distribution, object{"@type": "cr:FileSet", "@id": set, "name": set,
			"encodingFormat": "application/x-parquet", "includes": path.Join(split.dir, "part-*.parquet")})
		records = append(records, object{"@type": "cr:RecordSet", "@id": split.name, "name": split.name,
			"field": fields(split.name, set, "", reflect.TypeFor[dataset.Conversation]())})
	}
	_, all := m.lines(func(*class) string { return "" })
	var languages []string
	for _, code := range m.values(languageOf) {
		languages = append(languages, LanguageTag(code))
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(object{"@context": json.RawMessage(croissantContext), "@type": "sc:Dataset", "name": m.o.Name,
		"conformsTo": "http://mlcommons.org/croissant/1.0", "version": "1.0.0", "inLanguage": languages,
		"description": fmt.Sprintf("Conversations for fine-tuning, made with Barka: %d to train on, %d for validation. "+
			"README.md is the card.", all.train, all.validation),
		"license": licenceAddress(m.tag()), "keywords": m.tags(), "distribution": distribution, "recordSet": records})
	return out.Bytes(), err
}

// fields describes the columns of a row type. In a list of structs, column is the list's
// column, and its members are taken out of the values.
func fields(parent, set, column string, t reflect.Type) (all []any) {
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("parquet"), ",")
		id := parent + "/" + name
		f := object{"@type": "cr:Field", "@id": id, "name": name}
		if text := columnText[strings.TrimPrefix(id, strings.SplitN(id, "/", 2)[0]+"/")]; text != "" {
			f["description"] = text
		}
		kind := t.Field(i).Type
		if kind.Kind() == reflect.Slice {
			f["repeated"] = true
			kind = kind.Elem()
		}
		switch source := (object{"fileSet": object{"@id": set}, "extract": object{"column": cmp.Or(column, name)}}); kind.Kind() {
		case reflect.Struct:
			f["subField"] = fields(id, set, name, kind)
		case reflect.String:
			f["dataType"], f["source"] = "sc:Text", source
		default:
			f["dataType"], f["source"] = "sc:Integer", source
		}
		if column != "" {
			f["source"].(object)["transform"] = object{"jsonPath": name}
		}
		all = append(all, f)
	}
	return all
}

// columnText describes the columns.
var columnText = map[string]string{
	"id": "Identifies the row by its content. Copies of a row share it.", "dataset": "Source dataset.",
	"form": "Kind of source: question, conversation, choice, reading, arithmetic, instruction.",
	"kind": "Kinds of question of generated turns.", "language": "NLLB code of the messages' language.",
	"passage_id": "Passage that the row is about.", "title": "Page that the row is about.", "url": "Address of the page.",
	"revision": "Revision of the page, 0 if unknown.", "licence": "Licence of the source.",
	"generator": "Model that wrote the row, empty for people.", "prompt_digest": "Digest of the prompts of the generator.",
	"translator": "Model that translated the row.", "cluster": "Near-duplicates that the row belongs to.",
	"checks": "What checks noted about the row.", "repeat": "0, and 1, 2, … for copies of the row.",
	"conversations": "The conversation in the ShareGPT spelling.", "messages": "The conversation with roles and contents.",
}

// licenceAddress returns the address of a licence by its tag on the hub, or the tag.
func licenceAddress(tag string) string {
	if rest, ok := strings.CutPrefix(tag, "cc-"); ok {
		if i := strings.LastIndex(rest, "-"); i > 0 {
			return "https://creativecommons.org/licenses/" + rest[:i] + "/" + rest[i+1:] + "/"
		}
	}
	if address, ok := map[string]string{"cc0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
		"mit": "https://opensource.org/license/mit", "apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
		"odc-by": "https://opendatacommons.org/licenses/by/1-0/"}[tag]; ok {
		return address
	}
	return tag
}
