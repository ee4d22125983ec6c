package filter

import (
	"archive/zip"
	"bytes"
	"fmt"
	"html"
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"

	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/testfiles"
)

// human returns human translations from English: NTREX (news) and TICO-19 (medicine).
func human(t testing.TB) map[string][][2]string {
	t.Helper()
	lines := func(name string) []string {
		return strings.Split(strings.TrimSpace(string(testfiles.Read(t, testfiles.Shared(t, "parallel", "ntrex", name)))), "\n")
	}
	en, ar := lines("newstest2019-src.eng.txt"), lines("newstest2019-ref.arb.txt")
	sets := map[string][][2]string{}
	for i := range en {
		sets["NTREX"] = append(sets["NTREX"], [2]string{en[i], ar[i]})
	}
	z, err := zip.OpenReader(testfiles.Shared(t, "parallel", "tico19", "all.en-ar.tmx.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, ".tmx") || strings.Contains(f.Name, "MACOSX") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		segments := regexp.MustCompile(`(?s)<seg>(.*?)</seg>`).FindAllStringSubmatch(utf8Text(data), -1)
		for i := 0; i+1 < len(segments); i += 2 {
			sets["TICO-19"] = append(sets["TICO-19"], [2]string{html.UnescapeString(segments[i][1]), html.UnescapeString(segments[i+1][1])})
		}
	}
	if len(sets["TICO-19"]) < 3000 {
		t.Fatalf("%d pairs of TICO-19", len(sets["TICO-19"]))
	}
	return sets
}

func utf8Text(data []byte) string {
	if !bytes.HasPrefix(data, []byte{0xFF, 0xFE}) {
		return string(data)
	}
	u := make([]uint16, len(data)/2)
	for i := range u {
		u[i] = uint16(data[2*i]) | uint16(data[2*i+1])<<8
	}
	return string(utf16.Decode(u))
}

// TestHumanRows: of what people translated, at most one row in a hundred is dropped, whatever
// its form, with its source and without.
func TestHumanRows(t *testing.T) {
	for name, pairs := range human(t) {
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
