package torchfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"

	"barka/internal/badinput"
)

// Bounds of a pickle. A model of 36,000 tensors takes 4 MB and a million values.
const (
	maxPickle = 32 << 20 // bytes
	maxStack  = 1 << 20  // values on the stack
	maxMemo   = 1 << 21  // values in the memo
	maxValues = 1 << 22  // values in all
)

// The values of a pickle are nil, bool, int64, float64, string, global, tuple,
// *list, *dict, *storage and *view.
type (
	// global is a class or function that the pickle names.
	global string
	tuple  []any
	list   struct{ items []any }
	// dict keeps its keys in the order of the pickle, repeated ones too.
	dict struct{ keys, values []any }
)

// machine runs a pickle. It has only the instructions that build tensors. Any other, which
// could do harm, is an error that names it.
type machine struct {
	code   []byte
	at     int
	stack  []any
	marks  []int // lengths of the stack
	memo   map[uint32]any
	values int
}

// unpickle returns the value that a pickle builds. Nothing is executed: the only functions
// that a pickle can call are those in global.call, which build tensors.
func unpickle(code []byte) (any, error) {
	m := &machine{code: code, memo: map[uint32]any{}}
	for {
		begin := m.at
		op, err := m.bytes(1)
		if err == nil && op[0] == opStop {
			if len(m.stack) != 1 || len(m.marks) > 0 || m.at != len(code) {
				return nil, badinput.Errorf("the pickle ends at byte %d of %d with %d values, expected one value at its end",
					m.at, len(code), len(m.stack))
			}
			return m.stack[0], nil
		}
		if err == nil {
			err = m.step(op[0])
		}
		if err != nil {
			return nil, badinput.Errorf("the pickle, byte %d: %w", begin, err)
		}
	}
}

// Instructions of pickle protocols 2 to 5, named as in Python's pickletools.
const (
	opMark            = '('
	opStop            = '.'
	opNone            = 'N'
	opNewTrue         = 0x88
	opNewFalse        = 0x89
	opBinInt          = 'J'
	opBinInt1         = 'K'
	opBinInt2         = 'M'
	opLong1           = 0x8a
	opBinFloat        = 'G'
	opBinUnicode      = 'X'
	opShortBinUnicode = 0x8c
	opBinUnicode8     = 0x8d
	opEmptyTuple      = ')'
	opTuple           = 't'
	opTuple1          = 0x85
	opTuple2          = 0x86
	opTuple3          = 0x87
	opEmptyList       = ']'
	opAppend          = 'a'
	opAppends         = 'e'
	opEmptyDict       = '}'
	opSetItem         = 's'
	opSetItems        = 'u'
	opBinPut          = 'q'
	opLongBinPut      = 'r'
	opMemoize         = 0x94
	opBinGet          = 'h'
	opLongBinGet      = 'j'
	opGlobal          = 'c'
	opStackGlobal     = 0x93
	opReduce          = 'R'
	opBuild           = 'b'
	opBinPersID       = 'Q'
	opProto           = 0x80
	opFrame           = 0x95
)

// step runs one instruction.
func (m *machine) step(op byte) error {
	switch op {
	case opProto:
		return m.protocol()
	case opFrame: // a hint for readers of streams
		_, err := m.bytes(8)
		return err
	case opNone:
		return m.push(nil)
	case opNewTrue, opNewFalse:
		return m.push(op == opNewTrue)
	case opBinInt, opBinInt1, opBinInt2, opLong1, opBinFloat:
		return m.number(op)
	case opBinUnicode, opShortBinUnicode, opBinUnicode8:
		return m.text(op)
	case opMark:
		if len(m.marks) >= maxStack {
			return fmt.Errorf("more than %d containers are nested", maxStack)
		}
		m.marks = append(m.marks, len(m.stack))
		return nil
	case opEmptyTuple, opTuple, opTuple1, opTuple2, opTuple3:
		return m.tuple(op)
	case opEmptyList, opAppend, opAppends:
		return m.list(op)
	case opEmptyDict, opSetItem, opSetItems:
		return m.dict(op)
	case opBinPut, opLongBinPut, opMemoize, opBinGet, opLongBinGet:
		return m.remember(op)
	case opGlobal, opStackGlobal:
		return m.global(op)
	case opReduce:
		return m.reduce()
	case opBuild:
		return m.build()
	case opBinPersID:
		id, err := m.pop()
		if err != nil {
			return err
		}
		s, err := newStorage(id)
		if err != nil {
			return err
		}
		return m.push(s)
	}
	return fmt.Errorf("instruction 0x%02x is not one that tensors need; the file is refused", op)
}

