package recipe

import (
	"context"
	"fmt"
	"time"

	"barka/internal/badinput"
	"barka/internal/hub"
	"barka/internal/publish"
)

// Publish names the repositories of the hub to which the last step of a run publishes.
type Publish struct {
	Dataset   string `json:"dataset"`    // of the mix
	Adapter   string `json:"adapter"`    // of the training
	Model     string `json:"model"`      // of the merge
	BaseModel string `json:"base_model"` // hub id of a base model that is a directory here
	License   string `json:"license"`    // of adapter and model; the mix has its own
	Private   bool   `json:"private"`    // whether new repositories are private
	Revision  string `json:"revision"`   // branch to which is published
	Recipe    bool   `json:"recipe"`     // publish the recipe too, as recipe.yaml
}

// publication is one of the things that a run publishes.
type publication struct {
	what, id, dir string
	kind          hub.Kind
}

// publications lists them in order. A card may link to the one before.
func (p *Publish) publications() []publication {
	var all []publication
	for _, one := range []publication{{publish.Dataset, p.Dataset, mixDir, hub.Dataset}, {publish.Adapter, p.Adapter, adapterDir, hub.Model},
		{publish.Model, p.Model, mergedDir, hub.Model}} {
		if one.id != "" {
			all = append(all, one)
		}
	}
	return all
}

func (r *Recipe) publishes() bool { return r.Publish != nil }

// validate checks the names.
func (p *Publish) validate() error {
	for _, one := range p.publications() {
		if _, err := hub.ParseRepo(one.kind, one.id+"@"+p.Revision); err != nil {
			return badinput.Errorf("publish: %s: %w", one.what, err)
		}
	}
	if p.BaseModel != "" {
		if _, err := hub.ParseRepo(hub.Model, p.BaseModel); err != nil {
			return badinput.Errorf("publish: base_model: %w", err)
		}
	}
	return nil
}

// baseID returns the hub id of the base model, "" if there is none.
func (r *Recipe) baseID() string {
	base := r.Models.Base
	if r.Publish.BaseModel != "" {
		return r.Publish.BaseModel
	}
	if r.model(base) == base && hub.IsID(base) {
		if repo, err := hub.ParseRepo(hub.Model, base); err == nil {
			return repo.ID
		}
	}
	return ""
}

// publish checks that the last step of the run can succeed: it would fail after hours.
func (k *checker) publish(context.Context) {
	p := k.r.Publish
	if p == nil || k.w.Hub == nil {
		return
	}
	k.problem("publish", k.w.Hub.MayWrite())
	if (p.Adapter != "" || p.Model != "") && k.r.Models.Base != "" && k.r.baseID() == "" {
		k.problem("publish", badinput.Errorf("the base model %s is a directory, which means nothing to others; add base_model: ORG/NAME",
			k.r.Models.Base))
	}
}

// publish publishes what the block names. What the hub has is not sent again.
func (c *chain) publish(ctx context.Context, st stage) error {
	p := c.r.Publish
	for _, one := range p.publications() {
		c.start = time.Now()
		o := publish.Options{}
		if one.what != publish.Dataset {
			o = publish.Options{License: p.License, BaseModel: c.r.baseID(), Dataset: p.Dataset}
			if c.r.evaluatesTuned() {
				o.Results = c.path(TunedEvalDir)
				if c.r.evaluatesBase() {
					o.BaseResults = c.path(BaseEvalDir)
				}
			}
		}
		if p.Recipe {
			o.Recipe = c.r.file
		}
		pack, err := publish.Open(ctx, c.path(one.dir), one.id, o)
		if err != nil {
			return err
		}
		repo, err := hub.ParseRepo(one.kind, one.id+"@"+p.Revision)
		if err != nil {
			return err
		}
		u, err := pack.Plan(ctx, c.Hub, repo, false)
		if err != nil {
			return err
		}
		done, err := c.Hub.Publish(ctx, u, hub.UploadOptions{Private: p.Private})
		if err != nil {
			return err
		}
		c.Say(Step{Stage: st.name + " " + one.what, Out: done.Address, Seconds: time.Since(c.start).Seconds(), Notes: pack.Notes})
	}
	return nil
}

// publish plans the publications.
func (f *forecast) publish(st stage) {
	for _, one := range f.r.Publish.publications() {
		work := "uploads " + f.path(one.dir)
		if f.r.Publish.Private {
			work += ", private"
		}
		f.add(Planned{Stage: st.name + " " + one.what, Out: fmt.Sprintf("%s@%s", one.id, f.r.Publish.Revision), Work: work})
	}
}
