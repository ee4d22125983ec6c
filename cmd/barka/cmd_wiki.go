package main

import (
	"cmp"
	"fmt"
	"time"

	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/llm"
	"barka/internal/mediawiki"
	"barka/internal/printable"
	"barka/internal/stage/wiki"
	"barka/internal/ui"
)

type wikiCmd struct {
	Out     string `help:"Dataset directory, or .jsonl file, to write." placeholder:"PATH"`
	Dump    string `help:"XML dump (.xml, .bz2, .gz, .xz, .zst)." xor:"source" placeholder:"FILE"`
	Index   string `help:"Index of a multistream dump; default: looked for beside it. With it, --titles reads only their streams." placeholder:"FILE"`
	Data    string `help:"Parquet file, directory of them, rendered pages (.ndjson, .tar.gz), or hub id ORG/NAME[@REVISION]." xor:"source" placeholder:"DATA"`
	Config  string `help:"Configuration of --data: a directory of the repository, such as 20231101.ar." placeholder:"NAME"`
	API     string `name:"api" help:"Address of a wiki's api.php." xor:"source" placeholder:"URL"`
	Contact string `help:"Your mail address or page, for the wiki's operators; needed with --api." env:"BARKA_CONTACT" placeholder:"ADDRESS"`

	Titles      []string `help:"Titles of pages to take. Titles without a page are counted." sep:"|" placeholder:"TITLE"`
	TitleFile   string   `help:"File with the titles of pages to take, one per line." placeholder:"FILE"`
	SeedTitles  bool     `help:"Take the 46 pages about the Arab world from which the original started."`
	Categories  []string `help:"Categories whose pages to take." sep:"|" placeholder:"CATEGORY"`
	Depth       int      `help:"Depth to which subcategories are followed." default:"0"`
	Search      []string `help:"Queries of the wiki's search whose pages to take." sep:"|" placeholder:"QUERY"`
	SearchLimit int      `help:"Largest number of pages of each query." default:"50"`
	Links       int      `help:"Levels of links to follow from the chosen pages: 0, 1 or 2." default:"0"`
	MaxPages    int      `help:"Largest number of pages; 0 is all." default:"0"`

	Form        string `help:"What an API's pages are fetched as: extract (plain text), html (with lists, tables and formulas) or wikitext (50 pages per request)." enum:"extract,html,wikitext" default:"extract"`
	Concurrency int    `help:"Requests to the wiki in flight at once, 1 to 3." default:"1"`
	Cache       string `help:"Directory of pages that runs share; none keeps no pages. Default: in the user's cache directory." placeholder:"DIR"`

	Relevance       bool          `help:"Let a model judge the pages of categories, searches and links by their leads; it keeps those about the Arab world."`
	RelevancePrompt string        `help:"File with another question, with {title} and {summary} in it, to be answered Yes or No." placeholder:"FILE"`
	Model           string        `help:"Model of --relevance: directory or hub id, or the endpoint's name for it." placeholder:"MODEL"`
	Endpoint        string        `help:"OpenAI-compatible address; without it the model runs here." placeholder:"URL"`
	KeyVariable     string        `help:"Environment variable that holds the endpoint's API key." placeholder:"NAME"`
	RPM             int           `name:"requests-per-minute" help:"Rate limit of the endpoint; 0 is none." default:"0"`
	Timeout         time.Duration `help:"Timeout of one request to the endpoint." default:"10m"`
	DType           string        `name:"dtype" help:"Type of the weights if the model runs here; default: the checkpoint's." placeholder:"TYPE"`

	MinChars   int      `help:"Keep only passages longer than this, in characters." default:"100"`
	MaxChars   int      `help:"Keep only passages shorter than this, in characters; 0 is off." default:"0"`
	MaxTokens  int      `help:"Keep only passages of at most this many tokens of --tokenizer; 0 is off." default:"0"`
	Tokenizer  string   `help:"Model whose tokens --max-tokens counts, as the one that synth will use." placeholder:"MODEL"`
	Split      bool     `help:"Split sections beyond --max-chars or --max-tokens at paragraphs, lines and sentences instead of leaving them out."`
	KeepLists  bool     `help:"Keep disambiguation pages and pages that are only lists."`
	Templates  string   `help:"More data of templates, units and headings, in the format that docs/wiki.md describes." placeholder:"FILE"`
	Skip       []string `name:"skip-headings" help:"Headings of sections to skip." sep:"|" placeholder:"HEADING"`
	TitleIn    string   `name:"title-language" help:"Record the pages' titles in the wiki of this language, such as ar, as terms for a chat model that translates; needs --api." placeholder:"CODE"`
	Licence    string   `help:"Licence of a dump's text; default: CC BY-SA 4.0. An API names its own."`
	LeavesOnly bool     `help:"Take only sections without subsections, as the original did."`
	Dataset    string   `help:"Name of the rows' dataset." default:"wiki"`
	Damaged    bool     `name:"allow-damaged" help:"Make passages of what can be read of a damaged or cut dump."`
	Restart    bool     `help:"Discard an output made with other options."`
	DryRun     bool     `help:"Count the pages, the requests and the time they take; read no page."`
}

