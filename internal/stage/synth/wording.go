package synth

import (
	"regexp"

	"barka/internal/modeltext"
)

// asksBy has the shapes whose message is a question. A statement and a task ask in the words
// of the set of prompts.
var asksBy = map[string]bool{shapeQuestion: true, shapeChoice: true}

const questionMarks = "?؟？"

// leak finds wording that gives away that there was a text to read. Authors
// and documents are often the subject itself: they count only where they are
// pointed at.
var leak = patterns{
	regexp.MustCompile(`(?i)\b(?:(?:the|this|that|given|provided|above|following) ` +
		`(?:text|passage|article|excerpt|paragraph)|(?:this|given|provided|above) (?:author|document)|` +
		`the author (?:says?|states?|mentions?|writes?|argues?|describes?|explains?)|as (?:mentioned|stated|described) (?:above|in the))\b`),
	regexp.MustCompile(`(?:^|\P{L})[وف]?(?:[بك]?ال|لل)(?:نص|فقره|مقطع|مقاله?)(?:\P{L}|$)` +
		`|(?:ورد|ذكر|جاء|سبق) (?:ذكره )?(?:اعلاه|سابقا)|(?:ال)?مذكوره? اعلاه|(?:يقول|يذكر|يري|يشير|ذكر) (?:الكاتب|المولف)(?:\P{L}|$)`),
}

// meta finds texts about the task in place of the subject, as small models write
// them.
var meta = patterns{
	regexp.MustCompile(`(?i)\bwhat is (?:the|a|your) (?:short )?answer\s*\?|\b(?:answer to|asked in) ` +
		`(?:this|that|the) question\b|\b(?:this|the) question (?:is|requires|asks|cannot)\b|\bwhat question is this\b` +
		`|\bthe answer is\b|^the (?:subject|topic) of\b|^the (?:child|reader|user) (?:wants|asks|needs)\b`),
	regexp.MustCompile(`(?:^|\P{L})ما (?:هي |هو )?(?:الاجابه|الجواب)(?: (?:الصحيحه?|المختصره?))?(?: (?:علي|عن) (?:هذا )?السوال)?\s*[؟?]` +
		`|^(?:يتطلب|يسال) (?:هذا )?السوال|^موضوع `),
}

// degenerate finds questions of an assistant to its user, questions without a subject, and
// questions about the task.
var degenerate = patterns{
	regexp.MustCompile(`(?i)\b(?:would|do|are|have|should) (?:you|i)\b|\b(?:can|could|may) i\b|\byour\b` +
		`|\bi(?:'m|'ll| am| will)\b|\byou are\b|\bthe user\b|\b(?:topic|subject) of\b` +
		`|^(?:what|who|where|why|how) (?:is|are|was|were|do|does|did) (?:it|this|that|these|those|they|he|she|you|we)(?: \w+)?\s*\?` +
		`|\b(?:this|that|following) (?:question|answer|topic|subject|statement|essay|title)s?\b` +
		`|\b(?:which|what) (?:question|answer|topic|subject|statement|title)s?(?:\(s\))? (?:is|are|would|should|do you)\b` +
		`|\b(?:the|a|an) (?:(?:main|correct|short|best|full) )?(?:question|answer|topic|subject|statement|essay|title)` +
		`(?:\s*[?:.]|$| (?:is|was|would)\b| to (?:which|what|this)\b| about\b` +
		`| of (?:the |this )?(?:text|essay|article|question|topic)\b)` +
		`|^[^\pL\pN]*(?:answer|question|title|text|topic)\b|\b(?:help|assist) (?:you|me)\b` +
		`|\bwhat (?:is|are) (?:the|a) (?:\w+ )?questions? (?:that|to)\b`),
	regexp.MustCompile(`(?:^|\P{L})هل (?:تريد|ترغب|تود|يمكنني|استطيع|لديك|انت)(?:\P{L}|$)|(?:كيف|بماذا) (?:يمكنني|استطيع|اساعد)` +
		`|مساعدتك|اساعدك|^ما (?:هو|هي|هذا|هذه|ذلك|تلك)\s*[؟?]|(?:هذا|هذه) (?:السوال|الموضوع|الاجابه|العباره)` +
		`|(?:^|\P{L})ما (?:هو |هي )?(?:السوال|الموضوع|العنوان|موضوع)(?:\P{L}|$)|^\P{L}*(?:السوال|الجواب|الاجابه|العنوان)(?:\P{L}|$)`),
}

