package benchdata

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"

	"barka/internal/badinput"
	"barka/internal/dataset"
	"barka/internal/hub"
)

// Revisions names the revisions of dataset repositories, in the order in which their files
// are looked for. A revision is a branch, a tag or a commit.
type Revisions map[string][]string

// Pins returns the revisions that a user named, one per repository. The error of a name that
// is none says which.
func Pins(named map[string]string) (Revisions, error) {
	pins := Revisions{}
	for repo, revision := range named {
		if _, err := hub.ParseRepo(hub.Dataset, repo+"@"+revision); err != nil {
			return nil, err
		}
		pins[repo] = []string{revision}
	}
	return pins, nil
}

// of returns the revisions in which the files of a repository are looked for on the hub: the
// pinned ones, else its own files and those that the hub has converted to parquet, since a
// dataset may be a program.
func (r Revisions) of(repo string) []string {
	if pinned := r[repo]; len(pinned) > 0 {
		return pinned
	}
	return []string{"main", hub.ConvertRevision}
}

// snapshots returns the directories of a repository's revisions in the cache.
func (s *Store) snapshots(repo string) ([]string, error) {
	if len(s.pins[repo]) == 0 {
		return hub.Snapshots(s.root, repo)
	}
	var dirs []string
	for _, revision := range s.pins[repo] {
		dir, err := hub.Snapshot(s.root, repo, revision)
		if err != nil {
			return nil, err
		}
		if there, err := badinput.IsDir(dir); err != nil {
			return nil, err
		} else if there {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

// Content identifies what an evaluation reads.
type Content struct {
	// Digest is that of the splits and the contents of their files.
	Digest string
	// Revisions holds the commits of the repositories whose files are in the hub's cache.
	Revisions Revisions
}

// Identify reads the files of needs. Needs that the store does not meet are left out.
func (s *Store) Identify(needs []Need) (Content, error) {
	read, sum := Content{Revisions: Revisions{}}, sha256.New()
	for _, n := range Sorted(needs) {
		files, err := s.Locate(n.Repo, n.Subset, n.Split)
		if err != nil {
			continue // evaluations report it
		}
		for _, file := range files {
			d, err := dataset.Describe(filepath.Dir(file), filepath.Base(file))
			if err != nil {
				return read, err
			}
			fmt.Fprintf(sum, "%s %s %s %s\n", n.Repo, n.Subset, n.Split, d.SHA256)
			if commit := hub.CommitOf(s.root, n.Repo, file); commit != "" && !slices.Contains(read.Revisions[n.Repo], commit) {
				read.Revisions[n.Repo] = append(read.Revisions[n.Repo], commit)
			}
		}
	}
	read.Digest = hex.EncodeToString(sum.Sum(nil))
	return read, nil
}

// Sorted returns the needs in a fixed order, each once.
func Sorted(needs []Need) []Need {
	sorted := slices.SortedFunc(slices.Values(needs), func(a, b Need) int {
		return cmp.Or(cmp.Compare(a.Repo, b.Repo), cmp.Compare(a.Subset, b.Subset), cmp.Compare(a.Split, b.Split))
	})
	return slices.Compact(sorted)
}
