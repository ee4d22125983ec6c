package benchdata

import (
	"context"
	"slices"

	"barka/internal/badinput"
	"barka/internal/hub"
)

// Need is a split of a dataset that an evaluation reads.
type Need struct{ Repo, Subset, Split string }

// Download is what has to be downloaded before the needs are met.
type Download struct {
	Plans []*hub.Plan
	// Why holds, by repository, the reason why it cannot be downloaded.
	Why map[string]error
}

// Bytes is the size of the download, and the number of its repositories.
func (d *Download) Bytes() (n int64, repositories int) {
	seen := map[string]bool{}
	for _, p := range d.Plans {
		n += p.ToFetch
		seen[p.Repo.ID] = true
	}
	return n, len(seen)
}

// Lacking returns the needs that the store does not meet.
func (s *Store) Lacking(needs []Need) []Need {
	var out []Need
	for _, n := range needs {
		if _, err := s.Locate(n.Repo, n.Subset, n.Split); err != nil && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// Downloads asks the hub for the files of needs, in the revisions of pins or else of main. A
// need without files is in no plan, but in Why. The only error is that the context has ended.
func Downloads(ctx context.Context, c *hub.Client, needs []Need, pins Revisions) (*Download, error) {
	d := &Download{Why: map[string]error{}}
	byRepo := map[string][]Need{}
	var order []string
	for _, n := range needs {
		if byRepo[n.Repo] == nil {
			order = append(order, n.Repo)
		}
		byRepo[n.Repo] = append(byRepo[n.Repo], n)
	}
	for i, repo := range order {
		plans, err := plan(ctx, c, repo, byRepo[repo], pins.of(repo))
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			d.Why[repo] = err
		}
		if hub.IsUnreachable(err) {
			for _, other := range order[i:] {
				d.Why[other] = err
			}
			return d, nil
		}
		d.Plans = append(d.Plans, plans...)
	}
	return d, nil
}

// plan looks for the needs of one repository among the files of its revisions.
func plan(ctx context.Context, c *hub.Client, repo string, needs []Need, revisions []string) ([]*hub.Plan, error) {
	var plans []*hub.Plan
	for _, revision := range revisions {
		r, err := hub.ParseRepo(hub.Dataset, repo+"@"+revision)
		if err != nil {
			return nil, err
		}
		l, err := c.List(ctx, r)
		if hub.IsNoRevision(err) && revision == hub.ConvertRevision {
			break // it has not been converted
		}
		if err != nil {
			return plans, err
		}
		card, err := c.Card(ctx, l)
		if err != nil {
			return plans, err
		}
		files, rest := choose(l, card, needs)
		if len(files) > 0 {
			plans = append(plans, c.Plan(l, files))
		}
		if needs = rest; len(needs) == 0 {
			return plans, nil
		}
	}
	n := needs[0]
	return plans, badinput.Errorf("the hub's repository has no file for subset %s, split %s", n.Subset, n.Split)
}

// choose returns the files of the needs, with the card that Locate needs to find
// them, and the needs that have no files.
func choose(l *hub.Listing, card []byte, needs []Need) (files []hub.File, rest []Need) {
	var names []string
	for _, f := range l.Files {
		if isData(f.Path) {
			names = append(names, f.Path)
		}
	}
	slices.Sort(names)
	declares := configs(card)
	taken := map[string]bool{"README.md": card != nil}
	for _, n := range needs {
		found, err := match(declares, names, n.Subset, n.Split)
		if err != nil || found == nil {
			rest = append(rest, n)
		}
		for _, name := range found {
			taken[name] = true
		}
	}
	if len(rest) == len(needs) {
		return nil, rest
	}
	for _, f := range l.Files {
		if taken[f.Path] {
			files = append(files, f)
		}
	}
	return files, rest
}

// Fetch downloads the files of the plans. A repository that fails is noted in
// d.Why, and the others are downloaded. The only error is that the context has
// ended.
func (d *Download) Fetch(ctx context.Context, c *hub.Client) error {
	for _, p := range d.Plans {
		if _, err := c.Fetch(ctx, p); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			d.Why[p.Repo.ID] = err
		}
	}
	return nil
}

// Data returns the files of a dataset that this package can read, with its card.
// If there are none, it returns the files that the hub converted.
func Data(ctx context.Context, c *hub.Client, r hub.Repo) (*hub.Listing, []hub.File, error) {
	l, err := c.List(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	if files := data(l); files != nil {
		return l, files, nil
	}
	r.Revision = hub.ConvertRevision
	converted, err := c.List(ctx, r)
	if err == nil {
		if files := data(converted); files != nil {
			return converted, files, nil
		}
	}
	if err != nil && !hub.IsNoRevision(err) {
		return nil, nil, err
	}
	return nil, nil, badinput.Errorf("dataset %s has no files in parquet, JSON or CSV, and the hub has converted none; "+
		"--include names others", r.ID)
}

func data(l *hub.Listing) []hub.File {
	var files []hub.File
	some := false
	for _, f := range l.Files {
		if isData(f.Path) || f.Path == "README.md" {
			files = append(files, f)
			some = some || isData(f.Path)
		}
	}
	if !some {
		return nil
	}
	return files
}
