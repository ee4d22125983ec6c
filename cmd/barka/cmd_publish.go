package main

import (
	"cmp"
	"fmt"
	"strings"

	"barka/internal/hub"
	"barka/internal/printable"
	"barka/internal/publish"
)

type publishCmd struct {
	Dir string `arg:"" help:"Directory of a dataset, an adapter or a model."`
	ID  string `arg:"" name:"id" help:"Repository: organisation/name."`

	Private     bool   `help:"Make the repository private, if it does not exist."`
	Revision    string `help:"Branch; it is made from main if it does not exist." default:"main" placeholder:"BRANCH"`
	Message     string `help:"Message of the commit." default:"Publish with Barka" placeholder:"TEXT"`
	License     string `aliases:"licence" help:"Licence, by the hub's tag; default: the strictest that the parts ask for." placeholder:"TAG"`
	BaseModel   string `help:"Base model on the hub, if the adapter names a directory." placeholder:"ORG/NAME"`
	Dataset     string `help:"Training data on the hub, for the card." placeholder:"ORG/NAME"`
	Adapter     string `help:"Adapter of a merged model; default: the one beside it." placeholder:"DIR"`
	Data        string `help:"Training data of an adapter; default: those beside it." placeholder:"DIR"`
	Results     string `help:"Evaluation of the model, for the card: the output of barka eval." placeholder:"DIR"`
	BaseResults string `help:"Evaluation of its base, to compare with." placeholder:"DIR"`
	Recipe      string `help:"Recipe of the run, published as recipe.yaml." placeholder:"FILE"`
	ReplaceCard bool   `help:"Replace a README.md that somebody wrote on the hub by a generated one."`
	DryRun      bool   `help:"List the files, what would be sent, and the card; send nothing."`
}

func (publishCmd) Help() string {
	return `Publishes a directory that barka made, or an adapter or a model of another program, on the Hugging
Face hub. The repository is made if it does not exist. Everything becomes visible in one commit, after
all files are there. An interrupted upload goes on with the same command; files that the hub has are
not sent again. Shards of an earlier version are removed, other files of the repository stay.

A card (README.md) is written if the directory has none: base model, training settings, evaluation,
digests and licences of what it was made from. Licences that contradict each other are refused.

HF_TOKEN or "hf auth login" gives the token, which needs write permission. HF_ENDPOINT names another hub.

Examples:
  barka publish runs/quickstart/5-mix me/questions-ar --private --dry-run
  barka publish runs/quickstart/7-merged me/smollm-ar --base-model HuggingFaceTB/SmolLM2-135M-Instruct \
    --results runs/quickstart/9-eval-tuned --base-results runs/quickstart/8-eval-base`
}

func (c *publishCmd) Run(a *app) error {
	p, err := publish.Open(a.ctx, c.Dir, c.ID, publish.Options{License: c.License, BaseModel: c.BaseModel, Dataset: c.Dataset,
		Adapter: c.Adapter, Data: c.Data, Results: c.Results, BaseResults: c.BaseResults, Recipe: c.Recipe})
	if err != nil {
		return err
	}
	r, err := hub.ParseRepo(p.Kind(), c.ID+"@"+c.Revision)
	if err != nil {
		return err
	}
	client, err := a.hub("")
	if err != nil {
		return err
	}
	u, err := p.Plan(a.ctx, client, r, c.ReplaceCard)
	if err != nil {
		return err
	}
	a.warn("publish", p.Notes)
	if len(p.Left) > 0 {
		a.ui.Infof("not published: %s", strings.Join(p.Left, ", "))
	}
	if c.DryRun {
		return a.printUpload(p, u)
	}
	done, err := client.Publish(a.ctx, u, hub.UploadOptions{Private: c.Private, Message: c.Message})
	if err != nil {
		return err
	}
	return a.printPublished(p, u, done)
}

// upload is the JSON form of a plan and of its result.
type upload struct {
	Repository string          `json:"repository"`
	Kind       string          `json:"kind"`
	Revision   string          `json:"revision"`
	License    string          `json:"license"`
	ToSend     int64           `json:"bytes_to_send"`
	Files      []*hub.Outgoing `json:"files"`
	Stale      []string        `json:"removed,omitempty"`
	Kept       []string        `json:"kept,omitempty"`
	Left       []string        `json:"not_published,omitempty"`
	Guessed    string          `json:"guessed,omitempty"` // why the hub was not asked
	Card       string          `json:"card,omitempty"`
	Commit     string          `json:"commit,omitempty"`
	Address    string          `json:"address,omitempty"`
}

func newUpload(p *publish.Package, u *hub.Upload) upload {
	return upload{Repository: u.Repo.ID, Kind: p.What, Revision: u.Repo.Revision, License: p.License, ToSend: u.ToSend, Files: u.Files,
		Stale: u.Stale, Kept: u.Kept, Left: p.Left}
}

// printUpload prints what would be published, and the card.
func (a *app) printUpload(p *publish.Package, u *hub.Upload) error {
	result := newUpload(p, u)
	result.Card = string(p.Card)
	if u.Unknown != nil {
		result.Guessed = u.Unknown.Error()
	}
	if a.JSON {
		return a.ui.Print("", result)
	}
	var rows [][]any
	for _, f := range u.Files {
		rows = append(rows, []any{f.Path, printable.Bytes(f.Size), string(f.Mode), string(f.State)})
	}
	for _, name := range u.Stale {
		rows = append(rows, []any{name, "", "", "removed: of an earlier version"})
	}
	if err := a.ui.Table([]string{"file", "size", "kind", "state"}, rows); err != nil {
		return err
	}
	if u.Unknown != nil {
		a.ui.Warnf("the kinds and states are guessed: %v", u.Unknown)
	}
	if len(u.Kept) > 0 {
		a.ui.Infof("other files of the repository, which stay: %s", strings.Join(u.Kept, ", "))
	}
	text := fmt.Sprintf("%s %s, licence %s: %s to send at most\n\n%s", p.What, u.Repo, cmp.Or(p.License, "not stated"),
		printable.Bytes(u.ToSend), p.Card)
	return a.ui.Print(text, result)
}

// printPublished prints the result of a publication.
func (a *app) printPublished(p *publish.Package, u *hub.Upload, done *hub.Published) error {
	if len(done.Ignored) > 0 {
		a.ui.Warnf("publish: .gitignore excludes %s", strings.Join(done.Ignored, ", "))
	}
	result := newUpload(p, u)
	result.Commit, result.Address = done.Commit, done.Address
	if done.Files+done.Deleted == 0 {
		return a.ui.Print(fmt.Sprintf("%s has all of it, at commit %.12s", done.Address, done.Commit), result)
	}
	text := fmt.Sprintf("%s: %d files in commit %.12s", done.Address, done.Files, done.Commit)
	if done.Deleted > 0 {
		text += fmt.Sprintf(", %d of an earlier version removed", done.Deleted)
	}
	return a.ui.Print(text, result)
}
