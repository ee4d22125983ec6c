package parquet

import (
	"fmt"
	"math"

	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// converter chooses how values of the leaf column become Go values.
func converter(c *pq.Column) func(pq.Value) (any, error) {
	t := c.Type()
	text, unsigned, unsupported := annotations(t)
	if unsupported != "" {
		return func(pq.Value) (any, error) {
			return nil, fmt.Errorf("values of type %s are not supported", unsupported)
		}
	}
	switch t.Kind() {
	case pq.Boolean:
		return func(v pq.Value) (any, error) { return v.Boolean(), nil }
	case pq.Int32:
		if unsigned {
			return func(v pq.Value) (any, error) { return int64(v.Uint32()), nil }
		}
		return func(v pq.Value) (any, error) { return int64(v.Int32()), nil }
	case pq.Int64:
		if unsigned {
			return func(v pq.Value) (any, error) {
				if u := v.Uint64(); u > math.MaxInt64 {
					return u, nil
				}
				return v.Int64(), nil
			}
		}
		return func(v pq.Value) (any, error) { return v.Int64(), nil }
	case pq.Float:
		return func(v pq.Value) (any, error) { return float64(v.Float()), nil }
	case pq.Double:
		return func(v pq.Value) (any, error) { return v.Double(), nil }
	case pq.ByteArray, pq.FixedLenByteArray:
		if text {
			return func(v pq.Value) (any, error) { return string(v.ByteArray()), nil }
		}
		return func(v pq.Value) (any, error) { return append([]byte{}, v.ByteArray()...), nil }
	}
	kind := t.String()
	return func(pq.Value) (any, error) { return nil, fmt.Errorf("values of type %s are not supported", kind) }
}

// annotations reads what the logical (or older converted) type says.
func annotations(t pq.Type) (text, unsigned bool, unsupported string) {
	if l := t.LogicalType(); l != nil && l.Value != nil {
		switch v := l.Value.(type) {
		case *format.StringType, *format.EnumType, *format.JsonType:
			text = true
		case *format.IntType:
			unsigned = !v.IsSigned
		case *format.DecimalType, *format.Float16Type:
			unsupported = l.String()
		}
		return text, unsigned, unsupported
	}
	if c := t.ConvertedType(); c != nil {
		switch *c {
		case deprecated.UTF8, deprecated.Enum, deprecated.Json:
			text = true
		case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
			unsigned = true
		case deprecated.Decimal:
			unsupported = "DECIMAL"
		}
	}
	return text, unsigned, unsupported
}
