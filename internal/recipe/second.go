package recipe

import (
	"context"
	"maps"
	"slices"
	"strings"

	"barka/internal/backend"
	"barka/internal/chattranslator"
	"barka/internal/llm"
	"barka/internal/nearest"
	"barka/internal/stage/translate"
)

// Second is a chat model that translates what the translator does not get right. Family,
// Examples and Glossary are as on the command line.
type Second struct {
	Generator
	Family   string `json:"family"`   // name, or a YAML file
	Examples string `json:"examples"` // file
	Glossary string `json:"glossary"` // file
	// Sets are the sets of instructions that it translates in place of the translator.
	Sets []string `json:"sets"`
}

// checkSecondSets adds the problems of the sets that the second translator gets.
func (r *Recipe) checkSecondSets() {
	var names []string
	if r.Synth != nil {
		names = append(names, mainSet)
	}
	names = slices.Concat(names, slices.Sorted(maps.Keys(r.Convert)), slices.Sorted(maps.Keys(r.Inputs.Instructions)))
	for _, name := range r.Models.Second.Sets {
		if slices.Contains(names, name) {
			continue
		}
		hint := ""
		if near := nearest.Name(name, names); near != "" {
			hint = "; did you mean " + near + "?"
		}
		r.doc.say("models.second.sets", "models.second.sets: no set of instructions is called %s%s (sets: %s)", name, hint,
			strings.Join(names, ", "))
	}
}

// translatedSets lists the names of the sets of instructions that are translated, that of
// synth first.
func (r *Recipe) translatedSets() []string {
	var names []string
	if r.Synth != nil {
		names = append(names, mainSet)
	}
	return slices.Concat(names, slices.Sorted(maps.Keys(r.Convert)), slices.Sorted(maps.Keys(r.Inputs.Instructions)))
}

// secondOptions returns how the second translator is asked.
func (r *Recipe) secondOptions() (o chattranslator.Options, err error) {
	s := r.Models.Second
	o = chattranslator.Defaults()
	o.From, o.To, o.Family, o.Seed = r.Translate.From, r.Translate.To, r.family(), r.Seed
	if o.Examples, err = chattranslator.ReadPairs(r.path(s.Examples)); err != nil {
		return o, err
	}
	o.Glossary, err = chattranslator.ReadPairs(r.path(s.Glossary))
	return o, err
}

// family returns the second translator's family: a name, or the path of a file.
func (r *Recipe) family() string {
	name := r.Models.Second.Family
	if strings.ContainsAny(name, `./\`) {
		return r.path(name)
	}
	return name
}

// openSecond opens the second translator, or returns nil if the recipe has none.
func (c *chain) openSecond() (*backend.ChatTranslator, error) {
	s := c.r.Models.Second
	if s.Model == "" {
		return nil, nil
	}
	o, err := c.r.secondOptions()
	if err != nil {
		return nil, err
	}
	var t *backend.ChatTranslator
	if servers := s.servers(); len(servers) > 0 {
		t, err = backend.ChatTranslatorAt(s.Model, servers, llm.Options{Note: c.Progress.Note}, o)
	} else {
		t, err = c.Engine.LazyChatTranslator(s.Model, c.r.model(s.Model), o)
	}
	if err == nil {
		c.owns(t)
	}
	return t, err
}

// bySecond returns the options and the tools of a set that the second translator gets as a
// whole. It has no search, and takes the most likely tokens.
func bySecond(o translate.Options, t translate.Tools, by *backend.ChatTranslator) (translate.Options, translate.Tools) {
	o.ModelDigest, o.SecondDigest, o.SecondFor = o.SecondDigest, "", nil
	o.Decoding = translate.DefaultDecoding()
	o.Beam, o.NumReturn = 1, 1
	t.Translator, t.Second = by, nil
	if t.ForgetSecond {
		t.Memory = nil
	}
	return o, t
}

// second checks the second translator.
func (k *checker) second(ctx context.Context) {
	const key = "models.second"
	s := k.r.Models.Second
	if s.Model == "" || k.r.Translate == nil {
		return
	}
	_, err := chattranslator.ReadPairs(k.r.path(s.Examples))
	k.problem(key+".examples", k.nearDirectory(s.Examples, err))
	terms, err := chattranslator.ReadPairs(k.r.path(s.Glossary))
	if err == nil {
		_, err = chattranslator.NewGlossary(terms)
	}
	k.problem(key+".glossary", k.nearDirectory(s.Glossary, err))
	family, err := chattranslator.OpenFamily(k.r.family(), s.Model)
	k.problem(key+".family", err)
	for name, code := range map[string]string{"translate.from": k.r.Translate.From, "language": k.r.Language} {
		_, err := chattranslator.LanguageOf(code)
		k.problem(name, err)
	}
	if s.remote() {
		unmade := func(name string) bool { return !k.made(named(name).dir(translatedDir)) }
		k.servers(ctx, s.Generator, key, "translate", !slices.ContainsFunc(k.r.translatedSets(), unmade))
		return
	}
	if found := k.look(ctx, key+".model", s.Model, k.r.DType, false); found != nil && family != nil && !family.Raw {
		k.problem(key+".model", found.CheckChat())
	}
}
