// Package wiki turns Wikipedia pages into passages: the lead of a page, every
// section without sections below it, and the text directly under a section
// that has some. Pages come from a dump or from a wiki's API.
package wiki

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/durable"
	"barka/internal/lines"
	"barka/internal/llm"
	"barka/internal/mediawiki"
	"barka/internal/wikitext"
)

// version changes when the same options would give another output.
const version = 4

// changed describes the last change.
const changed = "text keeps its facts, a page that comes twice in a dump counts once, and --split cuts at sentences"

// Options are everything that changes what wiki writes.
type Options struct {
	Dataset string `json:"dataset"` // name of the dataset in its rows
	// Dump is an XML dump; API the address of api.php. One of them.
	Dump string `json:"dump,omitempty"`
	API  string `json:"api,omitempty"`
	// Index of a multistream dump; "": looked for beside the dump. With it, titles
	// are read without the rest of the dump.
	Index string `json:"index,omitempty"`
	// AllowDamaged makes passages of what could be read of a damaged dump.
	AllowDamaged bool `json:"allow_damaged,omitempty"`
	// Data is a parquet file, a directory of them, or a dump of rendered pages as
	// JSON lines (.ndjson, .tar.gz). Config is a directory in Data, such as
	// 20231101.ar. Source is the hub's repository and commit that Data is from.
	Data   string `json:"data,omitempty"`
	Config string `json:"config,omitempty"`
	Source string `json:"source,omitempty"`
	// Contact names the operator to the wiki's servers.
	Contact string `json:"contact,omitempty"`
	// Form is what an API's pages are fetched as; Concurrency the number of
	// requests in flight. Cache is the directory of pages that runs share; "" is
	// that of the user, NoCache none.
	Form        mediawiki.Form `json:"form,omitempty"`
	Concurrency int            `json:"concurrency,omitempty"`
	Cache       string         `json:"cache,omitempty"`
	// Titles, TitleFile (a title per line), SeedTitles (the original's 46 pages),
	// Categories and Search choose pages; none of them means all pages of a dump.
	// Depth is that of categories; SearchLimit the pages of each search. Links is
	// the number of levels of links that are followed from the chosen pages.
	Titles      []string `json:"titles,omitempty"`
	TitleFile   string   `json:"title_file,omitempty"`
	SeedTitles  bool     `json:"seed_titles,omitempty"`
	Categories  []string `json:"categories,omitempty"`
	Depth       int      `json:"depth,omitempty"`
	Search      []string `json:"search,omitempty"`
	SearchLimit int      `json:"search_limit,omitempty"`
	Links       int      `json:"links,omitempty"`
	// Relevance lets a model judge the pages that were not named, by their leads.
	// RelevancePrompt is a file with the question; "" is the built-in one.
	Relevance       bool   `json:"relevance,omitempty"`
	RelevancePrompt string `json:"relevance_prompt,omitempty"`
	MaxPages        int    `json:"max_pages,omitempty"` // ends after so many pages; 0 is all
	// MinChars < length < MaxChars; 0: no upper bound.
	MinChars int `json:"min_chars"`
	MaxChars int `json:"max_chars,omitempty"`
	// MaxTokens bounds a passage in tokens of Tokenizer, a model; 0: it does not.
	// Tokens counts them.
	MaxTokens int              `json:"max_tokens,omitempty"`
	Tokenizer string           `json:"tokenizer,omitempty"`
	Tokens    func(string) int `json:"-"`
	// Split splits sections beyond MaxChars or MaxTokens at paragraphs, lines or sentences, instead of
	// leaving them out.
	Split bool `json:"split,omitempty"`
	// KeepLists keeps pages that only list the meanings of a title or other pages.
	KeepLists bool `json:"keep_lists,omitempty"`
	// Templates is a file with more data of templates, in the format of
	// internal/wikitext/languages.
	Templates string `json:"templates,omitempty"`
	// LeavesOnly leaves out leads and text above sections, as the original.
	LeavesOnly bool `json:"leaves_only"`
	// SkipHeadings are the headings of sections to leave out; none: those of the data
	// of all languages (references, notes and the like).
	SkipHeadings []string `json:"skip_headings,omitempty"`
	// TitleLanguage is the code of a wiki, such as ar, whose titles of the pages are recorded.
	TitleLanguage string `json:"title_language,omitempty"`
	// Licence of a dump's text; an API says it itself.
	Licence string `json:"licence"`
}

