package filter

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"barka/internal/prose"
	"barka/internal/wordhash"
)

// emptyAnswer counts letters and digits. Signs that stand for more than half of an answer make
// it empty, too: lines of dots to fill in.
func emptyAnswer(r *examined) finding {
	if !r.o.EmptyAnswers {
		return skip(off)
	}
	return r.least(1, answers, func(_ int, text string) (float64, string) {
		content, dots := 0, 0
		for _, c := range text {
			switch {
			case c == '.' || c == '…' || c == '_' || c == '·' || c == '-' || c == '۔':
				dots++
			case unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.Is(unicode.Sm, c):
				if content++; content == 100 && dots < 10 {
					return 100, "" // enough
				}
			}
		}
		if dots > content && dots > 3 {
			return 0, fmt.Sprintf("%d dots and lines", dots)
		}
		return float64(content), ""
	})
}

// echo measures how much an answer resembles the question before it: the share of pairs of
// words that they have in common (Dice). Short ones have none to compare.
func echo(r *examined) finding {
	if r.o.MaxEcho == 0 {
		return skip(off)
	}
	return r.most(r.o.MaxEcho, answers, func(i int, text string) (float64, string) {
		if i == 0 || len(text) > 3*len(r.Messages[i-1].Content) || 3*len(text) < len(r.Messages[i-1].Content) {
			return 0, "" // of such different lengths, they are less alike than 0.5
		}
		if affirms.MatchString(text) {
			return 0, "" // yes, and the question as a statement
		}
		var buffer [256]uint64
		question := pairs(wordhash.Words(buffer[:0], r.Messages[i-1].Content))
		answer := pairs(wordhash.Words(nil, text))
		if len(question) < 2 || len(answer) < 2 {
			return math.NaN(), ""
		}
		count := make(map[uint64]int, len(question))
		for _, p := range question {
			count[p]++
		}
		common := 0
		for _, p := range answer {
			if count[p] > 0 {
				count[p]--
				common++
			}
		}
		return 2 * float64(common) / float64(len(question)+len(answer)), ""
	})
}

var affirms = regexp.MustCompile(`(?i)^[^\pL\pN]*(?:نعم|لا|كلا|بلى|أجل|صحيح|خطأ|yes|no|true|false)[\s،,.:]`)

// pairs replaces hashes of words by those of neighbouring words.
func pairs(words []uint64) []uint64 {
	for i := range max(len(words)-1, 0) {
		words[i] = words[i]*0x9E3779B97F4A7C15 + words[i+1]
	}
	return words[:max(len(words)-1, 0)]
}

