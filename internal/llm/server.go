package llm

import (
	"fmt"
	"strconv"
	"strings"

	"barka/internal/badinput"
	"barka/internal/nearest"
	"barka/internal/printable"
)

// Server is one of several endpoints that serve the same model.
type Server struct {
	Endpoint    string `json:"endpoint"`     // address of an OpenAI-compatible API, such as http://host:8000/v1
	Model       string `json:"model"`        // its own name for the model, if that is another one
	KeyVariable string `json:"key_variable"` // environment variable with the API key
	// Concurrency bounds the requests in flight.
	Concurrency       int     `json:"concurrency"`
	RequestsPerMinute int     `json:"requests_per_minute"` // 0 is no bound
	TokensPerMinute   int     `json:"tokens_per_minute"`   // of prompts and answers; 0 is no bound
	PriceIn           float64 `json:"price_in"`            // of a million tokens of prompts
	PriceOut          float64 `json:"price_out"`           // of a million tokens of answers
}

// ParseServer reads an address that settings may follow, as in
// http://gpu1:8000/v1,concurrency=64. Settings that are not given are those of base.
func ParseServer(text string, base Server) (Server, error) {
	address, settings, _ := strings.Cut(text, ",")
	base.Endpoint = address
	if settings == "" {
		return base, nil
	}
	set := map[string]func(v string) error{
		"model":               func(v string) error { base.Model = v; return nil },
		"key-variable":        func(v string) error { base.KeyVariable = v; return nil },
		"concurrency":         whole(&base.Concurrency),
		"requests-per-minute": whole(&base.RequestsPerMinute),
		"tokens-per-minute":   whole(&base.TokensPerMinute),
		"price-in":            decimal(&base.PriceIn),
		"price-out":           decimal(&base.PriceOut),
	}
	names := []string{"model", "key-variable", "concurrency", "requests-per-minute", "tokens-per-minute", "price-in", "price-out"}
	for _, s := range strings.Split(settings, ",") {
		name, value, found := strings.Cut(s, "=")
		f := set[name]
		switch {
		case f == nil:
			hint := ""
			if near := nearest.Name(name, names); near != "" {
				hint = "; did you mean " + near + "?"
			}
			return base, badinput.Errorf("endpoint %s: there is no setting %q%s (%s)", printable.Address(address),
				printable.Line(name, 40), hint, strings.Join(names, ", "))
		case !found || value == "":
			return base, badinput.Errorf("endpoint %s: %s has no value, expected %s=VALUE", printable.Address(address), name, name)
		}
		if err := f(value); err != nil {
			return base, badinput.Errorf("endpoint %s: %s is %q, expected %w", printable.Address(address), name, value, err)
		}
	}
	return base, nil
}

func whole(into *int) func(string) error {
	return func(v string) (err error) {
		if *into, err = strconv.Atoi(v); err != nil || *into < 0 {
			return fmt.Errorf("a whole number, 0 or more")
		}
		return nil
	}
}

func decimal(into *float64) func(string) error {
	return func(v string) (err error) {
		if *into, err = strconv.ParseFloat(v, 64); err != nil || !(*into >= 0 && *into < 1e12) {
			return fmt.Errorf("a number, 0 or more")
		}
		return nil
	}
}

// Places returns how many requests the endpoints take at once, or without endpoints alone.
func Places(endpoints []Server, alone int) int {
	if len(endpoints) == 0 {
		return alone
	}
	n := 0
	for _, e := range endpoints {
		n += max(e.Concurrency, 1)
	}
	return n
}
