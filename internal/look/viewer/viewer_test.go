package viewer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"barka/internal/badinput/badinputtest"
	"barka/internal/chat"
	"barka/internal/dataset"
	"barka/internal/look"
	"barka/internal/review"
	"barka/internal/testfiles"
)

// attack tries to end the data, to add elements and to reorder text.
const attack = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">" +
	"<!--<script>\u2028\u202egnp.exe"

func rows() []dataset.Instruction {
	var all []dataset.Instruction
	for i := range 60 {
		all = append(all, dataset.Instruction{ID: fmt.Sprintf("id-%02d", i), Dataset: "wiki", Form: dataset.FormQuestion, Title: "القهوة",
			Messages: []chat.Message{{Role: "user", Content: fmt.Sprintf("ما القَهْوة رقم %d؟", i)},
				{Role: "assistant", Content: "استخدم الأمر `go test` ثم احسب القيمة f(x) = 3.\nDone."}},
			MessagesEN: []chat.Message{{Role: "user", Content: "What is coffee?"}, {Role: "assistant", Content: "A drink."}},
			Segments:   []dataset.Segment{{Flags: []string{"repeated"}}}})
	}
	all[1].ID, all[1].Title, all[1].Dataset, all[1].Messages[1].Content = "id-<b>", attack, attack, attack
	return all
}

func write(t *testing.T, o Options) (string, *Made) {
	t.Helper()
	var b bytes.Buffer
	made, err := Write(t.Context(), &b, o)
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), made
}

// TestPage: the data is all there and cannot leave its element; the policy names the
// script's digest.
func TestPage(t *testing.T) {
	text, made := write(t, Options{Path: testfiles.JSONLines(t, rows()...)})
	if made.Rows != 60 || len(made.LeftOut) != 0 {
		t.Errorf("%+v", made)
	}
	data := regexp.MustCompile(`(?s)<script type="application/json" id="data">(.*?)</script>`).FindStringSubmatch(text)
	var got struct{ Rows []item }
	if data == nil || json.Unmarshal([]byte(data[1]), &got) != nil || len(got.Rows) != 60 {
		t.Fatal("the data is damaged")
	}
	hostile := got.Rows[1]
	if raw := hostile.Turns[1].Text.Raw; raw == nil || *raw != attack || !strings.Contains(hostile.Turns[1].Text.Parts[0], `\u202egnp`) {
		t.Errorf("%+v", hostile.Turns[1])
	}
	if strings.Contains(data[1], "<") || strings.Count(text, "<script") != 2 || strings.Contains(text, "onerror=") &&
		strings.Contains(text, "<img") {
		t.Error("text of a row became an element")
	}
	if !strings.Contains(text, "script-src 'sha256-") && !strings.Contains(text, "script-src &#39;sha256-") {
		t.Error("no policy for the script")
	}
	for _, load := range []string{"src=", "<link", "@import", "url(", "https://"} {
		if strings.Contains(strings.ReplaceAll(text, data[0], ""), load) {
			t.Errorf("the page loads: %q", load)
		}
	}
	first := got.Rows[0].Turns[1].Text
	if want := []string{"استخدم الأمر ", "`go test`", " ثم احسب القيمة ", "f(x) = 3", ".\n", "Done.", ""}; !first.RTL ||
		fmt.Sprint(first.Parts) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", first.Parts, want)
	}
}

// TestBounds: of many rows the page has a sample, and says how many are missing.
func TestBounds(t *testing.T) {
	path := testfiles.JSONLines(t, rows()...)
	text, made := write(t, Options{Path: path, Limit: 20, Selection: look.Selection{Seed: 1}})
	if made.Rows != 20 || len(made.LeftOut) != 1 || made.LeftOut[0] != (Count{"kept", 40}) ||
		!strings.Contains(text, "40 rows (kept) are not") {
		t.Errorf("%+v", made)
	}
	if _, made = write(t, Options{Path: path, MaxBytes: 5000}); made.Rows == 0 || made.Rows > 12 || made.LeftOut[0].Rows != 60-made.Rows {
		t.Errorf("%+v", made)
	}
	_, err := Write(t.Context(), &bytes.Buffer{}, Options{Path: testfiles.JSONLines[dataset.Instruction](t)})
	badinputtest.Want(t, err, "no row")
	_, err = Write(t.Context(), &bytes.Buffer{}, Options{Path: path, Review: filepath.Join(t.TempDir(), "none.jsonl")})
	badinputtest.Want(t, err, "none.jsonl")
}

