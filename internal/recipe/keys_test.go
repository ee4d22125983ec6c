package recipe

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// field is a key of the schema with the field that holds it.
type field struct {
	key   string // dotted; * stands for a name
	owner reflect.Type
	name  string
	t     reflect.Type
}

// schema lists every key that a recipe may have.
func schema(t reflect.Type, at string) []field {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Pointer {
		return schema(t.Elem(), join(at, "*"))
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			all = append(all, schema(f.Type, at)...)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		key := join(at, name)
		if _, fixed := elsewhere[key]; fixed {
			continue
		}
		if inner := schema(f.Type, key); inner != nil {
			all = append(all, inner...)
			continue
		}
		all = append(all, field{key, t, f.Name, f.Type})
	}
	return all
}

// reads counts the reads of a field, by package directory and field name. A read is a
// selector that is not assigned to, outside the functions that only set or check options.
func reads(t *testing.T, dir string) map[string]int {
	t.Helper()
	found := map[string]int{}
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %v", dir, err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		written := map[ast.Expr]bool{}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if ok && (slices.Contains([]string{"Defaults", "Validate", "Seed", "UnmarshalJSON"}, f.Name.Name) ||
				filepath.Base(path) == "validate.go") {
				continue
			}
			ast.Inspect(d, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.AssignStmt:
					for _, l := range n.Lhs {
						written[l] = true
					}
				case *ast.SelectorExpr:
					if !written[n] {
						found[n.Sel.Name]++
					}
				}
				return true
			})
		}
	}
	return found
}

// TestEveryKeyIsRead: a setting that no stage reads would have no effect, but would be
// recorded as if it had.
func TestEveryKeyIsRead(t *testing.T) {
	known := map[string]map[string]int{}
	read := func(dir string) map[string]int {
		if known[dir] == nil {
			known[dir] = reads(t, dir)
		}
		return known[dir]
	}
	fields := schema(reflect.TypeFor[Recipe](), "")
	if len(fields) < 70 {
		t.Fatalf("only %d keys", len(fields))
	}
	for _, f := range fields {
		dir := filepath.Join("..", "..", strings.TrimPrefix(f.owner.PkgPath(), "barka/"))
		if f.key == "filter.preset" {
			continue // selects the defaults of the block
		}
		if read(dir)[f.name]+read(".")[f.name]+read("../backend")[f.name] == 0 {
			t.Errorf("%s is read by no code of %s", f.key, dir)
		}
	}
}

// other returns a value of a type that differs from every default and passes the checks.
func other(f field) any {
	special := map[string]any{
		"models.generator.endpoints": []any{map[string]any{"endpoint": "http://e.test/v1"}},
		"models.judge.endpoints":     []any{map[string]any{"endpoint": "http://e.test/v1"}}, "synth.judge_threshold": 2.5,
		"models.second.endpoints": []any{map[string]any{"endpoint": "http://e.test/v1"}}, "models.second.sets": []string{"sciq"},
		"translate.second_for": []string{"option"}, "translate.num_return": 3,
		"train.loss_norm": "hf-legacy", "train.objective": "text", "train.eval": "acva",
		"language": "fra_Latn", "dtype": "int8", "train.dtype": "int8", "train.schedule": "linear", "train.checkpointing": "on",
		"synth.json": true, "synth.skip_checks": []string{"unknown_name"}, "translate.reject_flags": []string{"hit_max"},
		"translate.from": "fra_Latn", "convert.*.benchmark": "boolq", "convert.*.split": "test", "convert.*.answer": "text",
		"wiki.api": "https://wiki.test/w/api.php", "wiki.links": 1,
		"wiki.form": "html", "wiki.title_language": "fr", "wiki.concurrency": 2,
		"translate.early_stopping": "never", "translate.vocabulary": "restricted",
		"translate.checks": "strict", "translate.min_score": -1.5, "translate.repetition_penalty": 1.5,
		"train.chat_format": "chatml", "train.chat_date": "2026-01-31", "wiki.max_chars": 900,
		"mix.limits": map[string]int{"x": 3}, "mix.at_least": map[string]int{"x": 3}, "mix.weights": map[string]float64{"x": 3},
		"mix.weights_by": "form", "mix.weights_of": "tokens", "filter.preset": "seed", "filter.permutations": 64,
		"decontaminate.tasks": "acva", "decontaminate.originals": []string{"boolq"},
		"train.layers": []int{1}, "train.init": "gaussian", "train.rank_pattern": map[string]int{"x": 3},
		"train.alpha_pattern": map[string]float64{"x": 3},
		"filter.reject_flags": []string{"copied"}, "filter.skip_rules": []string{"leak"},
		"filter.normalise.digits": "ascii", "convert.*.language": "arb_Arab",
		"publish.dataset": "o/other", "publish.adapter": "o/other", "publish.model": "o/other", "publish.base_model": "o/other",
		"eval.revisions":      map[string]string{"o/data": strings.Repeat("a", 40)},
		"inputs.instructions": map[string]string{"more": "x"}, "inputs.mix": map[string]string{"more": "x"},
	}
	if v, ok := special[f.key]; ok {
		return v
	}
	if strings.HasSuffix(f.key, ".min_score") {
		return -2.5
	}
	switch f.t.Kind() {
	case reflect.Bool:
		return true // or false, which is tried if true is the default
	case reflect.Int, reflect.Int64:
		return 9
	case reflect.Float64:
		return 0.625
	case reflect.String:
		return "another"
	case reflect.Slice:
		return []string{"another"}
	case reflect.Array: // of numbers
		return slices.Repeat([]float64{0.625}, f.t.Len())
	}
	panic(fmt.Sprintf("%s has a type without an example: %v", f.key, f.t))
}

