package mix

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"barka/internal/dataset"
)

// minPassage is the length in characters from which a paragraph of a question is
// taken for the passage to read.
const minPassage = 100

// groupOf returns the key of the group that a row belongs to in the validation
// split, and the keys of what else ties rows together. Rows of one page, of one
// passage or of one cluster of near-duplicates are tied. The page comes first. ok is
// false for a row without any of them.
func groupOf(r dataset.Instruction) (home dataset.TextKey, links []dataset.TextKey, ok bool) {
	var keys []dataset.TextKey
	add := func(kind, value string) {
		if value != "" {
			keys = append(keys, dataset.KeyOf(kind+"\x00"+value))
		}
	}
	page := strings.ToLower(strings.Join(strings.Fields(strings.ReplaceAll(r.Title, "_", " ")), " "))
	add("page", page)
	if page == "" {
		add("url", r.URL)
	}
	add("passage", r.PassageID)
	if r.Form == dataset.FormReading { // other rows may have the passage without its id
		add("text", readPassage(r))
	}
	add("cluster", r.Cluster)
	switch {
	case len(keys) == 0:
		return home, nil, false
	case page == "" && r.URL == "": // other rows may have a page beside this key
		return keys[0], keys, true
	}
	return keys[0], keys[1:], true
}

// readPassage returns the longest paragraph of the question of a row that shows a
// passage, "" if none is long enough. Questions about one passage share it.
func readPassage(r dataset.Instruction) (longest string) {
	messages := r.MessagesEN
	if len(messages) == 0 {
		messages = r.Messages
	}
	for _, m := range messages {
		if m.Role != "user" {
			continue
		}
		for line := range strings.Lines(m.Content) {
			if line = strings.Join(strings.Fields(strings.Trim(strings.TrimSpace(line), "«»\"")), " "); len(line) > len(longest) {
				longest = line
			}
		}
		break
	}
	if utf8.RuneCountInString(longest) < minPassage {
		return ""
	}
	return longest
}

// groups joins homes that a passage or a cluster ties together. Memory holds only
// the homes of groups with more than one.
type groups map[dataset.TextKey]dataset.TextKey // to another home of the group, or to itself

// groups reads the links of the survey.
func (s *survey) groups() (groups, error) {
	g := groups{}
	type link struct{ key, home dataset.TextKey }
	for bucket := range linkBuckets {
		var links []link
		for record, err := range s.spool.records(s.buckets + bucket) {
			if err != nil {
				return nil, err
			}
			links = append(links, link{dataset.TextKey(record), dataset.TextKey(record[len(dataset.TextKey{}):])})
		}
		slices.SortFunc(links, func(a, b link) int { return bytes.Compare(a.key[:], b.key[:]) })
		for i := 1; i < len(links); i++ {
			if links[i].key == links[i-1].key && links[i].home != links[i-1].home {
				g.join(links[i].home, links[i-1].home)
			}
		}
	}
	return g, nil
}

// root returns the smallest home of the group, which stands for it.
func (g groups) root(home dataset.TextKey) dataset.TextKey {
	for {
		next, ok := g[home]
		if !ok || next == home {
			return home
		}
		if after, ok := g[next]; ok {
			g[home] = after // halves the path
		}
		home = next
	}
}

func (g groups) join(a, b dataset.TextKey) {
	a, b = g.root(a), g.root(b)
	switch bytes.Compare(a[:], b[:]) {
	case -1:
		g[b] = a
	case 1:
		g[a] = b
	}
}
