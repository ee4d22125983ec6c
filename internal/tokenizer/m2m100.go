package tokenizer

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"barka/internal/badinput"
)

// m2mCodes maps language_codes of tokenizer_config.json to the language codes of an
// M2M-100 model. Their ids follow those of vocab.json in this order.
var m2mCodes = map[string]string{
	"m2m100": "af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu " +
		"ha he hi hr ht hu hy id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my " +
		"ne nl no ns oc or pa pl ps pt ro ru sd si sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo " +
		"xh yi yo zh zu",
	"wmt21": "en ha is ja cs ru zh de",
}

// nllbCodes holds NLLB's codes of the same languages, in m2m100's order. Languages
// that NLLB lacks have their ISO 639-3 code and script.
const nllbCodes = "afr_Latn amh_Ethi arb_Arab ast_Latn azj_Latn bak_Cyrl bel_Cyrl bul_Cyrl ben_Beng bre_Latn bos_Latn " +
	"cat_Latn ceb_Latn ces_Latn cym_Latn " +
	"dan_Latn deu_Latn ell_Grek eng_Latn spa_Latn est_Latn pes_Arab fuv_Latn fin_Latn fra_Latn fry_Latn gle_Latn " +
	"gla_Latn glg_Latn guj_Gujr hau_Latn " +
	"heb_Hebr hin_Deva hrv_Latn hat_Latn hun_Latn hye_Armn ind_Latn ibo_Latn ilo_Latn isl_Latn ita_Latn jpn_Jpan " +
	"jav_Latn kat_Geor kaz_Cyrl khm_Khmr " +
	"kan_Knda kor_Hang ltz_Latn lug_Latn lin_Latn lao_Laoo lit_Latn lvs_Latn plt_Latn mkd_Cyrl mal_Mlym khk_Cyrl " +
	"mar_Deva zsm_Latn mya_Mymr npi_Deva " +
	"nld_Latn nob_Latn nso_Latn oci_Latn ory_Orya pan_Guru pol_Latn pbt_Arab por_Latn ron_Latn rus_Cyrl snd_Arab " +
	"sin_Sinh slk_Latn slv_Latn som_Latn " +
	"als_Latn srp_Cyrl ssw_Latn sun_Latn swe_Latn swh_Latn tam_Taml tha_Thai tgl_Latn tsn_Latn tur_Latn ukr_Cyrl " +
	"urd_Arab uzn_Latn vie_Latn wol_Latn " +
	"xho_Latn ydd_Hebr yor_Latn zho_Hans zul_Latn"

// NLLBCode converts M2M-100's code of a language, with or without underscores, to
// NLLB's: ar to arb_Arab. Other codes are returned unchanged.
func NLLBCode(code string) string {
	if i := slices.Index(strings.Fields(m2mCodes["m2m100"]), strings.Trim(code, "_")); i >= 0 {
		return strings.Fields(nllbCodes)[i]
	}
	return code
}

// m2mCode converts NLLB's code of a language to M2M-100's, or returns "".
func m2mCode(code string) string {
	if i := slices.Index(strings.Fields(nllbCodes), code); i >= 0 {
		return strings.Fields(m2mCodes["m2m100"])[i]
	}
	return ""
}

// m2mVocabulary is the file with the ids of an M2M-100 model's pieces.
const m2mVocabulary = "vocab.json"

// m2m100 numbers the pieces as vocab.json does and returns the special tokens: the
// four of fairseq, the declared ones, and the languages, whose ids follow the
// vocabulary. The languages are always special. In transformers 4.57, undeclared
// ones would appear in translations.
func (t *Tokenizer) m2m100(dir string, c configFile, declared []addedToken) ([]addedToken, error) {
	var ids map[string]int32
	path := filepath.Join(dir, m2mVocabulary)
	if err := readJSON(path, &ids); err != nil {
		return nil, err
	}
	if ids == nil {
		return nil, badinput.Errorf("%s: no such file; M2M100Tokenizer needs it beside %s", path, fairseqFile)
	}
	names := c.Codes
	if names == "" {
		names = "m2m100"
	}
	codes, ok := m2mCodes[names]
	if !ok {
		return nil, badinput.Errorf("tokenizer_config.json: language_codes is %q, expected %s",
			names, strings.Join(slices.Sorted(maps.Keys(m2mCodes)), " or "))
	}
	m := &numberedModel{model: t.model, ids: ids, texts: map[int32]string{}}
	for text, id := range ids {
		if id < 0 || id > maxID {
			return nil, badinput.Errorf("%s: token %q has id %d, expected 0 to %d", path, text, id, maxID)
		}
		m.texts[id] = text
		m.top = max(m.top, int(id)+1)
	}
	var tokens []addedToken
	for _, s := range fairseqFirst {
		id, ok := ids[s]
		if !ok {
			return nil, badinput.Errorf("%s: token %s is missing", path, s)
		}
		tokens = append(tokens, addedToken{ID: id, Content: s, Special: true})
	}
	m.unk = ids["<unk>"]
	for id := range int32(t.model.size()) {
		piece, _ := t.model.token(id)
		numbered, ok := ids[piece]
		if !ok {
			numbered = m.unk
		}
		m.of = append(m.of, numbered)
	}
	t.model = m
	tokens = append(tokens, declared...)
	for i, code := range strings.Fields(codes) {
		tokens = append(tokens, addedToken{ID: int32(len(ids) + i), Content: "__" + code + "__", Special: true})
	}
	return tokens, nil
}

// numberedModel is a SentencePiece model whose pieces have other ids. Pieces without
// one are unknown.
type numberedModel struct {
	model
	of    []int32 // by the model's id
	ids   map[string]int32
	texts map[int32]string
	unk   int32
	top   int // largest id + 1
}

func (m *numberedModel) encode(e *encoder, piece string, ids []int32) []int32 {
	from := len(ids)
	ids = m.model.encode(e, piece, ids)
	for i, id := range ids[from:] {
		ids[from+i] = m.of[id]
	}
	return ids
}

func (m *numberedModel) id(token string) (int32, bool) {
	id, ok := m.ids[token]
	return id, ok
}

func (m *numberedModel) token(id int32) (string, bool) {
	s, ok := m.texts[id]
	return s, ok
}

func (m *numberedModel) size() int { return m.top }
