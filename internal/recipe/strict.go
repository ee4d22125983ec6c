package recipe

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"barka/internal/nearest"
	"barka/internal/version"
)

// elsewhere lists the fields of stages' options that a block must not set, with the
// key that sets them. "" marks fields that are computed.
var elsewhere = map[string]string{
	"synth.model": "models.generator.model", "synth.model_digest": "", "synth.prompts_digest": "",
	"synth.judge": "models.judge.model", "synth.judge_digest": "",
	"convert.*.model": "models.generator.model", "convert.*.model_digest": "", "convert.*.templates_digest": "", "convert.*.source": "",
	"translate.model": "models.translator", "translate.model_digest": "", "translate.placeholder": "",
	"translate.second": "models.second.model", "translate.second_digest": "",
	"translate.columns": notHere + "barka translate --columns", "translate.to_column": notHere + "barka translate --to-column",
	"decontaminate.questions_digest": "", "translate.to": "language",
}

// notHere begins what elsewhere has for settings that only a verb takes.
const notHere = "the rows of a recipe have messages; see "

// setElsewhere looks a key up in elsewhere, where * stands for the name of a set.
func setElsewhere(key string) (by string, fixed bool) {
	if parts := strings.Split(key, "."); len(parts) == 3 && parts[0] == "convert" {
		key = "convert.*." + parts[2]
	}
	by, fixed = elsewhere[key]
	return by, fixed
}

// checkMapping compares a mapping with the struct or map that it is read into. Keys
// that cannot be read become problems and are removed.
func (d *document) checkMapping(values map[string]any, t reflect.Type, at string) {
	var known map[string]reflect.Type
	if t.Kind() == reflect.Struct {
		var aliases map[string]string
		known, aliases = keys(t, at)
		d.rename(values, aliases, at)
	}
	names := slices.SortedFunc(maps.Keys(values), func(a, b string) int {
		return cmp.Or(cmp.Compare(d.line(join(at, a)), d.line(join(at, b))), cmp.Compare(a, b))
	})
	for _, name := range names {
		key := join(at, name)
		field, ok := known[name]
		if t.Kind() == reflect.Map {
			field, ok = t.Elem(), true // any key is allowed
		}
		if !ok {
			d.unknown(key, name, at, known)
			delete(values, name)
			continue
		}
		if values[name] == nil && (at == "" || at == "convert") && block(field) {
			values[name] = map[string]any{} // an empty block has its defaults
		}
		values[name] = exponent(values[name], field)
		if !d.checkValue(values[name], field, key) {
			delete(values, name)
		}
	}
}

// rename moves settings under an earlier name to their present one.
func (d *document) rename(values map[string]any, aliases map[string]string, at string) {
	for earlier, name := range aliases {
		v, given := values[earlier]
		if !given {
			continue
		}
		if _, twice := values[name]; twice {
			d.say(join(at, earlier), "%s is given twice, once as %s; leave %s out", name, earlier, earlier)
		} else {
			values[name], d.lines[join(at, name)] = v, d.line(join(at, earlier))
		}
		delete(values, earlier)
	}
}

// unknown adds the problem of a key that the schema does not have.
func (d *document) unknown(key, name, at string, known map[string]reflect.Type) {
	switch set, fixed := setElsewhere(key); {
	case strings.HasPrefix(set, notHere):
		d.add(key, "is not for recipes: %s", set)
		return
	case fixed && set != "":
		d.add(key, "is not set here; set %s", set)
		return
	case fixed:
		d.add(key, "is computed; leave it out")
		return
	}
	names := slices.Sorted(maps.Keys(known))
	hint := "; a newer barka than " + version.Barka + " may know it"
	if near := nearest.Name(name, names); near != "" {
		hint = "; did you mean " + near + "?"
	}
	d.say(key, "unknown key %q%s (keys of %s: %s)", key, hint, cmp.Or(at, "a recipe"), strings.Join(names, ", "))
}

// block reports whether a field is a block of settings.
func block(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Map || t.Kind() == reflect.Struct
}

// checkValue reports whether a value can be read into a type. If not, it adds the
// problem.
func (d *document) checkValue(v any, t reflect.Type, key string) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if v == nil {
		d.add(key, "has no value, expected %s; give one, or remove the line for the default", expected(t))
		return false
	}
	if t.Kind() != reflect.Struct && reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		text, err := json.Marshal(v)
		if err == nil {
			err = json.Unmarshal(text, reflect.New(t).Interface()) // a type that reads its own spellings
		}
		if err != nil {
			d.say(key, "%s: %v", key, err)
		}
		return err == nil
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		if m, ok := v.(map[string]any); ok {
			d.checkMapping(m, t, key)
			return true
		}
	case reflect.Slice:
		if list, ok := v.([]any); ok {
			fine := true
			for i, e := range list {
				fine = d.checkValue(e, t.Elem(), fmt.Sprintf("%s[%d]", key, i)) && fine
			}
			return fine
		}
	default:
		if scalar(v, t) {
			return true
		}
	}
	d.add(key, "is %s, expected %s%s", show(v), expected(t), remedy(v, t))
	return false
}

// scientific matches numbers of YAML 1.2 that the parser takes for text.
var scientific = regexp.MustCompile(`^-?(0|[1-9][0-9]*)[eE][-+]?[0-9]+$`)

// exponent converts text such as 1e-4 to a number if a number is expected.
func exponent(v any, t reflect.Type) any {
	if s, ok := v.(string); ok && t.Kind() == reflect.Float64 && scientific.MatchString(s) {
		return json.Number(s)
	}
	return v
}

// scalar reports whether a value can be read into a type that is neither a list nor a
// mapping.
func scalar(v any, t reflect.Type) bool {
	switch v := v.(type) {
	case bool:
		return t.Kind() == reflect.Bool
	case string:
		return t.Kind() == reflect.String
	case json.Number:
		switch t.Kind() {
		case reflect.Int, reflect.Int64, reflect.Int32:
			_, err := v.Int64()
			return err == nil
		case reflect.Float64, reflect.Float32:
			f, err := v.Float64()
			return err == nil && !math.IsInf(f, 0)
		}
	}
	return false
}

// expected describes a type in the words of a recipe's author.
func expected(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64, reflect.Int32:
		return "a whole number"
	case reflect.Float64, reflect.Float32:
		return "a number"
	case reflect.String:
		return "text"
	case reflect.Slice:
		return "a list"
	case reflect.Map:
		return "names with a value each"
	}
	return "settings of its own"
}

// remedy returns the correction of a value of the wrong type, or "" if none is
// obvious.
func remedy(v any, t reflect.Type) string {
	switch v.(type) {
	case string, json.Number:
		if t.Kind() == reflect.Slice {
			return fmt.Sprintf("; write [%v]", v)
		}
	}
	switch v.(type) {
	case bool, json.Number:
		if t.Kind() == reflect.String {
			return fmt.Sprintf("; write \"%v\" in quotes", v)
		}
	}
	return ""
}

// keys returns the JSON names of a struct's fields that the block at a key may set,
// and the earlier names of some of them.
func keys(t reflect.Type, at string) (known map[string]reflect.Type, aliases map[string]string) {
	known, aliases = map[string]reflect.Type{}, map[string]string{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			k, a := keys(inner, at)
			maps.Copy(known, k)
			maps.Copy(aliases, a)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if _, set := setElsewhere(join(at, name)); name == "" || name == "-" || set {
			continue
		}
		known[name] = f.Type
		if alias := f.Tag.Get("alias"); alias != "" {
			aliases[alias] = name
		}
	}
	return known, aliases
}
