package report

import (
	"context"
	"path/filepath"
	"slices"

	"barka/internal/dataset"
)

// node is a dataset directory in the picture of the pipeline.
type node struct {
	stage
	digest string   // of its rows; empty if the files are gone
	inputs []string // digests of what it read
	from   []int    // nodes among those
	depth  int      // column
	lane   int      // row of the picture
}

// pipeline is the graph of a run: which dataset was made from which.
type pipeline struct {
	nodes        []node
	depth, lanes int
}

// newPipeline links each dataset to the latest earlier one whose rows it read. A dataset without its
// files has no successor.
func newPipeline(ctx context.Context, dirs []string, manifests []*dataset.Manifest) (*pipeline, error) {
	p := &pipeline{}
	for i, m := range manifests {
		n := node{stage: stageOf(dirs[i], m)}
		var err error
		if n.digest, err = dataset.Digest(ctx, dirs[i]); unreadable(err) || ctx.Err() != nil {
			return nil, err
		}
		for _, in := range m.Inputs {
			n.inputs = append(n.inputs, in.Digest)
		}
		for _, digest := range n.inputs {
			for j := i - 1; j >= 0; j-- {
				if p.nodes[j].digest == digest && digest != "" {
					n.from = append(n.from, j)
					break
				}
			}
		}
		slices.Sort(n.from)
		n.from = slices.Compact(n.from)
		p.nodes = append(p.nodes, n)
	}
	p.columns()
	p.rows()
	return p, nil
}

// columns gives each node the column after those of its inputs. A node without inputs stands
// just before the first of its readers.
func (p *pipeline) columns() {
	for i := range p.nodes {
		for _, j := range p.nodes[i].from {
			p.nodes[i].depth = max(p.nodes[i].depth, p.nodes[j].depth+1)
		}
	}
	for i := range p.nodes {
		n := &p.nodes[i]
		if len(n.from) > 0 {
			continue
		}
		next := -1
		for j := range p.nodes {
			if slices.Contains(p.nodes[j].from, i) && (next < 0 || p.nodes[j].depth < next) {
				next = p.nodes[j].depth
			}
		}
		n.depth = max(0, next-1)
	}
	for _, n := range p.nodes {
		p.depth = max(p.depth, n.depth+1)
	}
}

// rows gives each node the row of its first input, or a new row if that place is taken.
func (p *pipeline) rows() {
	taken := map[[2]int]bool{}
	for i := range p.nodes {
		n := &p.nodes[i]
		n.lane = p.lanes
		if len(n.from) > 0 {
			n.lane = p.nodes[n.from[0]].lane
		}
		for taken[[2]int{n.lane, n.depth}] {
			n.lane++
		}
		taken[[2]int{n.lane, n.depth}] = true
		p.lanes = max(p.lanes, n.lane+1)
	}
}

// largest returns the largest number of rows that any node read or wrote.
func (p *pipeline) largest() int64 {
	most := int64(1)
	for _, n := range p.nodes {
		most = max(most, n.total(), n.Rejected)
	}
	return most
}

// total is the number of rows of a node's bar: the kept and the rejected ones.
func (s stage) total() int64 { return s.Out + s.held() + s.Rejected }

// held is the number of rows of a mix's splits beside the training set.
func (s stage) held() int64 {
	for _, c := range s.Counts {
		if c.Name == "validation" {
			return c.N
		}
	}
	return 0
}

// shortDir is the directory's name without its path.
func shortDir(dir string) string { return filepath.Base(filepath.Clean(dir)) }
