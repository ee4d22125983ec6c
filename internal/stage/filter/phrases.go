package filter

import (
	"fmt"
	"regexp"
	"strings"
)

// A phrase is an expression that rules search for in the first limit bytes of texts, 0 for all
// of them. Texts look for the letters of all phrases in one pass, so that few are searched by
// expressions, which are slow.
type phrase struct {
	*regexp.Regexp
	limit  int
	number int // in phrases
}

var phrases []*phrase

func searched(limit int, expression string) *phrase {
	p := &phrase{regexp.MustCompile(expression), limit, len(phrases)}
	phrases = append(phrases, p)
	return p
}

const opening = 200 // bytes in which an opening is

var (
	refusals = searched(300, `(?i)\bi(?:'m|’m| am) (?:sorry|unable|not able|not sure|afraid)\b|\bi (?:cannot`+
		`|can't|can’t|can not|won't) `+
		`(?:answer|provide|help|assist|fulfil|fulfill|comply|create|generate|write|discuss|do that|continue|engage|find|access)\b`+
		`|\bi (?:do not|don't|don’t) (?:know|have (?:access|enough|the ability|personal|information))\b|\bunable to `+
		`(?:answer|provide|assist|help)\b`+
		`|\b(?:not|isn't|is no|no|in)(?:t have)? ?(?:enough |sufficient )information (?:to|in)\b|\bagainst my `+
		`(?:guidelines|programming|policy)\b`+
		`|\bmy (?:apologies|knowledge cutoff)\b|\bi apologi[sz]e\b`)
	refusalsArabic = searched(500, `(?:^|[\s،.!"«])(?:عذرا|عذراً|عذرًا|آسف|أعتذر|اعتذر|معذرة|للأسف، لا|للأسف لا)(?:[\s،,.!]|$)`+
		`|لا (?:أستطيع|استطيع|يمكنني|أقدر|أملك|أعرف|أعلم) (?:الإجابة|الاجابة|مساعدتك|المساعدة|تقديم|تزويدك|توفير`+
		`|إنشاء|كتابة|معلومات|هذا|إن|ان|ما|الرد|تنفيذ|المشاركة|مناقشة)`+
		`|لست قادرا على|لست قادرًا على|غير قادر على (?:الإجابة|تقديم|مساعدتك|المساعدة)|لا توجد (?:لدي )?معلومات كافية`+
		`|ليس لدي (?:معلومات|القدرة|إمكانية|وصول)`+
		`|لا أملك (?:معلومات|القدرة)|لا تتوفر لدي`)
	assistants = searched(0, `(?i)\bas an? (?:ai|artificial intelligence|language model|large language `+
		`model|ai language model|assistant|chatbot)\b`+
		`|\b(?:i am|i'm|i’m) (?:an? (?:ai|artificial|language model|large language|virtual assistant|chatbot)|chatgpt|claude|gemini|llama)\b`+
		`|\b(?:developed|trained|created|made) by (?:openai|anthropic|google deepmind|meta ai|mistral ai)\b`+
		`|\b(?:let me know if|feel free to (?:ask|reach)|i hope (?:this|that) helps|hope this helps|happy to help|is there anything else)\b`+
		`|</?(?:think|s|assistant|user)>|<\|[a-z_]+\|>|\[/?INST\]`)
	openings = searched(opening, `(?i)^[^\pL\pN]*(?:(?:sure|certainly|of course|absolutely|great question)\s*[!,.]\s+`+
		`(?:here|i|let|this|below)`+
		`|here(?:'s|’s| is| are) (?:the|a|an|your|my|some)\b[^\n]{0,60}:|(?:user|assistant|human|ai)\s*:)`)
	assistantsArabic = searched(0, `(?:بصفتي|باعتباري|كوني|أنا|انا|كـ?)\s?(?:مجرد )?(?:نموذج|نموذجا|نموذجًا`+
		`|مساعد|مساعدا|مساعدًا|ذكاء|روبوت|برنامج) `+
		`(?:لغوي|لغة|لغوية|ذكاء|اصطناعي|افتراضي|محادثة|دردشة|ذكي)|(?:تدريبي|تطويري|إنشائي) (?:من قبل|بواسطة|على يد)`+
		`|لا تتردد في (?:السؤال|طرح|التواصل|سؤالي|الاتصال بي)|هل (?:يمكنني|أستطيع|تريد مني|ترغب في أن) (?:مساعدتك|أن أساعدك|أساعد)`+
		`|(?:آمل|أتمنى|أرجو) أن (?:يكون هذا|تكون هذه|يساعدك|أكون قد|تساعدك)|(?:أخبرني|أعلمني|دعني أعرف|اسمح لي أن `+
		`أعرف) (?:إذا|إن) (?:كنت|كان|احتجت)`)
	openingsArabic = searched(opening, `^[^\pL\pN]*(?:(?:بالطبع|بالتأكيد|بكل سرور|على الرحب والسعة|حسنا`+
		`|حسنًا)\s*[!،,.:]\s*(?:إليك|اليك|هنا|هذا|هذه|سأ|فيما|يسعدني|دعني)`+
		`|(?:إليك|اليك|فيما يلي|هنا) (?:الإجابة|الاجابة|إجابة|السؤال|سؤال|الترجمة|النص|بعض)[^\n]{0,40}:`+
		`|(?:المستخدم|المساعد)\s*:)`)
)

