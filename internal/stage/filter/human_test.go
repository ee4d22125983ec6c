package filter

import (
	"fmt"
	"testing"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/testfiles"
)

// TestHumanRows: of what people translated, at most one row in a hundred is dropped, whatever
// its form, with its source and without.
func TestHumanRows(t *testing.T) {
	for name, pairs := range testfiles.Parallel(t) {
		for _, form := range []string{dataset.FormQuestion, dataset.FormConversation, dataset.FormChoice,
			dataset.FormReading, dataset.FormInstruction} {
			for _, alone := range []bool{false, true} {
				o := Defaults()
				if name == "NTREX" {
					// An NTREX line may have two words; synth asks for answers of three.
					o.Each(func(r *Rules) { r.MinAnswerWords = 0 })
				}
				reasons, rows := map[string]int{}, 0
				for i := 0; i+1 < len(pairs); i += 2 {
					r := dataset.Instruction{ID: fmt.Sprint(i), Form: form, Language: "arb_Arab"}
					for k, role := range []string{"user", "assistant"} {
						r.Messages = append(r.Messages, chat.Message{Role: role, Content: pairs[i+k][1]})
						if !alone {
							r.MessagesEN = append(r.MessagesEN, chat.Message{Role: role, Content: pairs[i+k][0]})
						}
					}
					rows++
					if got := check(t, o, r); got.Reason != "" {
						reasons[got.Reason]++
						if form == dataset.FormInstruction {
							t.Logf("%s %v %s: %s\n%q\n%q", name, alone, got.Reason, got.Detail, r.Messages, r.MessagesEN)
						}
					}
				}
				dropped := 0
				for _, n := range reasons {
					dropped += n
				}
				t.Logf("%s as %s, without source %v: %d of %d dropped (%.2f %%): "+
					"%v", name, form, alone, dropped, rows, 100*float64(dropped)/float64(rows), reasons)
				if 100*dropped > rows {
					t.Errorf("%s as %s, without source %v: %d of %d dropped: %v", name, form, alone, dropped, rows, reasons)
				}
			}
		}
	}
}
