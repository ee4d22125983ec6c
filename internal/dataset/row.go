package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"barka/internal/chat"
)

// Passage is a piece of text from an encyclopedia or another source: the
// output of the wiki stage.
type Passage struct {
	ID       string `json:"id" parquet:"id"`
	Dataset  string `json:"dataset" parquet:"dataset"`
	Title    string `json:"title" parquet:"title"`
	Section  string `json:"section" parquet:"section"`
	Text     string `json:"text" parquet:"text"`
	URL      string `json:"url" parquet:"url"`
	Revision int64  `json:"revision" parquet:"revision"`
	Licence  string `json:"licence" parquet:"licence"`
	Chars    int32  `json:"chars" parquet:"chars"` // length of Text in code points
	// TargetTitle is the page's title in the wiki of TargetLanguage, such as ar, if it was
	// asked for and there is one.
	TargetTitle    string `json:"target_title,omitempty" parquet:"target_title"`
	TargetLanguage string `json:"target_language,omitempty" parquet:"target_language"`
}

// Segment is one translated unit of a message: a sentence, an option, a
// heading. Score is the normalised beam score (log-probability per token).
type Segment struct {
	Message int32    `json:"message" parquet:"message"` // index into the row's messages
	Source  string   `json:"source" parquet:"source"`
	Target  string   `json:"target" parquet:"target"`
	Score   float32  `json:"score" parquet:"score"`
	Flags   []string `json:"flags" parquet:"flags,list"`
	// Kind is what the unit is in its message, a kind of package segment; Rung is how it
	// was translated. Both are "" in rows of earlier versions.
	Kind string `json:"kind" parquet:"kind"`
	Rung string `json:"rung" parquet:"rung"`
	// Retried are the flags for which earlier rungs were left; Translator is that of the
	// unit if it is not the row's.
	Retried    []string `json:"retried" parquet:"retried,list"`
	Translator string   `json:"translator" parquet:"translator"`
	// Ignored is the share of the source's tokens that got next to no attention from the output,
	// if the translator shows its attention.
	Ignored float32 `json:"ignored,omitempty" parquet:"ignored"`
	// Alternatives are the next best outputs of the unit's translator, best first, if a run
	// keeps several.
	Alternatives []Alternative `json:"alternatives,omitempty" parquet:"alternatives,list"`
}

// Alternative is another output for a text, with its score.
type Alternative struct {
	Text   string  `json:"text" parquet:"text"`
	Score  float32 `json:"score" parquet:"score"`
	HitMax bool    `json:"hit_max,omitempty" parquet:"hit_max"` // the length limit ended it
	// Ignored is as of a Segment.
	Ignored float32 `json:"ignored,omitempty" parquet:"ignored"`
}

// Forms of instructions. The form follows from the source of a row and decides
// what counts as a defect of it; see package filter.
const (
	FormQuestion     = "question"     // a model's question and answer about a passage that the row does not show
	FormConversation = "conversation" // several of those
	FormChoice       = "choice"       // a question with its options; the answer names one
	FormReading      = "reading"      // a text to read, and a question about it with or without options
	FormArithmetic   = "arithmetic"   // a sum in words; the answer works it out
	FormInstruction  = "instruction"  // of a set of instructions of any origin
)

// Forms lists the forms.
func Forms() []string {
	return []string{FormQuestion, FormConversation, FormChoice, FormReading, FormArithmetic, FormInstruction}
}

