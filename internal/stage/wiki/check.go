package wiki

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"barka/internal/badinput"
	"barka/internal/mediawiki"
	"barka/internal/nearest"
	"barka/internal/wikitext"
)

// Fault is something that a run would stumble over, and the setting that it is
// about.
type Fault struct {
	Key string // a JSON name of Options
	Err error
	// Mild ones cost pages, not the run, or could not be looked into.
	Mild bool
}

// Bounds of Check: a dump up to this size is read for its titles, and a wiki
// has this long to answer.
const (
	scanBytes = 64 << 20
	patience  = 15 * time.Second
)

// Check looks for what a run would stumble over: files that are not there or
// no dumps, titles that the dump or the wiki does not have. pages counts the
// articles that a run would read of a dump, redirects left out; 0 where that
// is not known.
func Check(ctx context.Context, o Options) (pages int, faults []Fault) {
	add := func(key string, mild bool, err error) {
		if err != nil {
			faults = append(faults, Fault{key, err, mild})
		}
	}
	titles := slices.Clone(o.Titles)
	if o.TitleFile != "" {
		all, err := o.titles()
		if err == nil && len(all) == len(o.Titles) {
			err = badinput.Errorf("%s: no titles; expected one per line", o.TitleFile)
		}
		add("title_file", false, missing(o.TitleFile, err))
		titles = all
	}
	for key, path := range map[string]string{"index": o.Index, "relevance_prompt": o.RelevancePrompt, "data": o.dataPath()} {
		if path != "" {
			_, err := os.Stat(path)
			add(key, false, missing(path, badinput.Wrap(err)))
		}
	}
	if o.Data != "" {
		return 0, faults
	}
	if o.Dump != "" {
		n, unknown, err := o.searchDump(ctx, titles)
		add("dump", false, missing(o.Dump, err))
		for _, u := range unknown {
			add(o.where(u.title), n > 0, u) // a run in which none is there fails
		}
		return n, faults
	}
	c, err := mediawiki.NewClient(mediawiki.ClientOptions{API: o.API, Contact: o.Contact, Retries: 1})
	if err != nil {
		key := "api"
		if strings.Contains(err.Error(), "contact") {
			key = "contact"
		}
		add(key, false, err)
		return 0, faults
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	lacking, err := c.Missing(ctx, titles)
	if err != nil {
		add("api", true, fmt.Errorf("the wiki could not be asked for the titles: %w", err))
	}
	for _, t := range lacking {
		add(o.where(t), true, &unknownTitle{title: t, in: o.API})
	}
	return 0, faults
}

// where is the setting that a title is from.
func (o Options) where(title string) string {
	if i := slices.Index(o.Titles, title); i >= 0 {
		return fmt.Sprintf("titles[%d]", i)
	}
	return "title_file"
}

// unknownTitle is a title that a dump or a wiki does not have.
type unknownTitle struct{ title, in, near string }

func (u *unknownTitle) Error() string {
	hint := ""
	if u.near != "" {
		hint = fmt.Sprintf("; did you mean %q?", u.near)
	}
	return fmt.Sprintf("%s has no article %q%s", u.in, u.title, hint)
}

// searchDump counts the articles of a dump that are chosen, and returns the
// titles that it does not have. Of a large dump it reads the first page alone.
func (o Options) searchDump(ctx context.Context, titles []string) (chosen int, unknown []*unknownTitle, err error) {
	info, err := os.Stat(o.Dump)
	if err != nil {
		return 0, nil, badinput.Wrap(err)
	}
	f, err := mediawiki.OpenDump(o.Dump)
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	there, articles := map[string]bool{}, 0
	var site mediawiki.Site
	for p, err := range mediawiki.Pages(f, &site) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return 0, nil, badinput.Errorf("%s: %w", o.Dump, err)
		}
		if info.Size() > scanBytes {
			return 0, nil, nil
		}
		if p.Namespace != 0 {
			continue
		}
		there[p.Title] = true
		if _, redirect := wikitext.Redirect(p.Text); !redirect && p.Redirect == "" {
			articles++
		}
	}
	if len(there) == 0 {
		return 0, nil, badinput.Errorf("%s: no articles; expected an XML dump such as enwiki-latest-pages-articles.xml.bz2", o.Dump)
	}
	if len(titles) == 0 {
		return articles, nil, nil
	}
	names := slices.Sorted(maps.Keys(there))
	for _, t := range titles {
		if there[site.Title(t)] {
			chosen++
			continue
		}
		unknown = append(unknown, &unknownTitle{t, o.Dump, nearest.Name(t, names)})
	}
	return chosen, unknown, nil
}

// missing adds the nearest name in its directory to the error for a file that
// is not there.
func missing(path string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, _ := os.ReadDir(filepath.Dir(path))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if near := nearest.Name(filepath.Base(path), names); near != "" {
		return badinput.Errorf("%w; did you mean %s?", err, near)
	}
	return err
}
