package synth

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"barka/internal/prose"
)

// patterns find wording in both languages. The Arabic one is written for folded text, so
// that vowel signs and spellings of the hamza do not matter.
type patterns struct{ english, arabic *regexp.Regexp }

func (p patterns) MatchString(s string) bool {
	return p.english.MatchString(s) || isArabic(s) && p.arabic.MatchString(prose.Fold(s))
}

func isArabic(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Arabic, r) })
}

// arabicLanguages are the NLLB codes of Arabic; other languages share its script.
var arabicLanguages = []string{"arb_Arab", "ary_Arab", "arz_Arab", "acm_Arab", "acq_Arab", "aeb_Arab", "ajp_Arab", "apc_Arab", "ars_Arab"}

// lexical reports whether word lists and stems exist for a language.
func lexical(language string) bool {
	return language == "eng_Latn" || slices.Contains(arabicLanguages, language)
}

// articles that stemArabic takes off, with the particles that are written together with
// them, and endings. This is the light stemmer of Larkey, Ballesteros and Connell (2002),
// "light10".
var (
	articles      = []string{"وال", "بال", "كال", "فال", "ال", "لل"}
	arabicEndings = []string{"ها", "ان", "ات", "ون", "ين", "يه", "ه", "ي"}
)

// stemArabic takes the conjunction, the article and endings off a folded word.
func stemArabic(word string) string {
	if s, ok := strings.CutPrefix(word, "و"); ok && utf8.RuneCountInString(s) >= 3 {
		word = s
	}
	for _, a := range articles {
		if s, ok := strings.CutPrefix(word, a); ok && utf8.RuneCountInString(s) >= 2 {
			word = s
			break
		}
	}
	for _, e := range arabicEndings {
		if s, ok := strings.CutSuffix(word, e); ok && utf8.RuneCountInString(s) >= 2 {
			word = s
		}
	}
	return word
}

// withoutProclitic returns an Arabic stem without the particle that may be its first
// letter, or "". Only the context shows whether it is one, so both forms count as known.
func withoutProclitic(stem string) string {
	first, size := utf8.DecodeRuneInString(stem)
	if strings.ContainsRune("بلكفس", first) && utf8.RuneCountInString(stem) >= 4 {
		return stem[size:]
	}
	return ""
}

// arabicStopWords carry no meaning of their own, or only that of a question.
const arabicStopWords = `في من على إلى عن مع هذا هذه ذلك تلك هؤلاء أولئك التي الذي الذين اللذان اللتان اللواتي ما ماذا لماذا
	كيف متى أين هل كم أي أية أيهما هو هي هم هن هما أنا أنت نحن كان كانت كانوا يكون تكون يكونون ليس ليست قد لقد لا لم لن إن أن أنه
	أنها إنه إنها أو أم ثم بل بين بعد قبل عند عندما كل بعض غير حيث كما مثل لكن إذا إذ منذ حتى فقط أيضا له لها لهم به بها بهم فيه
	فيها فيهم منه منها منهم عليه عليها عليهم إليه إليها إليهم عنه عنها عنهم وهو وهي وهم وكان وكانت وقد وما ومن وفي وعلى وإلى وعن
	ولا ولم ولن وأن وإن فإن بما مما فيما كذلك لذلك بسبب خلال حول ضد دون نحو لدى سوى ذو ذات يمكن يجب تم يتم السؤال الجواب الإجابة
	النص الفقرة اذكر اشرح عرف قارن صف لخص أجب وضح بين عدد معنى المقصود الفرق يعني تعني نعم أجل كلا`

// between finds the two things that a question compares.
var between = patterns{
	regexp.MustCompile(`(?i)\bbetween (?:the )?(.+?),? and (?:the )?(.+?)\s*[?.,]`),
	regexp.MustCompile(`(?:^|\P{L})بين (.+?) و(?:بين )?(.+?)\s*[؟?،.]`),
}

// compared returns the two things that a question compares, if it does.
func compared(s string) (a, b string, ok bool) {
	m := between.english.FindStringSubmatch(s)
	if m == nil && isArabic(s) {
		m = between.arabic.FindStringSubmatch(prose.Fold(s))
	}
	if m == nil {
		return "", "", false
	}
	return same(m[1]), same(m[2]), true
}
