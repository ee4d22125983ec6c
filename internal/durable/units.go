package durable

import (
	"math/bits"
	"strconv"
)

// UnitSize returns how many records a unit has. A unit is a fixed range of the records of
// a Map: it depends on the input alone, and not on the number of processes or workers.
// There are at most 65,536 units, unless they would have more than 4,096 records.
func UnitSize(records int) int {
	const most, least, largest = 1 << 16, 64, 4096
	per := (max(records, 0) + most - 1) / most
	if per <= least {
		return least
	}
	return min(1<<bits.Len(uint(per-1)), largest)
}

// unit is a range of records that is being worked on. Memory holds the units that have a
// record in work. Of the others only their lines in the journal remain.
type unit struct {
	first int64   // number of its first record
	at    []int64 // the offset of each record's result in the journal; -1 while there is none
	open  int     // records without a result
	whole bool    // all its records were read
	line  []int64 // the offsets in the journal's line of this unit; nil if there is none
}

// unitLine is what the journal stores for a finished unit.
type unitLine struct {
	First int64   `json:"first"`
	At    []int64 `json:"at"`
}

// unitKey is the key of a unit's line. Ids of records do not begin with a zero byte.
func unitKey(first int64) string { return "\x00unit " + strconv.FormatInt(first, 10) }

// finished reads the line of the unit that begins with a record. It returns no offsets if
// the unit is not finished, or was finished with other bounds.
func (s *step) finished(first int64) (at []int64, err error) {
	var line unitLine
	ok, err := s.journal.Get(unitKey(first), &line)
	if !ok || err != nil || line.First != first || len(line.At) != s.count(first) {
		return nil, err
	}
	return line.At, nil
}

// count returns the number of records of the unit that begins with a record.
func (s *step) count(first int64) int {
	if s.total <= 0 {
		return s.unit
	}
	return int(min(int64(s.unit), s.total-first))
}

// finish journals the line of a unit whose records all have results.
func (s *step) finish(u *unit) error {
	u.line = u.at
	return s.journal.Put(unitKey(u.first), unitLine{u.first, u.at})
}

// reopen invalidates the line of a unit, because a record will get another result.
func (s *step) reopen(u *unit) error {
	if u.line == nil {
		return nil
	}
	u.line = nil
	return s.journal.Put(unitKey(u.first), unitLine{First: -1})
}

// slot is the place of a record in a unit.
type slot struct {
	u *unit
	i int
}

// flight is a record that is being worked on, with its places: records with the same key
// get one result.
type flight struct {
	stamp uint64
	slots []slot
}
