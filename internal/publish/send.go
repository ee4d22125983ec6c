package publish

import (
	"context"

	"barka/internal/hub"
)

// Plan compares the package with the repository. Unless replace is set, it leaves out a
// generated card where somebody wrote another one.
func (p *Package) Plan(ctx context.Context, client *hub.Client, r hub.Repo, replace bool) (*hub.Upload, error) {
	u, err := client.PlanUpload(ctx, r, p.Sources)
	if err != nil || u.There == nil || replace {
		return u, err
	}
	there, err := client.Card(ctx, u.There)
	if err != nil {
		return nil, err
	}
	if p.Keep(there) {
		u.Drop(cardFile)
		p.note("%s of %s was written or edited by somebody; it is kept (--replace-card replaces it)", cardFile, r.ID)
	}
	return u, nil
}
