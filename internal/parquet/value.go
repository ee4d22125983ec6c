package parquet

import (
	"fmt"

	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"barka/internal/lines"
)

// meaning holds what the annotations of a leaf column say about its values.
type meaning struct {
	text, unsigned, narrow bool
	unsupported            string // the type, if it cannot be read
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

// number returns an integer as int64, or as uint64 above its range.
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

// bytes returns a string for text, which must be UTF-8, and otherwise a copy.
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