func (m *machine) protocol() error {
	b, err := m.bytes(1)
	if err == nil && (b[0] < 2 || b[0] > 5) {
		err = fmt.Errorf("pickle protocol %d, expected 2 to 5", b[0])
	}
	return err
}

// bytes returns the next n bytes of the code.
func (m *machine) bytes(n int) ([]byte, error) {
	if n < 0 || n > len(m.code)-m.at {
		return nil, fmt.Errorf("it is truncated: %d bytes are wanted, %d are left", n, len(m.code)-m.at)
	}
	m.at += n
	return m.code[m.at-n : m.at], nil
}

func (m *machine) push(v any) error {
	if m.values++; m.values > maxValues {
		return fmt.Errorf("more than %d values", maxValues)
	}
	if len(m.stack) >= maxStack {
		return fmt.Errorf("more than %d values on the stack", maxStack)
	}
	m.stack = append(m.stack, v)
	return nil
}

// popN takes n values from the stack. They must be above the last mark.
func (m *machine) popN(n int) ([]any, error) {
	bottom := 0
	if len(m.marks) > 0 {
		bottom = m.marks[len(m.marks)-1]
	}
	if n > len(m.stack)-bottom {
		return nil, fmt.Errorf("%d values are wanted from a stack of %d", n, len(m.stack)-bottom)
	}
	taken := m.stack[len(m.stack)-n:]
	m.stack = m.stack[:len(m.stack)-n]
	return taken, nil
}

func (m *machine) pop() (any, error) {
	v, err := m.popN(1)
	if err != nil {
		return nil, err
	}
	return v[0], nil
}

// popMark takes the values above the last mark, and the mark.
func (m *machine) popMark() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, fmt.Errorf("a container ends that did not begin")
	}
	at := m.marks[len(m.marks)-1]
	m.marks = m.marks[:len(m.marks)-1]
	taken := m.stack[at:]
	m.stack = m.stack[:at]
	return taken, nil
}

func (m *machine) number(op byte) error {
	n := map[byte]int{opBinInt: 4, opBinInt1: 1, opBinInt2: 2, opLong1: 1, opBinFloat: 8}[op]
	b, err := m.bytes(n)
	if err != nil {
		return err
	}
	switch op {
	case opBinInt:
		return m.push(int64(int32(binary.LittleEndian.Uint32(b))))
	case opBinInt1:
		return m.push(int64(b[0]))
	case opBinInt2:
		return m.push(int64(binary.LittleEndian.Uint16(b)))
	case opBinFloat:
		return m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	}
	// opLong1: little-endian in two's complement, of any length.
	if b, err = m.bytes(int(b[0])); err != nil {
		return err
	}
	if len(b) > 8 {
		return fmt.Errorf("an integer of %d bytes, expected at most 8", len(b))
	}
	var v int64
	for i, x := range b {
		v |= int64(x) << (8 * i)
	}
	if n := len(b); n > 0 && n < 8 && b[n-1] >= 0x80 {
		v -= 1 << (8 * n)
	}
	return m.push(v)
}

func (m *machine) text(op byte) error {
	b, err := m.bytes(map[byte]int{opShortBinUnicode: 1, opBinUnicode: 4, opBinUnicode8: 8}[op])
	if err != nil {
		return err
	}
	n := binary.LittleEndian.Uint64(append(bytes.Clone(b), make([]byte, 8-len(b))...))
	if n > uint64(len(m.code)) {
		return fmt.Errorf("a text of %d bytes in a pickle of %d", n, len(m.code))
	}
	if b, err = m.bytes(int(n)); err != nil {
		return err
	}
	if !utf8.Valid(b) {
		return fmt.Errorf("a text that is not UTF-8")
	}
	return m.push(string(b))
}

func (m *machine) tuple(op byte) error {
	var taken []any
	var err error
	switch op {
	case opTuple:
		taken, err = m.popMark()
	case opTuple1, opTuple2, opTuple3:
		taken, err = m.popN(int(op-opTuple1) + 1)
	}
	if err != nil {
		return err
	}
	return m.push(append(tuple{}, taken...))
}

func (m *machine) list(op byte) error {
	var taken []any
	var err error
	switch op {
	case opEmptyList:
		return m.push(&list{})
	case opAppend:
		taken, err = m.popN(1)
	case opAppends:
		taken, err = m.popMark()
	}
	if err != nil {
		return err
	}
	l, ok := m.top().(*list)
	if !ok {
		return fmt.Errorf("items are appended to %s, expected a list", kind(m.top()))
	}
	l.items = append(l.items, taken...)
	return nil
}

