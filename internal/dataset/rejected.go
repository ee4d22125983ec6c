package dataset

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// RejectedDir is the subdirectory of the rejected rows.
const RejectedDir = "rejected"

// rejectTable holds rejected rows: their own columns, then reason and detail.
// Rows whose type has no columns of its own are stored as JSON in a column
// `row`.
type rejectTable struct {
	table  *table
	in     reflect.Type
	asJSON bool
	counts map[string]int64 // by reason
}

type rejectedJSON struct {
	Row    string `json:"row" parquet:"row"`
	Reason string `json:"reason" parquet:"reason"`
	Detail string `json:"detail" parquet:"detail"`
}

func newRejectTable(dir string, limits Limits, in reflect.Type) *rejectTable {
	t := &rejectTable{in: in, counts: map[string]int64{}}
	rowType, ok := rejectedType(in)
	if !ok {
		rowType, t.asJSON = reflect.TypeFor[rejectedJSON](), true
	}
	t.table = newTable(dir, RejectedDir, limits, rowType)
	return t
}

// rejectedType returns the struct type in with the fields of a Reject appended.
func rejectedType(in reflect.Type) (reflect.Type, bool) {
	if in.Kind() != reflect.Struct {
		return nil, false
	}
	var fields []reflect.StructField
	for i := range in.NumField() {
		f := in.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("parquet"), ",")
		if !f.IsExported() || f.Anonymous || name == "" || name == "-" || name == "reason" || name == "detail" ||
			f.Name == "Reason" || f.Name == "Detail" {
			return nil, false
		}
		f.Offset, f.Index = 0, nil
		fields = append(fields, f)
	}
	for _, name := range []string{"Reason", "Detail"} {
		f, _ := reflect.TypeFor[rejectedJSON]().FieldByName(name)
		f.Offset, f.Index = 0, nil
		fields = append(fields, f)
	}
	t := reflect.StructOf(fields)
	return t, CheckRowType(t) == nil
}

func (t *rejectTable) write(row reflect.Value, why Reject) error {
	if row.Type() != t.in {
		return fmt.Errorf("dataset: rejected rows of two types, %v and %v", t.in, row.Type())
	}
	t.counts[why.Reason]++
	if t.asJSON {
		data, err := json.Marshal(row.Interface())
		if err != nil {
			return err
		}
		return t.table.write(reflect.ValueOf(rejectedJSON{string(data), why.Reason, why.Detail}))
	}
	v := reflect.New(t.table.rowType).Elem()
	for i := range row.NumField() {
		v.Field(i).Set(row.Field(i))
	}
	v.FieldByName("Reason").SetString(why.Reason)
	v.FieldByName("Detail").SetString(why.Detail)
	return t.table.write(v)
}
