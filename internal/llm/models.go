package llm

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// patience is the time limit for listing the models of an endpoint.
const patience = 15 * time.Second

// Models returns the models that the endpoint lists, or none if it has no such list. It
// makes one request, which costs nothing. It returns an error only if the endpoint does
// not respond at all.
func (c *HTTP) Models(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	data, err := c.try(ctx, http.MethodGet, strings.TrimSuffix(c.url, "/chat/completions")+"/models", nil)
	if err != nil {
		if c.reached.Load() {
			return nil, nil // there is no list, or this key may not read it
		}
		return nil, err
	}
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	_ = json.Unmarshal(data, &list) // a server without this list has some other answer
	var names []string
	for _, m := range list.Data {
		if m.ID != "" {
			names = append(names, m.ID)
		}
	}
	return names, nil
}
