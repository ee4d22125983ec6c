package main

import (
	"fmt"
	"time"

	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/printable"
	"barka/internal/stage/wiki"
	"barka/internal/ui"
)

type wikiCmd struct {
	Out        string   `required:"" help:"Dataset directory, or .jsonl file, to write." placeholder:"PATH"`
	Dump       string   `help:"XML dump (.xml, .bz2, .gz, .xz, .zst)." xor:"source" placeholder:"FILE"`
	Index      string   `help:"Index of a multistream dump; default: looked for beside it. With it, --titles reads only their streams." placeholder:"FILE"`
	API        string   `name:"api" help:"Address of a wiki's api.php." xor:"source" placeholder:"URL"`
	Contact    string   `help:"Your mail address or page, for the wiki's operators; needed with --api." placeholder:"ADDRESS"`
	Titles     []string `help:"Titles of pages to take. Titles without a page are counted." sep:"|" placeholder:"TITLE"`
	TitleFile  string   `help:"File with the titles of pages to take, one per line." placeholder:"FILE"`
	Categories []string `help:"Categories whose pages to take." sep:"|" placeholder:"CATEGORY"`
	Depth      int      `help:"Depth to which subcategories are followed." default:"0"`
	LinkDepth  int      `help:"1 also takes the pages that the chosen ones link to." default:"0"`
	MaxPages   int      `help:"Largest number of pages; 0 is all." default:"0"`
	MinChars   int      `help:"Keep only passages longer than this, in characters." default:"100"`
	MaxChars   int      `help:"Keep only passages shorter than this, in characters; 0 is off." default:"0"`
	MaxTokens  int      `help:"Keep only passages of at most this many tokens of --tokenizer; 0 is off." default:"0"`
	Tokenizer  string   `help:"Model whose tokens --max-tokens counts, as the one that synth will use." placeholder:"MODEL"`
	Split      bool     `help:"Split sections beyond --max-chars or --max-tokens at paragraphs instead of leaving them out."`
	KeepLists  bool     `help:"Keep disambiguation pages and pages that are only lists."`
	Templates  string   `help:"More data of templates, units and headings, in the format that docs/wiki.md describes." placeholder:"FILE"`
	Skip       []string `name:"skip-headings" help:"Headings of sections to skip." sep:"|" placeholder:"HEADING"`
	Licence    string   `help:"Licence of a dump's text; default: CC BY-SA 4.0. An API names its own."`
	LeavesOnly bool     `help:"Take only sections without subsections, as the original did."`
	Dataset    string   `help:"Name of the rows' dataset." default:"wiki"`
	Damaged    bool     `name:"allow-damaged" help:"Make passages of what can be read of a damaged or cut dump."`
	Restart    bool     `help:"Discard an output made with other options."`
	DryRun     bool     `help:"Count the pages to read; read none."`
}

func (wikiCmd) Help() string {
	return `Leads and sections of pages become passages, each with its page, revision and licence. At least one
of --titles must have a page. --skip-headings replaces the default list, which has the headings of
references, notes and the like. Templates that stand for words are rendered from data; templates.json in
the output lists those that were dropped inside sentences, and --templates adds to the data.

Multistream dumps are read on all cores, and resumed by stream. With their index beside them,
--titles reads only the streams that the pages are in. docs/wiki.md describes it.

Examples:

  barka wiki --dump enwiki-latest-pages-articles-multistream.xml.bz2 --out data/passages
  barka wiki --dump enwiki-latest-pages-articles-multistream.xml.bz2 --titles "Algeria|Morocco" --out data/passages
  barka wiki --api https://en.wikipedia.org/w/api.php --contact you@your.org \
    --categories "Arab culture" --out data/passages
` + outHelp
}

func (c *wikiCmd) options() wiki.Options {
	o := wiki.Defaults()
	o.Dump, o.API, o.Contact, o.Titles, o.TitleFile, o.Categories = c.Dump, c.API, c.Contact, c.Titles, c.TitleFile, c.Categories
	o.Depth, o.LinkDepth, o.MaxPages, o.MinChars, o.MaxChars = c.Depth, c.LinkDepth, c.MaxPages, c.MinChars, c.MaxChars
	o.LeavesOnly, o.Dataset, o.Index, o.AllowDamaged = c.LeavesOnly, c.Dataset, c.Index, c.Damaged
	o.MaxTokens, o.Tokenizer, o.Split, o.KeepLists, o.Templates = c.MaxTokens, c.Tokenizer, c.Split, c.KeepLists, c.Templates
	if len(c.Skip) > 0 {
		o.SkipHeadings = c.Skip
	}
	if c.Licence != "" {
		o.Licence = c.Licence
	}
	return o
}

func (c *wikiCmd) Run(a *app) error {
	o := c.options()
	if c.DryRun {
		e, err := wiki.Plan(a.ctx, o)
		if err != nil {
			return err
		}
		return a.ui.Print(wikiEstimate(e), e)
	}
	if o.Tokenizer != "" {
		counts, err := counters([]string{o.Tokenizer}, false)
		if err != nil {
			return err
		}
		o.Tokens = counts[o.Tokenizer]
	}
	return records[dataset.Passage](a, "wiki", c.Out, nil, c.Restart, func(env durable.Env) (*dataset.Manifest, error) {
		return wiki.Run(a.ctx, o, env)
	})
}

func wikiEstimate(e wiki.Estimate) string {
	pages := fmt.Sprintf("%d pages", e.Pages)
	if e.Pages == 0 {
		pages = "all pages"
	}
	if e.Bytes > 0 {
		return fmt.Sprintf("%s of a dump of %s", pages, printable.Bytes(e.Bytes))
	}
	return fmt.Sprintf("%s, at least %s at the polite rate", pages, ui.Duration(time.Duration(e.Seconds*float64(time.Second))))
}
