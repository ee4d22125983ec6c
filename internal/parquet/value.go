package parquet

import (
	"fmt"

	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"barka/internal/lines"
)

// meaning is what the annotations of a leaf column say about its values.
type meaning struct {
	text, unsigned, narrow bool
	unsupported            string // a type that is not read, "" if it is
}

func meaningOf(t pq.Type) (m meaning) {
	m.narrow = t.Kind() == pq.Int32
	if l := t.LogicalType(); l != nil && l.Value != nil {
		switch v := l.Value.(type) {
		case *format.StringType, *format.EnumType, *format.JsonType:
			m.text = true
		case *format.IntType:
			m.unsigned = !v.IsSigned
		case *format.DecimalType, *format.Float16Type:
			m.unsupported = l.String()
		}
		return m
	}
	if c := t.ConvertedType(); c != nil {
		switch *c {
		case deprecated.UTF8, deprecated.Enum, deprecated.Json:
			m.text = true
		case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
			m.unsigned = true
		case deprecated.Decimal:
			m.unsupported = "DECIMAL"
		}
	}
	return m
}

// number makes a Go value of an integer: int64, or uint64 for what is larger.
func (n *node) number(v int64) (any, error) {
	switch {
	case n.unsupported != "":
		return nil, n.refuse()
	case !n.unsigned:
		return v, nil
	case n.narrow:
		return int64(uint32(v)), nil
	case v < 0:
		return uint64(v), nil
	}
	return v, nil
}

// bytes makes a string, which is UTF-8, or a copy for binary columns.
func (n *node) bytes(v []byte) (any, error) {
	if n.unsupported != "" {
		return nil, n.refuse()
	}
	if n.text {
		return string(v), lines.UTF8(v)
	}
	return append([]byte{}, v...), nil
}

func (n *node) refuse() error {
	return fmt.Errorf("values of type %s are not supported", n.unsupported)
}