// refusal looks at answers, in the row's language and in English beside it.
func refusal(r *examined) finding { return r.phrases(refusals, refusalsArabic) }

func assistantPhrase(r *examined) finding {
	return r.phrases(openings, openingsArabic, assistants, assistantsArabic)
}

func (r *examined) phrases(list ...*phrase) finding {
	if !r.o.Refusals {
		return skip(off)
	}
	return r.most(0, answers, func(i int, t *text) (float64, string) {
		what := t.anyOf(list)
		if what == "" && r.translated() {
			what = r.source(i).anyOf(list)
		}
		if what == "" {
			return 0, ""
		}
		return 1, what
	})
}

// anyOf returns the first of the phrases that the text has, quoted, "" for none.
func (t *text) anyOf(list []*phrase) string {
	for _, p := range list {
		if at := t.find(p); at != nil {
			return fmt.Sprintf("%q", strings.TrimSpace(t.string[at[0]:at[1]]))
		}
	}
	return ""
}

// leakEnglish and leakArabic find wording that presumes a text to read.
var (
	leakEnglish = searched(0, `(?i)\b(?:the|this|given|above|provided) (?:text|passage|article|excerpt|paragraph)\b`+
		`|\baccording to the (?:text|passage|article)\b`)
	leakArabic = searched(0, `(?:النص|الفقرة|المقال|المقالة|المقطع|القطعة) (?:أعلاه|المذكور|المذكورة|السابق`+
		`|السابقة|التالي|التالية|المعطى|المعطاة|المقدم|المقدمة)`+
		`|(?:وفقا|وفقًا|وفقاً|طبقا|طبقًا|استنادا|استنادًا|بناء|بناءً|بحسب|حسب) (?:إلى |على )?(?:ما (?:ورد|جاء|ذكر)(?: `+
		`في)? )?(?:ل)?(?:لنص|للفقرة|للمقال|للمقالة|للمقطع|النص|الفقرة|المقال|المقالة|المقطع)`+
		`|(?:كما|ما|مما) (?:ورد|جاء|ذكر|ذُكر|يذكر) في (?:هذا |هذه )?(?:النص|الفقرة|المقال|المقالة|المقطع)`+
		`|(?:وفقا|وفقًا|وفقاً|حسب|طبقا|طبقًا) لما (?:ورد|جاء|ذكر)(?: |$|[؟،.])`+
		`|(?:يذكر|يشير|يتحدث|يصف|يوضح|يقول|يناقش|يتناول|ذكر|أشار|وصف|لا يذكر|لم يذكر) (?:هذا )?(?:النص|المقال|المقطع|الكاتب في النص)`+
		`|(?:تذكر|تشير|تتحدث|تصف|توضح|تقول|تناقش|تتناول|ذكرت|لا تذكر|لم تذكر) (?:هذه )?(?:الفقرة|المقالة|القطعة)`+
		`|(?:في|من|خلال|ضمن) (?:هذا|هذه) (?:النص|الفقرة|المقال|المقالة|المقطع)`+
		`|(?:موضوع|عنوان|مضمون|محتوى) (?:هذا |هذه )?(?:النص|الفقرة|المقالة|المقطع)(?:[؟.،]|$)`)
	// The text of a treaty and the passage of time are no leaks.
	ofSomething = regexp.MustCompile(`^ of `)
)

// leaks looks at all messages and their sources.
func leaks(r *examined) finding {
	if !r.o.Leaks {
		return skip(off)
	}
	return r.most(0, every, func(i int, t *text) (float64, string) {
		if english := r.english(i); english != nil && english.may(leakEnglish) {
			source := english.string
			for _, at := range leakEnglish.FindAllStringIndex(source, -1) {
				if !ofSomething.MatchString(source[at[1]:]) {
					return 1, fmt.Sprintf("%q", source[at[0]:at[1]])
				}
			}
		}
		if at := t.find(leakArabic); at != nil {
			return 1, fmt.Sprintf("%q", t.string[at[0]:at[1]])
		}
		return 0, ""
	})
}
