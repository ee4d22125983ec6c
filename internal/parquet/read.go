package parquet

import (
	"fmt"
	"iter"
	"reflect"

	"barka/internal/badinput"
)

// Read reads the rows of the file at path as values of T, a struct or
// map[string]any. Columns are matched to fields by the `json` tag, as if each
// row were a JSON object. Columns without a field are skipped, and fields
// without a column stay zero. A file that shares no column with T is an error.
func Read[T any](path string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		f, err := Open(path)
		if err != nil {
			var zero T
			yield(zero, err)
			return
		}
		defer f.Close()
		for row, err := range rowsOf[T](f) {
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

func rowsOf[T any](f *File) iter.Seq2[T, error] {
	t := reflect.TypeFor[T]()
	if t == reflect.TypeFor[map[string]any]() {
		return any(f.Rows()).(iter.Seq2[T, error])
	}
	if t.Kind() != reflect.Struct {
		return failed[T](badinput.Errorf("%s: rows cannot be read into %v", f.path, t))
	}
	var columns []string
	for i := range t.NumField() {
		name := jsonName(t.Field(i))
		for _, c := range f.columns {
			if c.name == name {
				columns = append(columns, name)
			}
		}
	}
	if len(columns) == 0 {
		return failed[T](badinput.Errorf("%s: holds no rows of the kind %s: none of its columns (%s) is a field of it",
			f.path, t.Name(), f.columnNames()))
	}
	return structRows[T](f, columns)
}

func failed[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		yield(zero, err)
	}
}

func jsonName(field reflect.StructField) string {
	tag := field.Tag.Get("json")
	for i := range len(tag) {
		if tag[i] == ',' {
			tag = tag[:i]
			break
		}
	}
	if tag == "" {
		return field.Name
	}
	return tag
}

func structRows[T any](f *File, columns []string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var row int64
		for m, err := range f.Rows(columns...) {
			var v T
			if err == nil {
				row++
				if err = assign(reflect.ValueOf(&v).Elem(), m); err != nil {
					err = badinput.Errorf("%s: row %d: %w", f.path, row, err)
				}
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// assign stores a value of a row in a Go value by the rules of encoding/json:
// null leaves it zero, struct fields are matched by name, numbers must fit.
func assign(to reflect.Value, from any) error {
	if from == nil {
		return nil
	}
	switch v := from.(type) {
	case map[string]any:
		if to.Kind() == reflect.Struct {
			return assignStruct(to, v)
		}
	case []any:
		if to.Kind() == reflect.Slice {
			list := reflect.MakeSlice(to.Type(), len(v), len(v))
			for i := range v {
				if err := assign(list.Index(i), v[i]); err != nil {
					return fmt.Errorf("element %d: %w", i, err)
				}
			}
			to.Set(list)
			return nil
		}
	case string:
		if to.Kind() == reflect.String {
			to.SetString(v)
			return nil
		}
	default:
		if assignNumber(to, from) {
			return nil
		}
	}
	switch value := reflect.ValueOf(from); {
	case to.Kind() == reflect.Pointer:
		p := reflect.New(to.Type().Elem())
		to.Set(p)
		return assign(p.Elem(), from)
	case value.Type().AssignableTo(to.Type()):
		to.Set(value)
		return nil
	case value.Kind() == to.Kind() && value.Kind() == reflect.Bool:
		to.SetBool(value.Bool())
		return nil
	}
	if s := fmt.Sprint(from); len(s) <= 40 {
		return fmt.Errorf("%T value %s where %s is expected", from, s, to.Type())
	}
	return fmt.Errorf("%T value where %s is expected", from, to.Type())
}

// assignNumber stores a number that fits and reports whether it did.
func assignNumber(to reflect.Value, from any) bool {
	switch v := from.(type) {
	case int64:
		switch {
		case to.CanInt() && !to.OverflowInt(v):
			to.SetInt(v)
		case to.CanUint() && v >= 0 && !to.OverflowUint(uint64(v)):
			to.SetUint(uint64(v))
		case to.CanFloat():
			to.SetFloat(float64(v))
		default:
			return false
		}
		return true
	case uint64:
		if to.CanUint() && !to.OverflowUint(v) {
			to.SetUint(v)
			return true
		}
	case float64:
		if to.CanFloat() {
			to.SetFloat(v)
			return true
		}
	}
	return false
}

func assignStruct(to reflect.Value, from map[string]any) error {
	for i := range to.NumField() {
		field := to.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		name := jsonName(field)
		v, ok := from[name]
		if !ok {
			continue
		}
		if err := assign(to.Field(i), v); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