var (
	refusals = regexp.MustCompile(`(?i)\bi(?:'m|’m| am) (?:sorry|unable|not able|not sure|afraid)\b|\bi (?:cannot` +
		`|can't|can’t|can not|won't) ` +
		`(?:answer|provide|help|assist|fulfil|fulfill|comply|create|generate|write|discuss|do that|continue|engage|find|access)\b` +
		`|\bi (?:do not|don't|don’t) (?:know|have (?:access|enough|the ability|personal|information))\b|\bunable to ` +
		`(?:answer|provide|assist|help)\b` +
		`|\b(?:not|isn't|is no|no|in)(?:t have)? ?(?:enough |sufficient )information (?:to|in)\b|\bagainst my ` +
		`(?:guidelines|programming|policy)\b` +
		`|\bmy (?:apologies|knowledge cutoff)\b|\bi apologi[sz]e\b`)
	refusalsArabic = regexp.MustCompile(`(?:^|[\s،.!"«])(?:عذرا|عذراً|عذرًا|آسف|أعتذر|اعتذر|معذرة|للأسف، لا|للأسف لا)(?:[\s،,.!]|$)` +
		`|لا (?:أستطيع|استطيع|يمكنني|أقدر|أملك|أعرف|أعلم) (?:الإجابة|الاجابة|مساعدتك|المساعدة|تقديم|تزويدك|توفير` +
		`|إنشاء|كتابة|معلومات|هذا|إن|ان|ما|الرد|تنفيذ|المشاركة|مناقشة)` +
		`|لست قادرا على|لست قادرًا على|غير قادر على (?:الإجابة|تقديم|مساعدتك|المساعدة)|لا توجد (?:لدي )?معلومات كافية` +
		`|ليس لدي (?:معلومات|القدرة|إمكانية|وصول)` +
		`|لا أملك (?:معلومات|القدرة)|لا تتوفر لدي`)
	assistants = regexp.MustCompile(`(?i)\bas an? (?:ai|artificial intelligence|language model|large language ` +
		`model|ai language model|assistant|chatbot)\b` +
		`|\b(?:i am|i'm|i’m) (?:an? (?:ai|artificial|language model|large language|virtual assistant|chatbot)|chatgpt|claude|gemini|llama)\b` +
		`|\b(?:developed|trained|created|made) by (?:openai|anthropic|google deepmind|meta ai|mistral ai)\b` +
		`|\b(?:let me know if|feel free to (?:ask|reach)|i hope (?:this|that) helps|hope this helps|happy to help|is there anything else)\b` +
		`|</?(?:think|s|assistant|user)>|<\|[a-z_]+\|>|\[/?INST\]`)
	openings = regexp.MustCompile(`(?i)^[^\pL\pN]*(?:sure|certainly|of course|absolutely|great question)\s*[!,.]\s+(?:here|i|let|this|below)` +
		`|^[^\pL\pN]*here(?:'s|’s| is| are) (?:the|a|an|your|my|some)\b[^\n]{0,60}:|^[^\pL\pN]*(?:user|assistant|human|ai)\s*:`)
	assistantsArabic = regexp.MustCompile(`(?:بصفتي|باعتباري|كوني|أنا|انا|كـ?)\s?(?:مجرد )?(?:نموذج|نموذجا|نموذجًا` +
		`|مساعد|مساعدا|مساعدًا|ذكاء|روبوت|برنامج) ` +
		`(?:لغوي|لغة|لغوية|ذكاء|اصطناعي|افتراضي|محادثة|دردشة|ذكي)|(?:تدريبي|تطويري|إنشائي) (?:من قبل|بواسطة|على يد)` +
		`|لا تتردد في (?:السؤال|طرح|التواصل|سؤالي|الاتصال بي)|هل (?:يمكنني|أستطيع|تريد مني|ترغب في أن) (?:مساعدتك|أن أساعدك|أساعد)` +
		`|(?:آمل|أتمنى|أرجو) أن (?:يكون هذا|تكون هذه|يساعدك|أكون قد|تساعدك)|(?:أخبرني|أعلمني|دعني أعرف|اسمح لي أن ` +
		`أعرف) (?:إذا|إن) (?:كنت|كان|احتجت)`)
	openingsArabic = regexp.MustCompile(`^[^\pL\pN]*(?:بالطبع|بالتأكيد|بكل سرور|على الرحب والسعة|حسنا` +
		`|حسنًا)\s*[!،,.:]\s*(?:إليك|اليك|هنا|هذا|هذه|سأ|فيما|يسعدني|دعني)` +
		`|^[^\pL\pN]*(?:إليك|اليك|فيما يلي|هنا) (?:الإجابة|الاجابة|إجابة|السؤال|سؤال|الترجمة|النص|بعض)[^\n]{0,40}:` +
		`|^[^\pL\pN]*(?:المستخدم|المساعد)\s*:`)
)

// phrases is a pattern that is searched for in the first limit bytes of texts with one of its
// words. Looking for the words is many times as fast as the pattern.
type phrases struct {
	pattern *regexp.Regexp
	words   []string
	limit   int
}

const opening = 200 // bytes in which an opening is

var (
	refusing = []phrases{
		{refusals, []string{"orry", "nable", "not able", "not sure", "fraid", "annot", "an't", "an’t", "an not",
			"on't", "on’t", "do not", "nformation",
			"guidelines", "programming", "polog", "cutoff"}, 300},
		{refusalsArabic, []string{"عذر", "آسف", "اعتذر", "معذرة", "للأسف", "لا أ", "لا ا", "لا يمكنني", "لست قادر",
			"غير قادر", "لا توجد", "ليس لدي", "تتوفر لدي"}, 500},
	}
	assisting = []phrases{
		{openings, []string{"ure", "ertainly", "f course", "bsolutely", "reat question", "ere'", "ere’", "ere is",
			"ere are", "ser:", "ssistant", "uman:", "AI"}, opening},
		{openingsArabic, []string{"بالطبع", "بالتأكيد", "سرور", "الرحب", "حسنا", "حسنًا", "ليك", "فيما يلي", "هنا ",
			"المستخدم", "المساعد"}, opening},
		{assistants, []string{"rtificial", " ai ", "AI", "anguage model", "ssistant", "hatbot", "hatGPT", "laude",
			"emini", "lama", "nthropic", "eepMind",
			"istral", "et me know if", "eel free to", " helps", "appy to help", "nything else", "<", "INST"}, math.MaxInt},
		{assistantsArabic, []string{"نموذج لغ", "نموذجا لغ", "نموذجًا لغ", "نموذج ذكاء", "نموذجا للذكاء", "مساعد ذك",
			"مساعدا ذك", "مساعدًا ذك", "مساعد افتراضي",
			"مساعد لغوي", "ذكاء اصطناعي", "ذكاء لغوي", "روبوت محادثة", "روبوت دردشة", "برنامج محادثة", "برنامج ذكاء",
			"برنامج دردشة", "تدريبي من", "تدريبي ب", "تطويري من",
			"تطويري ب", "إنشائي ", "تتردد في", "أساعد", "مساعدتك", "آمل أن", "أتمنى أن", "أرجو أن", "أخبرني إ", "أعلمني إ", "أعرف إ"}, math.MaxInt},
	}
)