// Instruction is a conversation to train on, with its origin. Messages are in
// Language (an NLLB code: eng_Latn, arb_Arab); after translation MessagesEN
// keeps the English source.
type Instruction struct {
	ID           string         `json:"id" parquet:"id"`
	Dataset      string         `json:"dataset" parquet:"dataset"`
	Form         string         `json:"form" parquet:"form"` // one of Forms, or "" in rows of other programs
	PassageID    string         `json:"passage_id" parquet:"passage_id"`
	Title        string         `json:"title" parquet:"title"`
	URL          string         `json:"url" parquet:"url"`
	Revision     int64          `json:"revision,omitempty" parquet:"revision"` // of the page, 0 if unknown
	Licence      string         `json:"licence" parquet:"licence"`
	Messages     []chat.Message `json:"messages" parquet:"messages,list"`
	MessagesEN   []chat.Message `json:"messages_en" parquet:"messages_en,list"`
	Language     string         `json:"language" parquet:"language"`
	Generator    string         `json:"generator" parquet:"generator"`
	PromptDigest string         `json:"prompt_digest" parquet:"prompt_digest"`
	// Kind has the kinds of question of a generated row's turns, separated by blanks.
	Kind string `json:"kind,omitempty" parquet:"kind"`
	// Judge is the model that scored a generated row, from 1 to 5, and its reason. The score
	// is that of the row's worst turn; 0 if there was no judge.
	Judge       string  `json:"judge,omitempty" parquet:"judge"`
	JudgeScore  float32 `json:"judge_score,omitempty" parquet:"judge_score"`
	JudgeReason string  `json:"judge_reason,omitempty" parquet:"judge_reason"`
	// Template names the layout of a converted row.
	Template string `json:"template,omitempty" parquet:"template"`
	// Examples are the ids of the rows that stand before the question of a few-shot row.
	Examples []string `json:"examples,omitempty" parquet:"examples,list"`
	// Repaired is the number of its texts that passed after a complaint.
	Repaired         int32  `json:"repaired,omitempty" parquet:"repaired"`
	Seed             int64  `json:"seed" parquet:"seed"`
	FinishReason     string `json:"finish_reason" parquet:"finish_reason"`
	PromptTokens     int32  `json:"prompt_tokens" parquet:"prompt_tokens"`
	CompletionTokens int32  `json:"completion_tokens" parquet:"completion_tokens"`
	// Shortened says why a generated conversation has fewer turns than were asked
	// for; "" for a whole one.
	Shortened  string    `json:"shortened,omitempty" parquet:"shortened"`
	Translator string    `json:"translator" parquet:"translator"`
	Segments   []Segment `json:"segments" parquet:"segments,list"`
	// TargetTitle and TargetLanguage are those of the passage.
	TargetTitle    string `json:"target_title,omitempty" parquet:"target_title"`
	TargetLanguage string `json:"target_language,omitempty" parquet:"target_language"`
	// Cluster is the id of the first row of a group of similar rows, "" if the row is like
	// no other. filter sets it.
	Cluster string `json:"cluster,omitempty" parquet:"cluster"`
	// Contaminated names the benchmark's question that the row holds, "" if there is none.
	// decontaminate sets it where it keeps such rows.
	Contaminated string `json:"contaminated,omitempty" parquet:"contaminated"`
}

// Turn is a message in the ShareGPT format. From is human, gpt or system.
type Turn struct {
	From  string `json:"from" parquet:"from"`
	Value string `json:"value" parquet:"value"`
}

// Conversation is a row of a finished training set. It holds the same
// conversation in the two formats that training tools read, and where it comes
// from. The fields are those of its Instruction.
type Conversation struct {
	ID            string         `json:"id" parquet:"id"`
	Dataset       string         `json:"dataset" parquet:"dataset"`
	Form          string         `json:"form" parquet:"form"`
	Kind          string         `json:"kind" parquet:"kind"`
	Language      string         `json:"language" parquet:"language"`
	PassageID     string         `json:"passage_id" parquet:"passage_id"`
	Title         string         `json:"title" parquet:"title"`
	URL           string         `json:"url" parquet:"url"`
	Revision      int64          `json:"revision" parquet:"revision"`
	Licence       string         `json:"licence" parquet:"licence"` // "" if unknown
	Generator     string         `json:"generator" parquet:"generator"`
	PromptDigest  string         `json:"prompt_digest" parquet:"prompt_digest"`
	Translator    string         `json:"translator" parquet:"translator"`
	Cluster       string         `json:"cluster" parquet:"cluster"`
	Checks        []string       `json:"checks" parquet:"checks,list"` // what checks noted about the row, sorted
	Repeat        int32          `json:"repeat" parquet:"repeat"`      // 0, and 1, 2, … for copies of the row
	Conversations []Turn         `json:"conversations" parquet:"conversations,list"`
	Messages      []chat.Message `json:"messages" parquet:"messages,list"`
}

// TextKey identifies a text in a set of seen texts. The texts of a whole wiki
// would not fit into memory.
type TextKey [16]byte

// KeyOf returns the key of a text, the first half of its SHA-256.
func KeyOf(text string) TextKey {
	sum := sha256.Sum256([]byte(text))
	return TextKey(sum[:len(TextKey{})])
}

// ContentID names a record by its content: the first 16 hexadecimal digits of
// the SHA-256 of the parts, each preceded by its length, so that ("ab", "c")
// and ("a", "bc") differ.
func ContentID(parts ...string) string {
	return hex.EncodeToString(digestParts(parts)[:8])
}

// RecordSeed derives the seed of one record's random choices from the run's
// seed, the record's id and the stage's name, so that it does not depend on
// the order in which records are worked on. It is never negative.
func RecordSeed(runSeed int64, id, stage string) int64 {
	var seed [8]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(runSeed))
	sum := digestParts([]string{string(seed[:]), id, stage})
	return int64(binary.LittleEndian.Uint64(sum) >> 1)
}

func digestParts(parts []string) []byte {
	h := sha256.New()
	var size [8]byte
	for _, p := range parts {
		binary.LittleEndian.PutUint64(size[:], uint64(len(p)))
		h.Write(size[:])
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}