// TestInBrowser opens the page in Chromium: it shows, filters, searches and pages rows,
// a hostile row does nothing, no request leaves it, and what is exported is a valid review
// of these rows.
func TestInBrowser(t *testing.T) {
	all := rows()
	accepted := review.Verdict{ID: "id-07", Digest: review.Digest(all[7].Messages), Verdict: review.Accept, Reviewer: "Amal"}
	text, _ := write(t, Options{Title: "Rows", Path: testfiles.JSONLines(t, all...), Review: testfiles.JSONLines(t, accepted)})
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	b := openBrowser(t, file)
	for _, step := range []struct{ script, want string }{
		{`document.title`, "Rows"},
		{`document.querySelectorAll(".row").length + " " + document.querySelectorAll("img").length`, "25 0"},
		{`document.getElementById("where").textContent`, "60 of 60 rows, page 1 of 3"},
		{`document.querySelectorAll(".row")[1].querySelectorAll(".say")[3].textContent.slice(0, 17)`, "</script><script>"},
		{`[...document.querySelectorAll(".row")[0].querySelectorAll(".say")].map(e => e.dir).join()`, "ltr,rtl,ltr,rtl"},
		{`[...document.querySelectorAll(".row")[0].querySelectorAll("bdi")].map(e => e.dir + ":" + e.className + ":" + e.textContent).join("|")`,
			"ltr::0|ltr:code:`go test`|ltr::f(x) = 3|ltr::Done."},
		{`document.getElementById("next").click(); document.getElementById("where").textContent`, "60 of 60 rows, page 2 of 3"},
		{`document.getElementById("search").value = "القهوه رقم 33"; document.getElementById("search").oninput(); shown()`, "0"},
		{`document.getElementById("search").value = "القهوة رقم 33"; document.getElementById("search").oninput(); shown()`, "1"},
		{`location.hash = "#verdict=accept"; await new Promise(f => setTimeout(f, 100)); shown()`, "1"},
		{`location.hash = ""; await new Promise(f => setTimeout(f, 100)); shown()`, "25"},
		{`document.dispatchEvent(new KeyboardEvent("keydown", {key: "j"})); document.querySelectorAll(".row")[1].className`, "row now"},
		{`document.dispatchEvent(new KeyboardEvent("keydown", {key: "r"})); document.querySelectorAll(".row")[1].className`, "row reject now"},
		{`act(2, "edit"); document.querySelectorAll("textarea").length`, "2"},
		{`document.querySelectorAll("textarea")[1].value = "جديد"; act(2, "save"); document.querySelectorAll(".row")[2].className`, "row edit"},
		{`act(3, "accept"); document.getElementById("done").textContent`, "4 reviewed"},
		{`document.getElementById("reviewer").value = "Badr"; document.getElementById("reviewer").onchange(); "ok"`, "ok"},
	} {
		got := b.eval(`const shown = () => document.querySelectorAll(".row").length;
			const act = (i, name) => document.querySelectorAll(".row")[i].querySelector("[data-act=" + name + "]").click();
			` + strings.Replace(returning(step.script), "\n", " ", -1))
		if got != step.want {
			t.Errorf("%s\ngives %q, want %q", step.script, got, step.want)
		}
	}
	exported := b.eval(`let made; const create = URL.createObjectURL; URL.createObjectURL = blob => { made = blob; return create(blob); };
		document.getElementById("export").click(); URL.createObjectURL = create; return await made.text();`)
	path := filepath.Join(t.TempDir(), "review.jsonl")
	if err := os.WriteFile(path, []byte(exported), 0o666); err != nil {
		t.Fatal(err)
	}
	a, err := review.Open(t.Context(), path)
	if err != nil {
		t.Fatalf("%v in\n%s", err, exported)
	}
	for i, want := range map[int]string{1: "review_rejected", 2: "جديد", 3: "same", 7: "same", 8: "same"} {
		got := "same"
		messages, rejected := a.Apply(all[i].ID, all[i].Messages)
		switch {
		case rejected != nil:
			got = rejected.Reason
		case messages[1].Content != all[i].Messages[1].Content:
			got = messages[1].Content
		}
		if got != want {
			t.Errorf("row %d: %q, want %q", i, got, want)
		}
	}
	if c := a.Counts(); c["review_stale"] != 0 || c["review_unknown"] != 0 || c["review_accepted"] != 2 {
		t.Errorf("%v of\n%s", c, exported)
	}
	if !strings.Contains(exported, `"reviewer":"Amal"`) || !strings.Contains(exported, `"reviewer":"Badr"`) {
		t.Errorf("reviewers of\n%s", exported)
	}
	for _, r := range b.Requests {
		if !strings.HasPrefix(r, "file://") && !strings.HasPrefix(r, "blob:") {
			t.Errorf("the page requested %s", r)
		}
	}
	if len(b.Errors) > 0 {
		t.Errorf("errors of the page: %q", b.Errors)
	}
}

// returning makes the last expression of a script its result.
func returning(s string) string {
	i := strings.LastIndex(s, "; ")
	if i < 0 {
		return "return String(" + s + ");"
	}
	return s[:i+2] + "return String(" + s[i+2:] + ");"
}