// find returns where the pattern is in a text, nil if it is not.
func (p *phrases) find(text string) []int {
	text = text[:min(len(text), p.limit)]
	if len(p.words) > 0 && !slices.ContainsFunc(p.words, func(w string) bool { return strings.Contains(text, w) }) {
		return nil
	}
	return p.pattern.FindStringIndex(text)
}

// refusal looks at answers, in the row's language and in English beside it.
func refusal(r *examined) finding { return r.phrases(refusing) }

func assistantPhrase(r *examined) finding { return r.phrases(assisting) }

func (r *examined) phrases(list []phrases) finding {
	if !r.o.Refusals {
		return skip(off)
	}
	return r.most(0, answers, func(i int, text string) (float64, string) {
		source := ""
		if r.translated() {
			source = r.MessagesEN[i].Content
		}
		for _, text := range []string{text, source} {
			for k := range list {
				if at := list[k].find(text); at != nil {
					return 1, fmt.Sprintf("%q", strings.TrimSpace(text[at[0]:at[1]]))
				}
			}
		}
		return 0, ""
	})
}

// leakEnglish and leakArabic find wording that presumes a text to read.
var (
	leakEnglish = regexp.MustCompile(`(?i)\b(?:the|this|given|above|provided) (?:text|passage|article|excerpt|paragraph)\b` +
		`|\baccording to the (?:text|passage|article)\b`)
	leakArabic = regexp.MustCompile(`(?:النص|الفقرة|المقال|المقالة|المقطع|القطعة) (?:أعلاه|المذكور|المذكورة|السابق` +
		`|السابقة|التالي|التالية|المعطى|المعطاة|المقدم|المقدمة)` +
		`|(?:وفقا|وفقًا|وفقاً|طبقا|طبقًا|استنادا|استنادًا|بناء|بناءً|بحسب|حسب) (?:إلى |على )?(?:ما (?:ورد|جاء|ذكر)(?: ` +
		`في)? )?(?:ل)?(?:لنص|للفقرة|للمقال|للمقالة|للمقطع|النص|الفقرة|المقال|المقالة|المقطع)` +
		`|(?:كما|ما|مما) (?:ورد|جاء|ذكر|ذُكر|يذكر) في (?:هذا |هذه )?(?:النص|الفقرة|المقال|المقالة|المقطع)` +
		`|(?:وفقا|وفقًا|وفقاً|حسب|طبقا|طبقًا) لما (?:ورد|جاء|ذكر)(?: |$|[؟،.])` +
		`|(?:يذكر|يشير|يتحدث|يصف|يوضح|يقول|يناقش|يتناول|ذكر|أشار|وصف|لا يذكر|لم يذكر) (?:هذا )?(?:النص|المقال|المقطع|الكاتب في النص)` +
		`|(?:تذكر|تشير|تتحدث|تصف|توضح|تقول|تناقش|تتناول|ذكرت|لا تذكر|لم تذكر) (?:هذه )?(?:الفقرة|المقالة|القطعة)` +
		`|(?:في|من|خلال|ضمن) (?:هذا|هذه) (?:النص|الفقرة|المقال|المقالة|المقطع)` +
		`|(?:موضوع|عنوان|مضمون|محتوى) (?:هذا |هذه )?(?:النص|الفقرة|المقالة|المقطع)(?:[؟.،]|$)`)
	// The text of a treaty and the passage of time are no leaks.
	ofSomething = regexp.MustCompile(`^ of `)
)