func (wikiCmd) Help() string {
	return `Leads and sections of pages become passages, each with its page, revision and licence. At least one
of --titles must have a page. --skip-headings replaces the default list, which has the headings of
references, notes and the like. Templates that stand for words are rendered from data; templates.json in
the output lists those that were dropped inside sentences, and --templates adds to the data.

Multistream dumps are read on all cores, and resumed by stream. With their index beside them,
--titles reads only the streams that the pages are in. A wiki is asked one request at a time, at
most five per second, and pauses as it says. Pages are kept in a cache and fetched again only when
they have changed. For more than some thousands of pages, take a dump. docs/wiki.md describes it.

Examples:

  barka wiki --dump enwiki-latest-pages-articles-multistream.xml.bz2 --out data/passages
  barka wiki --dump enwiki-latest-pages-articles-multistream.xml.bz2 --titles "Algeria|Morocco" --out data/passages
  barka wiki --data wikimedia/wikipedia --config 20231101.ar --out data/passages
  barka wiki --api https://en.wikipedia.org/w/api.php --contact you@your.org \
    --categories "Arab culture" --form html --out data/passages
  barka wiki --api https://en.wikipedia.org/w/api.php --contact you@your.org --seed-titles --links 1 \
    --relevance --model google/gemma-2-2b-it --out data/passages
` + outHelp
}

// Validate checks the flags that belong together.
func (c *wikiCmd) Validate() error {
	switch {
	case c.Out == "" && !c.DryRun:
		return fmt.Errorf("missing flags: --out")
	case c.Relevance && c.Model == "" && !c.DryRun:
		return fmt.Errorf("missing flags: --model, for --relevance")
	case !c.Relevance && (c.Model != "" || c.Endpoint != ""):
		return fmt.Errorf("--model and --endpoint are for --relevance; add it, or leave the model out")
	}
	return nil
}