// wikiCode matches the codes of Wikipedia's languages, such as ar and zh-min-nan.
var wikiCode = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)*$`)

// Defaults keep every section of more than 100 characters.
func Defaults() Options {
	return Options{Dataset: "wiki", MinChars: 100, Form: mediawiki.FormExtract, Concurrency: 1, SearchLimit: 50,
		Licence: "CC BY-SA 4.0 https://creativecommons.org/licenses/by-sa/4.0/"}
}

// Validate reports the first setting that makes no sense.
func (o Options) Validate() error {
	switch {
	case o.Dataset == "":
		return badinput.Errorf("wiki: dataset has no name")
	case o.sources() != 1:
		return badinput.Errorf("wiki: expected one of dump (an XML dump), data (parquet files or rendered pages) and api (the address of " +
			"a wiki's api.php)")
	case o.API != "" && !o.names():
		return badinput.Errorf("wiki: an API needs titles, title_file, seed_titles, categories or search")
	case o.API == "" && (len(o.Categories) > 0 || len(o.Search) > 0 || o.Links > 0 || o.Relevance):
		return badinput.Errorf("wiki: categories, search, links and relevance need an API; other sources are chosen from by titles")
	case o.API == "" && o.TitleLanguage != "":
		return badinput.Errorf("wiki: title_language needs an API; dumps do not have the links to other languages")
	case o.TitleLanguage != "" && !wikiCode.MatchString(o.TitleLanguage):
		return badinput.Errorf("wiki: title_language is %q, expected the code of a wiki such as ar", o.TitleLanguage)
	case !slices.Contains(mediawiki.Forms(), o.Form):
		return badinput.Errorf("wiki: form %q, expected one of %v", o.Form, mediawiki.Forms())
	case o.Concurrency < 0 || o.Concurrency > mediawiki.MaxConcurrency:
		return badinput.Errorf("wiki: concurrency %d, expected 1 to %d, which is what Wikimedia allows", o.Concurrency, mediawiki.MaxConcurrency)
	case len(o.Search) > 0 && o.SearchLimit < 1:
		return badinput.Errorf("wiki: search_limit %d, expected 1 or more", o.SearchLimit)
	case o.MinChars < 0 || o.MaxChars < 0 || o.MaxChars > 0 && o.MaxChars <= o.MinChars:
		return badinput.Errorf("wiki: min_chars %d and max_chars %d: expected the smaller first", o.MinChars, o.MaxChars)
	case o.MaxTokens < 0:
		return badinput.Errorf("wiki: max_tokens %d: expected 0 (no bound) or more", o.MaxTokens)
	case o.MaxTokens > 0 && o.Tokenizer == "":
		return badinput.Errorf("wiki: max_tokens %d needs tokenizer, the model whose tokens count", o.MaxTokens)
	case o.Split && o.MaxTokens == 0 && o.MaxChars == 0:
		return badinput.Errorf("wiki: split needs max_chars or max_tokens, which say where")
	case o.Depth < 0 || o.Links < 0 || o.Links > maxLinks || o.MaxPages < 0:
		return badinput.Errorf("wiki: depth and max_pages must not be negative, links is 0, 1 or 2")
	}
	return nil
}

// maxLinks is the number of levels of links that can be followed. The third would be most of
// a wiki, of which there are dumps.
const maxLinks = 2

// NoCache as a cache directory is none.
const NoCache = "none"

// sources counts the sources that are set.
func (o Options) sources() (n int) {
	for _, s := range []string{o.Dump, o.Data, o.API} {
		if s != "" {
			n++
		}
	}
	return n
}

// names reports whether pages are named, or a way to find them.
func (o Options) names() bool {
	return len(o.Titles)+len(o.Categories)+len(o.Search) > 0 || o.TitleFile != "" || o.SeedTitles
}

// page is a page in sections, with where it came from.
type page struct {
	mediawiki.Page
	url     string
	licence string
	text    *wikitext.Page
	title   string // in the wiki of Options.TitleLanguage
	// refused says why a page has no passages.
	refused refusal
}

// recorded is what decides the passages.
type recorded struct {
	Options
	// The model that judges relevance, and the digest of its weights if they are here.
	RelevanceModel  string `json:"relevance_model,omitempty"`
	RelevanceDigest string `json:"relevance_digest,omitempty"`
}

// Judge is the model of Relevance.
type Judge struct {
	Client llm.Client
	Digest string // of the weights, if they are here
}

// Run writes the passages of the chosen pages. judge is needed with Relevance alone.
func Run(ctx context.Context, o Options, judge *Judge, env durable.Env) (*dataset.Manifest, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	inputs := map[string]string{}
	identity := recorded{Options: o}
	identity.Concurrency, identity.Cache = 0, "" // which change no row
	if o.Relevance {
		if judge == nil {
			return nil, badinput.Errorf("wiki: relevance needs a model")
		}
		identity.RelevanceModel, identity.RelevanceDigest = judge.Client.Name(), judge.Digest
	}
	if o.RelevancePrompt != "" {
		inputs["relevance_prompt"], identity.RelevancePrompt = o.RelevancePrompt, filepath.Base(o.RelevancePrompt)
	}
	if o.API == "" {
		identity.Form, identity.SearchLimit = "", 0
	}
	if o.Data != "" {
		inputs["data"], identity.Data = o.dataPath(), filepath.Base(o.Data)
		if o.Source != "" {
			identity.Data = ""
		}
	}
	if o.Dump != "" {
		inputs["dump"], identity.Dump = o.Dump, filepath.Base(o.Dump)
		identity.Index, identity.AllowDamaged = "", false // which change no row
	}
	if o.TitleFile != "" {
		inputs["titles"], identity.TitleFile = o.TitleFile, filepath.Base(o.TitleFile)
	}
	if o.Templates != "" {
		inputs["templates"], identity.Templates = o.Templates, filepath.Base(o.Templates)
	}
	id := durable.Identity{Stage: "wiki", Version: version, Changed: changed, Options: identity, Inputs: inputs}
	return durable.Execute(ctx, env, id, func(run *durable.Run) (final durable.Final, err error) {
		s, err := newStage(o, env, run)
		if judge != nil {
			s.model = judge.Client
		}
		if err != nil {
			return final, err
		}
		defer func() { err = errors.Join(err, s.seen.close()) }()
		if err := s.all(ctx); err != nil {
			return final, err
		}
		counts := map[string]int64{"pages": s.kept}
		if n := len(s.damage); n > 0 {
			counts["damaged"] = int64(n)
		}
		return durable.Final{Counts: counts, Notes: s.notes(), Files: s.report.files}, nil
	})
}

type stage struct {
	o       Options
	env     durable.Env
	run     *durable.Run
	out     *durable.Writer[dataset.Passage]
	workers int
	seen    *seen // pages, of which aliases give one, and texts
	skip    map[string]bool
	kept    int64
	// Of the titles chosen: how many, those that no page has, and those that
	// are redirects of a dump, with their targets.
	chosen             int
	missing, redirects []string
	damage             []string // places where the dump is damaged
	licence            string   // of an API's pages
	model              llm.Client
	dead               int // links to pages that the wiki does not have
	passages           int64
	data               *wikitext.Data // of o.Templates
	report             report
}

// maxTemplates bounds a file of templates, in bytes; that of English has 30 KB.
const maxTemplates = 4 << 20

func newStage(o Options, env durable.Env, run *durable.Run) (s *stage, err error) {
	s = &stage{o: o, env: env, run: run, workers: runtime.GOMAXPROCS(0), skip: map[string]bool{}}
	headings := o.SkipHeadings
	if headings == nil {
		headings = wikitext.SkippedHeadings()
	}
	if o.Templates != "" {
		text, err := badinput.ReadFile(o.Templates, maxTemplates)
		if err != nil {
			return nil, err
		}
		if s.data, err = wikitext.ReadData(text); err != nil {
			return nil, badinput.Errorf("%s: %w", o.Templates, err)
		}
		headings = slices.Concat(headings, s.data.Headings())
	}
	for _, h := range headings {
		s.skip[wikitext.Fold(h)] = true
	}
	if o.MaxTokens > 0 && o.Tokens == nil {
		return nil, errors.New("wiki: max_tokens without a function that counts tokens")
	}
	if s.out, err = durable.NewWriter[dataset.Passage](run); err == nil {
		s.seen, err = openSeen(run.Dir())
	}
	return s, err
}

// notes are what a user should know of the result.
func (s *stage) notes() (notes []string) {
	if n := len(s.missing); n > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d titles have no page: %s", n, s.chosen, some(s.missing)))
	}
	if n := len(s.redirects); n > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d titles are redirects, which a dump does not follow: %s", n,
			s.chosen, some(s.redirects)))
	}
	if s.dead > 0 {
		notes = append(notes, fmt.Sprintf("%d links, categories' or search's titles lead to no page of the wiki", s.dead))
	}
	if len(s.damage) > 0 {
		notes = append(notes, "the source is damaged: "+s.damageText())
	}
	notes = append(notes, s.report.notes()...)
	if s.passages == 0 {
		notes = append(notes, fmt.Sprintf("%d pages gave no passage; rejected/ has the reasons", s.kept))
	}
	return notes
}

// some lists the first of many.
func some(list []string) string {
	if n := len(list); n > 10 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:10], ", "), n-10)
	}
	return strings.Join(list, ", ")
}

func (s *stage) all(ctx context.Context) error {
	titles, err := s.o.titles()
	if err != nil {
		return err
	}
	if s.o.API != "" {
		err = s.api(ctx, titles)
	} else {
		err = s.dump(ctx, titles)
	}
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return nil
}

// nothing returns the error for titles of which none has a page.
func (s *stage) nothing() error {
	n := len(s.missing)
	if n == 0 || n < s.chosen {
		return nil
	}
	return badinput.Errorf("%s: none of the %d titles has a page: %s; titles are those of the pages' headings, in the wiki's language",
		cmp.Or(s.o.Dump, s.o.Data, s.o.API), n, some(s.missing))
}

// titles joins the list, the file and the original's titles.
func (o Options) titles() ([]string, error) {
	titles := slices.Clone(o.Titles)
	if o.SeedTitles {
		titles = append(titles, SeedTitles()...)
	}
	if o.TitleFile != "" {
		f, err := badinput.Open(o.TitleFile)
		if err != nil {
			return nil, badinput.Wrap(err)
		}
		defer f.Close()
		for l, err := range lines.Read(o.TitleFile, lines.SkipMark(f)) {
			if err != nil {
				return nil, err
			}
			if title := strings.TrimSpace(string(l.Data)); title != "" && !strings.HasPrefix(title, "#") {
				titles = append(titles, title)
			}
		}
	}
	return titles, nil
}
