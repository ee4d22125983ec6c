package recipe

import (
	"context"

	"barka/internal/dataset"
	"barka/internal/stage/merge"
	"barka/internal/stage/train"
)

// stage is a step of a recipe. Run and Plan use the same table of stages, so that
// they agree on what is done, in which order, and where the results go.
type stage struct {
	name   string // name in Step and Planned; a set adds its own name
	dir    string // output directory below Runner.Out; a set adds its own name
	marker string // file in dir that only a finished stage has
	wanted func(*Recipe) bool
	run    func(*chain, context.Context, stage) error
	plan   func(*forecast, stage)
}

// Names of the stages' outputs.
const (
	passagesDir       = "1-passages"
	instructionsDir   = "2-instructions"
	translatedDir     = "3-translated"
	cleanDir          = "4-clean"
	decontaminatedDir = "4-decontaminated"
	mixDir            = "5-mix"
	adapterDir        = "6-adapter"
	mergedDir         = "7-merged"
	BaseEvalDir       = "8-eval-base"
	TunedEvalDir      = "9-eval-tuned"
	reportFile        = "report.html"
	evaluatedFile     = "evaluated.json"
)

// stages lists the stages in order.
func stages() []stage {
	const manifest = dataset.ManifestName
	return []stage{
		{"wiki", passagesDir, manifest, func(r *Recipe) bool { return r.Wiki != nil }, (*chain).wiki, (*forecast).wiki},
		{"synth", instructionsDir, manifest, func(r *Recipe) bool { return r.Synth != nil }, (*chain).synth, (*forecast).synth},
		{"convert", instructionsDir, manifest, (*Recipe).hasInstructions, (*chain).convert, (*forecast).convert},
		{"translate", translatedDir, manifest, func(r *Recipe) bool { return r.Translate != nil }, (*chain).translate, (*forecast).translate},
		{"filter", cleanDir, manifest, func(r *Recipe) bool { return r.Filter != nil }, (*chain).filter, (*forecast).filter},
		{"decontaminate", decontaminatedDir, manifest, func(r *Recipe) bool { return r.Decontaminate != nil },
			(*chain).decontaminate, (*forecast).decontaminate},
		{"mix", mixDir, manifest, func(r *Recipe) bool { return r.Mix != nil }, (*chain).mix, (*forecast).mix},
		{"train", adapterDir, train.StateFile, (*Recipe).trains, (*chain).train, (*forecast).train},
		{"merge", mergedDir, merge.OriginFile, (*Recipe).merges, (*chain).merge, (*forecast).merge},
		{"eval base", BaseEvalDir, evaluatedFile, (*Recipe).evaluatesBase, (*chain).evaluateBase, (*forecast).evaluate},
		{"eval tuned", TunedEvalDir, evaluatedFile, (*Recipe).evaluatesTuned, (*chain).evaluateTuned, (*forecast).evaluate},
		{"report", reportFile, "", func(*Recipe) bool { return true }, (*chain).report, (*forecast).report},
		{"publish", "", "", (*Recipe).publishes, (*chain).publish, (*forecast).publish},
	}
}

// hasInstructions reports whether there are instructions besides those of synth:
// converted benchmarks, or datasets from outside.
func (r *Recipe) hasInstructions() bool { return len(r.Convert)+len(r.Inputs.Instructions) > 0 }

func (r *Recipe) trains() bool         { return r.Train != nil }
func (r *Recipe) merges() bool         { return r.Train != nil && r.Merge }
func (r *Recipe) evaluatesBase() bool  { return r.Eval != nil && (r.Eval.Base || r.Train == nil) }
func (r *Recipe) evaluatesTuned() bool { return r.Eval != nil && r.Train != nil }
