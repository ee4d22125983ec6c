package main

import (
	"fmt"
	"io"
	"path/filepath"

	"barka/internal/atomicfile"
	"barka/internal/durable"
	"barka/internal/look/viewer"
)

type viewCmd struct {
	Path   string   `arg:"" help:"Dataset directory, or .parquet or .jsonl file."`
	Out    string   `required:"" help:"HTML page to write." placeholder:"FILE"`
	Title  string   `help:"Title of the page; default: the dataset's name."`
	Where  []string `sep:"none" help:"Condition: COLUMN=VALUE, COLUMN!=VALUE or COLUMN~TEXT; repeatable." placeholder:"CONDITION"`
	Limit  int      `help:"Largest number of kept and of rejected rows, chosen by --seed if there are more; 0 is all." default:"2000"`
	Review string   `help:"Review file whose verdicts the page begins with." placeholder:"FILE"`
}

// maxPage bounds the rows on a page. Browsers take seconds to open larger pages.
const maxPage = 64 << 20

func (viewCmd) Help() string {
	return `The page has English and translation side by side, filters by reason, source, form, kind and flag, and a
search. It is one file that loads nothing else. In the browser you can accept, edit or reject rows and
export the verdicts as a review file, which barka mix --review applies (docs/data.md).

Rows beyond --limit and 64 MiB are left out; the page and the command say how many.

Example:

  barka view data/clean --out clean.html`
}

func (c *viewCmd) Run(a *app) error {
	if c.Limit < 0 {
		return usagef("view: --limit must not be negative")
	}
	_, sel, err := selectFlags{Where: c.Where}.selection(c.Path)
	if err != nil {
		return err
	}
	sel.Seed = a.Seed
	if err := durable.CheckApart(c.Out, map[string]string{"rows": c.Path}); err != nil {
		return err
	}
	var made *viewer.Made
	err = atomicfile.Write(c.Out, func(w io.Writer) (err error) {
		made, err = viewer.Write(a.ctx, w, viewer.Options{Path: c.Path, Title: c.Title, Selection: sel, Limit: c.Limit,
			MaxBytes: maxPage, Review: c.Review})
		return err
	})
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	for _, l := range made.LeftOut {
		a.ui.Warnf("%d rows (%s) are not on the page; --limit %d is the reason, or the page's size", l.Rows, l.Part, c.Limit)
	}
	name := filepath.Clean(c.Out)
	return a.ui.Print(fmt.Sprintf("%d rows in %s", made.Rows, name), struct {
		Out string `json:"out"`
		*viewer.Made
	}{name, made})
}