var leaking = []phrases{
	{leakEnglish, []string{" text", "assage", "rticle", "xcerpt", "aragraph"}, math.MaxInt},
	{leakArabic, []string{"النص", "للنص", "الفقرة", "للفقرة", "المقال", "للمقال", "المقطع", "للمقطع", "القطعة",
		"لما ورد", "لما جاء", "لما ذكر"}, math.MaxInt},
}

func (p *phrases) all(text string) [][]int {
	if p.find(text) == nil {
		return nil
	}
	return p.pattern.FindAllStringIndex(text, -1)
}

// leaks looks at all messages and their sources.
func leaks(r *examined) finding {
	if !r.o.Leaks {
		return skip(off)
	}
	english := r.english()
	return r.most(0, every, func(i int, text string) (float64, string) {
		if i < len(english) {
			source := english[i].Content
			for _, at := range leaking[0].all(source) {
				if !ofSomething.MatchString(source[at[1]:]) {
					return 1, fmt.Sprintf("%q", source[at[0]:at[1]])
				}
			}
		}
		if at := leaking[1].find(text); at != nil {
			return 1, fmt.Sprintf("%q", text[at[0]:at[1]])
		}
		return 0, ""
	})
}

// unfinished looks for answers that break off. Of a translation, only what its source finished
// is missing, and the source is asked for the same; the authors of benchmarks end as they like.
func unfinished(r *examined) finding {
	if !r.o.Unfinished {
		return skip(off)
	}
	return r.most(0, answers, func(i int, text string) (float64, string) {
		what := breaksOff(text)
		switch {
		case r.translated():
			source := breaksOff(r.MessagesEN[i].Content)
			if source != "" && r.written() {
				return 1, source
			}
			if what == "" || source != "" || !ends(r.MessagesEN[i].Content) {
				return 0, ""
			}
		case what == "" || !r.written():
			return 0, ""
		}
		return 1, what
	})
}

const closing = `"'”’»)]}*_` + "`"

// ends reports whether a text ends in a mark that ends sentences.
func ends(s string) bool {
	s = strings.TrimRight(strings.TrimSpace(s), closing+" \u200f\u200e\u202c\u2069")
	last, _ := utf8.DecodeLastRuneInString(s)
	return strings.ContainsRune(".!?؟…。！？۔॥।", last)
}

// dangling are words after which a sentence goes on, in Arabic and English.
var dangling = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(`في من إلى على عن مع أن إن لأن التي الذي الذين اللذين أو و ثم كما حيث بين منذ حتى لكن بل سوى
		مثل بسبب خلال عند ضد نحو قد سوف كان كانت هذا هذه ذلك تلك
		the a an of and to in that is are was were with for from by or but because which who as at on into than this their its`) {
		m[w] = true
	}
	return m
}()

// breaksOff returns the end of a text that stops inside a sentence, "" if it does not: a text
// of some length whose last line is a sentence without an end, though others before it have
// one, or any whose last word cannot be the last.
func breaksOff(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || ends(s) {
		return ""
	}
	line := s[strings.LastIndexByte(s, '\n')+1:]
	words := strings.Fields(line)
	if strings.Contains(s, "```") || len(words) < 4 || strings.HasPrefix(line, "|") {
		return ""
	}
	tail := strings.Join(words[max(0, len(words)-4):], " ")
	last, _ := utf8.DecodeLastRuneInString(line)
	if strings.ContainsRune("،,", last) || strings.HasSuffix(line, " -") {
		return fmt.Sprintf("ends in %q", tail)
	}
	if dangling[strings.ToLower(words[len(words)-1])] && len(words) >= 6 {
		return fmt.Sprintf("ends in %q", tail)
	}
	if !unicode.IsLetter(last) && !unicode.IsMark(last) || item.MatchString(line) || prose.CountWords(s) < 15 {
		return ""
	}
	for _, mark := range []string{". ", "؟ ", "! ", "? ", ".\n", "؟\n"} {
		if strings.Contains(s, mark) && !item.MatchString(s[:min(len(s), 8)]) {
			return fmt.Sprintf("ends in %q", tail)
		}
	}
	return ""
}

// item is a line of a list, or a heading.
var item = regexp.MustCompile(`^\s*(?:[-*•#]|\p{Nd}{1,2}\s?[.)\-]|\p{L}[.)])`)
