package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"barka/internal/dataset"
	"barka/internal/ui"
)

// Time is how long a stage took, all its attempts together.
type Time struct {
	Stage   string  `json:"stage"`
	Seconds float64 `json:"seconds"`
}

// costs is what a run took.
type costs struct {
	Times    []timed
	All      string // all times together; empty without any
	Payments []payment
	Paid     string // all payments; empty without any
}

type timed struct {
	Stage, Text string
	Share       float64 // of all times
}

// payment is what a model was paid for a stage, by the prices in its settings.
type payment struct {
	Dir, Model string
	Amount     float64
}

func newCosts(times []Time, dirs []string, manifests []*dataset.Manifest) *costs {
	c := &costs{}
	total := 0.0
	for _, t := range times {
		total += t.Seconds
	}
	for _, t := range times {
		c.Times = append(c.Times, timed{t.Stage, duration(t.Seconds), t.Seconds / max(total, 1e-9)})
	}
	if len(times) > 0 {
		c.All = duration(total)
	}
	paid := 0.0
	for i, m := range manifests {
		for name, amount := range m.Cost {
			c.Payments = append(c.Payments, payment{shortDir(dirs[i]), name, amount})
			paid += amount
		}
	}
	slices.SortFunc(c.Payments, func(a, b payment) int { return strings.Compare(a.Dir+"\x00"+a.Model, b.Dir+"\x00"+b.Model) })
	if len(c.Payments) > 0 {
		c.Paid = money(paid)
	}
	if c.All == "" && c.Paid == "" {
		return nil
	}
	return c
}

// AmountText is the amount; its currency is that of the prices.
func (p payment) AmountText() string { return money(p.Amount) }

func money(f float64) string { return fmt.Sprintf("%.4g", f) }

func duration(seconds float64) string {
	return ui.Duration(time.Duration(seconds * float64(time.Second)))
}