// joined finds a second question behind the first.
var joined = patterns{
	regexp.MustCompile(`(?i)(?:\band|[,;:]) (?:what|why|how|when|where|who|which)\b ` +
		`(?:do|does|did|is|are|was|were|has|have|can|could)\b|[,;] or (?:is|are|was|were|do|does|did) (?:it|there|they)\b`),
	regexp.MustCompile(`[\s،؛]و(?:ماذا|لماذا|كيف|متي|اين|هل|ما (?:هو|هي|الذي|التي))(?:\P{L})`),
}

// ends finds the end of a question: its mark, and perhaps what closes a quotation.
var ends = regexp.MustCompile(`[?؟？]["'”’»)*]*$`)

// refusal finds answers that do not answer.
var refusal = patterns{
	regexp.MustCompile(`(?i)\b(?:i(?:'m| am) (?:sorry|unable|not able|not sure)|i (?:cannot|can't|can not|do not|don't) ` +
		`(?:answer|provide|help|assist|know|have|find|see)|as an ai\b|as a language model|` +
		`(?:not|isn't|is no) (?:enough |sufficient )?information|` +
		`(?:does|do) not (?:provide|contain|mention|specify|include) (?:any |enough )?(?:information|details)|unable to (?:answer|provide))`),
	regexp.MustCompile(`(?:^|\P{L})(?:عذرا|انا (?:اسف|اعتذر|غير (?:قادر|متاكد))|لا (?:استطيع|اعرف|اعلم|يمكنني)|ليس (?:بامكاني|لدي)|` +
		`(?:بصفتي|كوني) نموذج|كنموذج لغوي|لا (?:توجد|تتوفر|يوجد|يتوفر|املك) (?:لدي )?معلوم|` +
		`لا (?:يذكر|يحتوي|يوفر|يتضمن|يقدم) (?:النص|المقطع|معلوم))`),
}

// assistant finds answers in which the model speaks of itself or to its user.
var assistant = patterns{
	regexp.MustCompile(`(?i)\bi(?:'m| am) (?:ready|happy|glad|here)\b|\bi(?:'d| would) be happy\b` +
		`|\blet me know\b|\bfeel free\b` +
		`|\b(?:my|your) (?:answer|question)s?\b|\bhere(?:'s| is| are) (?:the|a|an|your|my|some)\b` +
		`|\b(?:would|can|could|do) you (?:like|want|need|please)\b` +
		`|^[^\pL\pN]*(?:title|text|passage|conversation)\s*:|\n[^\pL\pN]*(?:title|text|passage|question|answer|conversation)\s*:`),
	regexp.MustCompile(`(?:^|\P{L})(?:يسعدني|يسرني|لا تتردد|اجابت[يك]|سوال[يك]|هل (?:تريد|ترغب|تود))(?:\P{L}|$)` +
		`|^(?:بالتاكيد|بكل سرور|اليك)|(?:^|\n)\P{L}*(?:العنوان|النص|الفقره|السوال|الجواب|الاجابه|المحادثه)\s*:`),
}

// trueFalse finds how an answer about a statement begins.
var trueFalse = regexp.MustCompile(`(?i)^[^\pL\pN]*(?:true|false|صحيح|صحيحة|صواب|خطأ|خاطئ|خاطئة)(?:\P{L}|$)`)

// script finds a conversation that a model wrote into one of its messages.
var script = regexp.MustCompile(`(?im)^(?:\*\*)?(?:user|assistant|human|المستخدم|المساعد)(?:\*\*)? ?:`)

// label is what models like to put before a text.
var label = regexp.MustCompile(`(?i)^(?:\*\*)?(?:question|answer|q|a|assistant|user` +
	`|(?:ال)?سؤال|(?:ال)?جواب|(?:ال)?إجابة|العبارة|س|ج)(?: ?\p{Nd}+)?(?:\*\*)? ?:(?:\*\*)?\s*`)

var (
	// preamble announces the text.
	preamble = regexp.MustCompile(`(?i)^(?:(?:sure|certainly|of course|absolutely|okay|great)\s*[,!.:]\s*)?` +
		`(?:here(?:'s|’s| is| are)\b[^\n:]{0,100}:\s*|(?:the|my|a|one) (?:possible )?(?:question|answer) (?:is|would be|could be)\s*:\s*` +
		`|(?:إليكم?|هذا هو|هذه هي|ها هو|ها هي)[^\n:]{0,100}:\s*|(?:السؤال|الإجابة|الجواب) (?:هو|هي)\s*:\s*)`)
	courtesy = regexp.MustCompile(`(?i)^(?:sure|certainly|absolutely|of course|بالتأكيد|بالطبع|طبعا|طبعًا|حسنا|حسنًا)\s*[,،!.:]\s+`)
)

// clean removes what models put around a text: thoughts, preambles, a label, and quotation
// marks around the whole.
func clean(s string) string { return modeltext.Clean(s, preamble, courtesy, label) }