// TestEveryKeyCounts sets each key of the schema and compares the options with which the
// stages run.
func TestEveryKeyCounts(t *testing.T) {
	base := map[string]any{}
	if err := json.Unmarshal([]byte(`{"name": "test", "models": {"generator": {"model": "g"}, "translator": "t",
			"second": {"model": "s", "endpoint": "http://s.test"}, "base": "b"},
		"wiki": {"dump": "x.xml"}, "synth": {}, "convert": {"sciq": {"data": "d"}}, "translate": {}, "filter": {},
			"mix": {"weights": {"a": 1}}, "train": {}, "eval": {"data": "d"}, "publish": {"dataset": "o/n"}}`), &base); err != nil {
		t.Fatal(err)
	}
	with := func(key string, v any) *Recipe {
		t.Helper()
		text, _ := json.Marshal(base)
		changed := map[string]any{}
		if err := json.Unmarshal(text, &changed); err != nil {
			t.Fatal(err)
		}
		at := changed
		parts := strings.Split(strings.Replace(key, "*", "sciq", 1), ".")
		for _, p := range parts[:len(parts)-1] {
			if at[p] == nil {
				at[p] = map[string]any{}
			}
			at = at[p].(map[string]any)
		}
		if key != "" {
			at[parts[len(parts)-1]] = v
		}
		switch key { // settings that need another one
		case "models.second.endpoints":
			delete(changed["models"].(map[string]any)["second"].(map[string]any), "endpoint")
		case "translate.temperature":
			changed["translate"].(map[string]any)["beam"] = 1
		case "translate.top_k", "translate.top_p", "translate.min_p":
			changed["translate"].(map[string]any)["beam"] = 1
			changed["translate"].(map[string]any)["temperature"] = 1
		case "translate.patience":
			changed["translate"].(map[string]any)["early_stopping"] = "ctranslate2"
		case "synth.json":
			changed["synth"].(map[string]any)["independent"] = true
		case "models.generator.key_variable", "models.generator.requests_per_minute", "models.generator.tokens_per_minute",
			"models.judge.key_variable", "models.judge.requests_per_minute", "models.judge.tokens_per_minute", "models.judge.endpoint",
			"models.judge.endpoints":
			m := changed["models"].(map[string]any)[parts[1]].(map[string]any)
			if m["endpoints"] == nil {
				m["endpoint"] = "http://e.test"
			}
			m["model"] = "another"
		case "train.patience":
			changed["mix"].(map[string]any)["validation"] = 0.1
		case "inputs.train":
			changed["train"].(map[string]any)["objective"] = "dpo"
		case "train.every", "train.eval_data", "train.eval_max_samples":
			changed["train"].(map[string]any)["eval"] = "acva"
		case "inputs.replay":
			changed["train"].(map[string]any)["replay_share"] = 0.1
		case "train.replay_share":
			changed["inputs"] = map[string]any{"replay": "english"}
		case "eval.revisions":
			delete(changed["eval"].(map[string]any), "data")
		case "inputs.passages":
			delete(changed, "wiki")
		case "wiki.max_tokens":
			changed["wiki"].(map[string]any)["tokenizer"] = "t"
		case "wiki.split":
			changed["wiki"].(map[string]any)["max_chars"] = 900
		case "convert.*.language":
			changed["convert"].(map[string]any)["sciq"].(map[string]any)["benchmark"] = "alpaca"
		case "wiki.data":
			delete(changed["wiki"].(map[string]any), "dump")
		case "wiki.api", "wiki.categories", "wiki.links", "wiki.contact", "wiki.search", "wiki.relevance",
			"wiki.title_language":
			w := changed["wiki"].(map[string]any)
			delete(w, "dump")
			w["titles"] = []string{"t"}
			if w["api"] == nil {
				w["api"] = "https://other.test/w/api.php"
			}
		}
		text, err := json.Marshal(changed)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", key, err)
			return nil
		}
		return r
	}
	plain := with("", nil)
	for _, f := range schema(reflect.TypeFor[Recipe](), "") {
		v := other(f)
		r := with(f.key, v)
		if r != nil && f.t.Kind() == reflect.Bool && reflect.DeepEqual(runsWith(r), runsWith(plain)) {
			r = with(f.key, false)
		}
		if r != nil && reflect.DeepEqual(runsWith(r), runsWith(plain)) {
			t.Errorf("%s: %v changes nothing that a stage is run with", f.key, v)
		}
	}
	// The stages' own checks must not set train.dtype.
	if r := with("train.dtype", "int8"); r != nil && (r.trainDType() != "int8" || with("dtype", "int8").trainDType() != "int8") {
		t.Error("train.dtype does not decide the type that train opens the model as")
	}
}

// runsWith returns a recipe's settings as the stages receive them.
func runsWith(r *Recipe) Recipe {
	c := *r
	c.doc, c.file, c.dir = nil, "", ""
	return c
}
