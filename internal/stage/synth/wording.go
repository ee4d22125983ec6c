package synth

import (
	"regexp"
	"strings"
)

// asksBy has the shapes whose message is a question. A statement and a task ask in the words
// of the set of prompts.
var asksBy = map[string]bool{shapeQuestion: true, shapeChoice: true}

const questionMarks = "?؟？"

// leak finds wording that gives away that there was a text to read. Authors
// and documents are often the subject itself: they count only where they are
// pointed at.
var leak = regexp.MustCompile(`(?i)\b(?:(?:the|this|that|given|provided|above|following) ` +
	`(?:text|passage|article|excerpt|paragraph)|(?:this|given|provided|above) (?:author|document)|` +
	`the author (?:says?|states?|mentions?|writes?|argues?|describes?|explains?)|as (?:mentioned|stated|described) (?:above|in the))\b`)

// meta finds texts about the task in place of the subject, as small models write
// them.
var meta = regexp.MustCompile(`(?i)\bwhat is (?:the|a|your) (?:short )?answer\s*\?|\b(?:answer to|asked in) ` +
	`(?:this|that|the) question\b|\bthis question (?:is|requires|asks|cannot)\b|\bwhat question is this\b`)

// degenerate finds questions of an assistant to its user, questions without a subject, and
// questions about the task.
var degenerate = regexp.MustCompile(`(?i)\b(?:would|do|are|have|should) (?:you|i)\b|\b(?:can|could|may) i\b|\byour\b` +
	`|\bi(?:'m|'ll| am| will)\b|\byou are\b|\bthe user\b|\b(?:topic|subject) of\b` +
	`|^(?:what|who|where|why|how) (?:is|are|was|were|do|does|did) (?:it|this|that|these|those|they|he|she|you|we)(?: \w+)?\s*\?` +
	`|\b(?:this|that|following) (?:question|answer|topic|subject|statement|essay|title)s?\b` +
	`|\b(?:which|what) (?:question|answer|topic|subject|statement|title)s?(?:\(s\))? (?:is|are|would|should|do you)\b` +
	`|\b(?:the|a|an) (?:(?:main|correct|short|best|full) )?(?:question|answer|topic|subject|statement|essay|title)` +
	`(?:\s*[?:.]|$| (?:is|was|would)\b| to (?:which|what|this)\b| about\b` +
	`| of (?:the |this )?(?:text|essay|article|question|topic)\b)` +
	`|^\W*(?:answer|question|title|text|topic)\b|\b(?:help|assist) (?:you|me)\b`)

// joined finds a second question behind the first.
var joined = regexp.MustCompile(`(?i)(?:\band|[,;:]) (?:what|why|how|when|where|who|which)\b ` +
	`(?:do|does|did|is|are|was|were|has|have|can|could)\b`)

// ends finds the end of a question: its mark, and perhaps what closes a quotation.
var ends = regexp.MustCompile(`[?؟？]["'”’»)*]*$`)

// refusal finds answers that do not answer.
var refusal = regexp.MustCompile(`(?i)\b(?:i(?:'m| am) (?:sorry|unable|not able|not sure)|i (?:cannot|can't|can not|do not|don't) ` +
	`(?:answer|provide|help|assist|know|have|find|see)|as an ai\b|as a language model|` +
	`(?:not|isn't|is no) (?:enough |sufficient )?information|` +
	`(?:does|do) not (?:provide|contain|mention|specify|include) (?:any |enough )?(?:information|details)|unable to (?:answer|provide))` +
	`|عذرا|لا أستطيع|لا يمكنني|بصفتي نموذج|كنموذج لغوي`)

// assistant finds answers in which the model speaks of itself or to its user.
var assistant = regexp.MustCompile(`(?i)\bi(?:'m| am) (?:ready|happy|glad|here)\b|\bi(?:'d| would) be happy\b` +
	`|\blet me know\b|\bfeel free\b` +
	`|\b(?:my|your) (?:answer|question)s?\b|\bhere(?:'s| is| are) (?:the|a|an|your|my|some)\b` +
	`|\b(?:would|can|could|do) you (?:like|want|need|please)\b` +
	`|^\W*(?:title|text|passage|conversation)\s*:|\n\W*(?:title|text|passage|question|answer|conversation)\s*:`)

// verdict finds how an answer about a statement begins.
var verdict = regexp.MustCompile(`(?i)^\W*(?:true|false|صحيح|صحيحة|صواب|خطأ|خاطئ|خاطئة)(?:\P{L}|$)`)

// script finds a conversation that a model wrote into one of its messages.
var script = regexp.MustCompile(`(?im)^(?:\*\*)?(?:user|assistant|human)(?:\*\*)? ?:`)

// label is what models like to put before a text.
var label = regexp.MustCompile(`(?i)^(?:\*\*)?(?:question|answer|q|a|assistant|user)(?: ?\d+)?(?:\*\*)? ?:(?:\*\*)?\s*`)

var (
	// thought is what a reasoning model writes before its text. Some chat templates write its
	// opening tag themselves.
	thought = regexp.MustCompile(`(?is)^\s*(?:<think(?:ing)?>)?.*?</think(?:ing)?>`)
	// unfinished is a thought without an end: there is no text behind it.
	unfinished = regexp.MustCompile(`(?is)^\s*<think(?:ing)?>.*`)
	// preamble announces the text.
	preamble = regexp.MustCompile(`(?i)^(?:(?:sure|certainly|of course|absolutely|okay|great)\s*[,!.:]\s*)?` +
		`(?:here(?:'s|’s| is| are)\b[^\n:]{0,100}:\s*|(?:the|my|a|one) (?:possible )?(?:question|answer) (?:is|would be|could be)\s*:\s*)`)
	courtesy = regexp.MustCompile(`(?i)^(?:sure|certainly|absolutely|of course)\s*[,!.:]\s+`)
)

// clean removes what models put around a text: thoughts, preambles, a label, and quotation
// marks around the whole.
func clean(s string) string {
	s = unfinished.ReplaceAllString(thought.ReplaceAllString(s, ""), "")
	for {
		before := s
		s = strings.TrimSpace(s)
		for _, form := range []*regexp.Regexp{preamble, courtesy, label} {
			s = strings.TrimSpace(form.ReplaceAllString(s, ""))
		}
		if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' && strings.Count(s, `"`) == 2 {
			s = strings.TrimSpace(s[1 : len(s)-1])
		}
		if s == before {
			return s
		}
	}
}
