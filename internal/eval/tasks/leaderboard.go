package tasks

import "strings"

// TableRow is a row of a leaderboard's table.
type TableRow struct {
	// Name is the leaderboard's name for the row. Key is its key in result files
	// without the number of shots: a task, or the average of a family.
	Name, Key string
	// Tasks counts the tasks of the row, which is their plain mean.
	Tasks int
}

// Includes reports whether the task with a key (suite|name) counts for the row.
func (h TableRow) Includes(key string) bool {
	family, group := strings.CutSuffix(h.Key, ":_average")
	return key == h.Key || group && strings.HasPrefix(key, family+":")
}

// Title returns the leaderboard's name.
func (b Leaderboard) Title() string {
	return map[Leaderboard]string{V1: "Open Arabic LLM Leaderboard v1", V2: "Open Arabic LLM Leaderboard v2"}[b]
}

// TableRows returns the rows of the leaderboard's table in its order.
func (b Leaderboard) TableRows() []TableRow { return tableRows[b] }

var tableRows = map[Leaderboard][]TableRow{
	V1: {
		{"ACVA", "community|acva:_average", 58}, {"AlGhafa", "community|alghafa:_average", 9},
		{"MMLU", "community|arabic_mmlu:_average", 57}, {"EXAMS", "community|arabic_exams", 1},
		{"ARC Challenge", "community|arc_challenge_okapi_ar", 1}, {"ARC Easy", "community|arc_easy_ar", 1},
		{"BOOLQ", "community|boolq_ar", 1}, {"COPA", "community|copa_ext_ar", 1},
		{"HELLASWAG", "community|hellaswag_okapi_ar", 1}, {"OPENBOOK QA", "community|openbook_qa_ext_ar", 1},
		{"PIQA", "community|piqa_ar", 1}, {"RACE", "community|race_ar", 1},
		{"SCIQ", "community|sciq_ar", 1}, {"TOXIGEN", "community|toxigen_ar", 1},
	},
	V2: {
		{"AlGhafa", "community|alghafa:_average", 9}, {"ArabicMMLU", "community|arabic_mmlu:_average", 40},
		{"EXAMS", "community|arabic_exams", 1}, {"MadinahQA", "community|madinah_qa:_average", 2},
		{"AraTrust", "community|aratrust:_average", 8}, {"ALRAGE", "community|alrage_qa", 1},
		{"ArbMMLU-HT", "community|arabic_mmlu_ht:_average", 57},
	},
}
