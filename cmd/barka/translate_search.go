package main

import "barka/internal/stage/translate"

// searchFlags are the settings of the search for a translation.
type searchFlags struct {
	Beam           int     `help:"Number of beams; 1 is greedy search, or sampling." default:"5"`
	LengthPenalty  float64 `help:"Exponent of the length penalty: above 0 favours long outputs, below 0 short ones." default:"1"`
	MaxLength      int     `help:"Largest number of output tokens of a sentence; at least 3." default:"512"`
	MaxLengthRatio float64 `help:"Also limit outputs to this multiple of the source tokens, plus 10; 0 is off." default:"0"`
	MinLength      int     `help:"Output tokens before the end token may follow; 0 is off." default:"0"`
	NoRepeatNGram  int     `name:"no-repeat-ngram" help:"Forbid repeated sequences of this many tokens; 0 is off." default:"0"`
	Penalty        float64 `name:"repetition-penalty" help:"Above 1 makes tokens that the output has less likely." default:"1"`
	EarlyStopping  string  `help:"When the search of a sentence ends: ${enum}." enum:"false,true,never,ctranslate2" default:"false"`
	Patience       float64 `help:"With --early-stopping ctranslate2, end after this multiple of --beam hypotheses." default:"1"`
	Temperature    float64 `help:"Draw outputs, with --beam 1; 0 takes the best." default:"0"`
	TopK           int     `help:"Draw from this many of the most likely tokens; 0 is all." default:"0"`
	TopP           float64 `help:"Draw from the smallest set of tokens with this probability; 1 is all." default:"1"`
	MinP           float64 `help:"Exclude tokens below this fraction of the highest probability; 0 is off." default:"0"`
	Vocabulary     string  `help:"What tokens are chosen from: ${enum}." enum:"all,restricted,screened" default:"all"`
}

func (f *searchFlags) decoding() (d translate.Decoding, err error) {
	d = translate.Decoding{
		Beam: f.Beam, LengthPenalty: f.LengthPenalty, MaxLength: f.MaxLength, MaxLengthRatio: f.MaxLengthRatio, MinLength: f.MinLength,
		NoRepeatNGram: f.NoRepeatNGram, RepetitionPenalty: f.Penalty, Patience: f.Patience,
		Temperature: f.Temperature, TopK: f.TopK, TopP: f.TopP, MinP: f.MinP, Vocabulary: f.Vocabulary,
	}
	if d.Vocabulary == translate.WholeVocabulary {
		d.Vocabulary = ""
	}
	return d, d.EarlyStopping.UnmarshalText([]byte(f.EarlyStopping))
}

const searchHelp = `The settings of the search mean the same as in transformers, where they are called num_beams,
length_penalty, max_length, min_length, no_repeat_ngram_size, repetition_penalty, early_stopping,
num_return_sequences, temperature, top_k, top_p and min_p. A recipe's translate block has the names
of the flags, with underscores. The defaults are those below, whatever generation_config.json says;
only the end tokens are read from it. docs/translation.md describes each setting.

The score of a hypothesis is its log-probability divided by its length to the power of
--length-penalty. --max-length and --min-length count start, language and end token too.
--early-stopping decides when the search of a sentence ends, once as many hypotheses as beams are
complete:

  - true: at once.
  - false: when no incomplete hypothesis scores better at its present length.
  - never: when no incomplete hypothesis could score better at any length.
  - ctranslate2: as in CTranslate2, once --beam times --patience hypotheses are complete.

With --temperature above 0 and --beam 1 outputs are drawn at random. They depend on --seed and the
text alone. --num-return then draws several.

--vocabulary restricted is faster: outputs consist of pieces of the target language's script,
digits, punctuation, short Latin pieces and the pieces of their source. Some outputs differ.
--vocabulary screened is faster with weights that are not int8: logits of 8-bit integers decide
which tokens are looked at. Hardly any output differs; the head takes half as much memory again.`