func (c *wikiCmd) options() wiki.Options {
	o := wiki.Defaults()
	o.Dump, o.Index, o.Data, o.Config, o.API, o.Contact = c.Dump, c.Index, c.Data, c.Config, c.API, c.Contact
	o.Titles, o.TitleFile, o.SeedTitles, o.Categories, o.Depth = c.Titles, c.TitleFile, c.SeedTitles, c.Categories, c.Depth
	o.Search, o.SearchLimit, o.Links, o.MaxPages = c.Search, c.SearchLimit, c.Links, c.MaxPages
	o.Form, o.Concurrency, o.Cache = mediawiki.Form(c.Form), c.Concurrency, c.Cache
	o.Relevance, o.RelevancePrompt, o.AllowDamaged = c.Relevance, c.RelevancePrompt, c.Damaged
	o.MinChars, o.MaxChars, o.LeavesOnly, o.Dataset = c.MinChars, c.MaxChars, c.LeavesOnly, c.Dataset
	o.MaxTokens, o.Tokenizer, o.Split, o.KeepLists, o.Templates = c.MaxTokens, c.Tokenizer, c.Split, c.KeepLists, c.Templates
	o.TitleLanguage = c.TitleIn
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
	if err := o.Validate(); err != nil {
		return err
	}
	if done, err := c.locate(a, &o); done || err != nil {
		return err
	}
	if c.DryRun {
		e, err := wiki.Plan(a.ctx, o)
		if err != nil {
			return err
		}
		return a.ui.Print(wikiEstimate(o, e), e)
	}
	if o.Tokenizer != "" {
		counts, err := counters([]string{o.Tokenizer}, false)
		if err != nil {
			return err
		}
		o.Tokens = counts[o.Tokenizer]
	}
	judge, stop, err := c.judge(a)
	if err != nil {
		return err
	}
	defer stop()
	return records[dataset.Passage](a, "wiki", c.Out, nil, c.Restart, func(env durable.Env) (*dataset.Manifest, error) {
		return wiki.Run(a.ctx, o, judge, env)
	})
}

// locate downloads data from the hub. It reports whether nothing is left to do: with
// --dry-run it prints what would be downloaded.
func (c *wikiCmd) locate(a *app, o *wiki.Options) (done bool, err error) {
	if !o.IsHubID() {
		return false, nil
	}
	client, err := a.hub("")
	if err != nil {
		return false, err
	}
	plan, err := o.Locate(a.ctx, client)
	if err != nil || plan == nil {
		return false, err
	}
	if c.DryRun {
		return true, a.ui.Print(planText(plan), map[string]any{"repository": plan.Repo.ID, "commit": plan.Commit,
			"files": len(plan.Files), "bytes": plan.Size, "to_fetch": plan.ToFetch})
	}
	if plan.Missing > 0 {
		a.reportDownload(plan)
	}
	_, err = client.Fetch(a.ctx, plan)
	return false, err
}

// judge opens the model of --relevance; without it there is none.
func (c *wikiCmd) judge(a *app) (judge *wiki.Judge, stop func(), err error) {
	stop = func() {}
	if !c.Relevance {
		return nil, stop, nil
	}
	judge = &wiki.Judge{}
	if c.Endpoint != "" {
		judge.Client, err = llm.NewHTTP(llm.Options{BaseURL: c.Endpoint, Model: c.Model, KeyVariable: c.KeyVariable,
			RequestsPerMinute: c.RPM, Timeout: c.Timeout, Note: func(note string) { a.ui.Infof("%s", note) }})
		return judge, stop, err
	}
	if err := a.ensure(weights(c.Model)); err != nil {
		return nil, stop, err
	}
	if judge.Digest, err = a.engine(c.DType).Digest(c.Model); err != nil {
		return nil, stop, err
	}
	d, err := a.engine(c.DType).OpenDecoder(c.Model, "")
	if err != nil {
		return nil, stop, err
	}
	judge.Client, err = d.Chat()
	return judge, func() { d.Close() }, err
}

func wikiEstimate(o wiki.Options, e wiki.Estimate) string {
	pages := fmt.Sprintf("%d pages", e.Pages)
	if e.Pages == 0 {
		pages = "all pages"
	}
	if e.Bytes > 0 {
		return fmt.Sprintf("%s of %s, %s", pages, cmp.Or(o.Dump, o.Data), printable.Bytes(e.Bytes))
	}
	text := fmt.Sprintf("%s, %d of them in the cache: %d requests to find them and %d to fetch them, at least %s at the polite rate",
		pages, e.Cached, e.Asked, e.Requests, ui.Duration(time.Duration(e.Seconds*float64(time.Second))))
	if e.Questions > 0 {
		text += fmt.Sprintf(". A model judges %d pages; those that it drops are not fetched", e.Questions)
	}
	return text
}
