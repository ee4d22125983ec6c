package ui

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"barka/internal/printable"
)

// digits writes a number below 1000 with two or three significant digits.
func digits(v float64) string {
	if v < 9.95 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// Count writes a whole number with separators: 83,000,000.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	var groups []string
	for len(s) > 3 {
		groups = append([]string{s[len(s)-3:]}, groups...)
		s = s[:len(s)-3]
	}
	return sign + strings.Join(append([]string{s}, groups...), ",")
}

// Duration writes a duration in at most two units, the way people say it: 0.4 s,
// 12 s, 3 min 5 s, 2 h 10 min, 3 d 4 h.
func Duration(d time.Duration) string {
	switch s := d.Seconds(); {
	case s < 0:
		return "-" + Duration(-max(d, -1<<62))
	case s < 0.9995:
		return fmt.Sprintf("%.2g s", s)
	case s < 9.95:
		return fmt.Sprintf("%.1f s", s)
	case s < 59.5:
		return fmt.Sprintf("%.0f s", s)
	}
	total := int64(d.Round(time.Second) / time.Second)
	if total < 3600 {
		return two(total/60, "min", total%60, "s")
	}
	total = int64(d.Round(time.Minute) / time.Minute)
	if total < 24*60 {
		return two(total/60, "h", total%60, "min")
	}
	total = int64(d.Round(time.Hour) / time.Hour)
	return two(total/24, "d", total%24, "h")
}

func two(a int64, unitA string, b int64, unitB string) string {
	if b == 0 {
		return fmt.Sprintf("%d %s", a, unitA)
	}
	return fmt.Sprintf("%d %s %d %s", a, unitA, b, unitB)
}

// rate writes units per second, or per minute or hour if the rate is low.
func rate(perSecond float64, unit string) string {
	per, v := "s", perSecond
	if v < 0.95 {
		per, v = "min", v*60
	}
	if v < 0.95 {
		per, v = "h", v*60
	}
	if unit == "bytes" {
		return printable.Bytes(int64(v)) + "/" + per
	}
	if v >= 999.5 {
		return Count(int64(v)) + " " + unit + "/" + per
	}
	return digits(v) + " " + unit + "/" + per
}

// amount writes a number of units, or a size for the unit "bytes".
func amount(n int64, unit string) string {
	if unit == "bytes" {
		return printable.Bytes(n)
	}
	return Count(n)
}
