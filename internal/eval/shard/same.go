package shard

import (
	"fmt"
	"slices"
	"strings"

	"barka/internal/badinput"
	"barka/internal/version"
)

// property is a value that must be equal in all shards of one run.
type property struct{ name, value string }

func (m Manifest) properties() []property {
	o, i := m.Options, m.Model.Info
	return []property{
		{"number of shards", fmt.Sprint(m.Shards)}, {"version of barka", m.Barka},
		{"model's digest and type", i.Digest}, {"adapter's digest", i.AdapterDigest},
		{"dtype", i.DType}, {"model's revision", i.SHA},
		{"longest input", fmt.Sprint(m.Model.MaxLength)}, {"end token", fmt.Sprint(m.Model.EOS)},
		{"--max-samples", fmt.Sprint(o.MaxSamples)}, {"--override-batch-size", fmt.Sprint(o.BatchSize)},
		{"leaderboard's version", string(o.Leaderboard)}, {"--token-boundary", string(o.Boundary)}, {"--alghafa", string(o.AlGhafa)},
		{"--use-chat-template", fmt.Sprint(o.UseChatTemplate)}, {"--system-prompt", o.SystemPrompt},
		{"--no-details", fmt.Sprint(o.NoDetails)}, {"--job-id", o.JobID}, {"--judge-model", o.Judge},
		{"tasks", names(m.Tasks)}, {"tasks that could not be loaded", names(m.LeftOut)}, {"tasks skipped", names(m.Skipped)},
	}
}

// questions returns the number and digest of each task's questions, which are equal if
// the shards read equal data.
func (m Manifest) questions() []property {
	var out []property
	for _, t := range m.Tasks {
		out = append(out, property{"questions of " + t.name(), fmt.Sprintf("%d with digest %s", t.Count, t.Digest)})
	}
	return out
}

func (t recordedTask) name() string {
	truncate := 0
	if t.Shots.Truncate {
		truncate = 1
	}
	return fmt.Sprintf("%s|%d|%d", t.Task, t.Shots.K, truncate)
}

func names(ts []recordedTask) string {
	var out []string
	for _, t := range ts {
		out = append(out, t.name())
	}
	return strings.Join(out, ", ")
}

// sameRun returns an error that lists the differences if shards belong to different runs.
func sameRun(shards []shardDir) error {
	a := shards[0]
	for _, b := range shards[1:] {
		differ := differences(a.m.properties(), b.m.properties())
		if len(differ) == 0 { // otherwise these may be why the questions differ
			differ = differences(a.m.questions(), b.m.questions())
		}
		if len(differ) > 8 {
			differ = append(differ[:8:8], fmt.Sprintf("\n  and %d more", len(differ)-8))
		}
		if len(differ) > 0 {
			return badinput.Errorf("%s and %s are shards of different runs:%s\nName the directories of one run's shards", a.path,
				b.path, strings.Join(differ, ""))
		}
	}
	if a.m.Barka != version.Barka {
		return badinput.Errorf("%s was written by barka %s, and this is %s; merge with the version that scored", a.path,
			a.m.Barka, version.Barka)
	}
	return nil
}

// differences returns a line for each property that differs.
func differences(a, b []property) []string {
	var out []string
	for i, p := range a {
		if q := b[i]; p.value != q.value {
			out = append(out, fmt.Sprintf("\n  %s: %s, and %s", p.name, different(p.value, q.value), different(q.value, p.value)))
		}
	}
	return out
}

// different returns the items of a list that another list lacks.
func different(a, b string) string {
	var out []string
	others := strings.Split(b, ", ")
	for _, item := range strings.Split(a, ", ") {
		if !slices.Contains(others, item) {
			out = append(out, item)
		}
	}
	if len(out) == 0 || out[0] == "" {
		return "nothing"
	}
	return strings.Join(out, ", ")
}

// checkAllShards returns an error if a shard is missing or occurs twice.
func checkAllShards(shards []shardDir) error {
	var missing []string
	next := 0
	for i, s := range shards {
		if i > 0 && s.m.Shard == shards[i-1].m.Shard {
			return badinput.Errorf("shard %d of %d occurs twice, in %s and %s; name one of them", s.m.Shard, s.m.Shards, shards[i-1].path, s.path)
		}
		for ; next < s.m.Shard; next++ {
			missing = append(missing, fmt.Sprint(next))
		}
		next++
	}
	n := shards[0].m.Shards
	for ; next < n; next++ {
		missing = append(missing, fmt.Sprint(next))
	}
	if len(missing) > 0 {
		return badinput.Errorf("%d of %d shards are missing: %s (counted from 0); name their directories, or run them: barka "+
			"eval … --num-shards %d --shard %s",
			len(missing), n, strings.Join(missing, ", "), n, missing[0])
	}
	return nil
}
