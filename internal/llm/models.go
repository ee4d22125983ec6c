package llm

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// patience is how long an endpoint has to list its models.
const patience = 15 * time.Second

// Models lists the models that the endpoint says it serves, none where it
// keeps no such list. It asks once, and nothing that is paid for. An error is
// an endpoint that does not answer at all.
func (c *HTTP) Models(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	data, err := c.try(ctx, http.MethodGet, strings.TrimSuffix(c.url, "/chat/completions")+"/models", nil)
	if err != nil {
		if c.reached.Load() {
			return nil, nil // it has no list, or not for us
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