func (m *machine) dict(op byte) error {
	var taken []any
	var err error
	switch op {
	case opEmptyDict:
		return m.push(&dict{})
	case opSetItem:
		taken, err = m.popN(2)
	case opSetItems:
		taken, err = m.popMark()
	}
	if err != nil {
		return err
	}
	d, ok := m.top().(*dict)
	if !ok || len(taken)%2 != 0 {
		return fmt.Errorf("%d keys and values are put into %s, expected pairs for a dictionary", len(taken), kind(m.top()))
	}
	for i := 0; i < len(taken); i += 2 {
		d.keys, d.values = append(d.keys, taken[i]), append(d.values, taken[i+1])
	}
	return nil
}

// top returns the last value above the last mark, or nil if there is none.
func (m *machine) top() any {
	v, err := m.popN(1)
	if err != nil {
		return nil
	}
	m.stack = m.stack[:len(m.stack)+1]
	return v[0]
}

// remember stores the last value in the memo under a number, or fetches one from it.
func (m *machine) remember(op byte) error {
	index := uint32(len(m.memo))
	if op != opMemoize {
		n := 4
		if op == opBinPut || op == opBinGet {
			n = 1
		}
		b, err := m.bytes(n)
		if err != nil {
			return err
		}
		index = binary.LittleEndian.Uint32(append(bytes.Clone(b), 0, 0, 0))
	}
	if op == opBinGet || op == opLongBinGet {
		v, ok := m.memo[index]
		if !ok {
			return fmt.Errorf("value %d is referred to, and there is none", index)
		}
		return m.push(v)
	}
	v, err := m.popN(1)
	if err != nil {
		return err
	}
	m.stack = m.stack[:len(m.stack)+1]
	if len(m.memo) >= maxMemo {
		return fmt.Errorf("more than %d values to refer to", maxMemo)
	}
	m.memo[index] = v[0]
	return nil
}

func (m *machine) global(op byte) error {
	var module, name string
	if op == opGlobal {
		for _, s := range []*string{&module, &name} {
			end := bytes.IndexByte(m.code[m.at:], '\n')
			if end < 0 || end > 1000 {
				return fmt.Errorf("a name without an end")
			}
			*s = string(m.code[m.at : m.at+end])
			m.at += end + 1
		}
	} else {
		v, err := m.popN(2)
		if err != nil {
			return err
		}
		var ok, okToo bool
		module, ok = v[0].(string)
		if name, okToo = v[1].(string); !ok || !okToo {
			return fmt.Errorf("a name is %s and %s, expected texts", kind(v[0]), kind(v[1]))
		}
	}
	g := global(module + "." + name)
	if !g.known() {
		return fmt.Errorf("it names %q, which tensors do not need; the file is refused, because such a name can run any program", string(g))
	}
	return m.push(g)
}

// reduce calls a function with its arguments.
func (m *machine) reduce() error {
	v, err := m.popN(2)
	if err != nil {
		return err
	}
	f, ok := v[0].(global)
	args, okToo := v[1].(tuple)
	if !ok || !okToo {
		return fmt.Errorf("%s is called with %s, expected a function and its arguments", kind(v[0]), kind(v[1]))
	}
	result, err := f.call(args)
	if err != nil {
		return err
	}
	return m.push(result)
}

// build sets attributes of a value. It ignores those of a dictionary (the _metadata of a
// module's state) and of a tensor, which do not affect weights.
func (m *machine) build() error {
	if _, err := m.pop(); err != nil {
		return err
	}
	switch m.top().(type) {
	case *dict, *view:
		return nil
	}
	return fmt.Errorf("attributes are given to %s, expected a dictionary or a tensor", kind(m.top()))
}

// kind describes a value in an error. It does not descend into containers, which may contain
// each other many times.
func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case bool:
		return "a truth value"
	case int64, float64:
		return fmt.Sprintf("the number %v", v)
	case string:
		return fmt.Sprintf("the text %.40q", v)
	case global:
		return string(v)
	case tuple:
		return fmt.Sprintf("a tuple of %d", len(v))
	case *list:
		return fmt.Sprintf("a list of %d", len(v.items))
	case *dict:
		return fmt.Sprintf("a dictionary of %d", len(v.keys))
	case *storage:
		return "a storage"
	case *view:
		return "a tensor"
	}
	return fmt.Sprintf("%T", v)
}
