package resident

import (
	"math"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Available returns the memory that this process can still take without swapping, in bytes: what
// the machine has available, or what the limits of its control groups leave, if that is less. It
// is 0 if that is unknown.
func Available() int64 { return machine("/").available() }

// Total returns the machine's memory in bytes, or the smallest limit of the process's control
// groups. It is 0 if that is unknown.
func Total() int64 { return machine("/").total() }

// machine is the root of a file system with Linux's /proc and /sys.
type machine string

func (m machine) available() int64 {
	free := m.meminfo("MemAvailable:")
	for _, g := range m.groups() {
		if left, ok := g.left(); ok && (free == 0 || left < free) {
			free = left
		}
	}
	return free
}

func (m machine) total() int64 {
	all := m.meminfo("MemTotal:")
	for _, g := range m.groups() {
		if limit, ok := g.limit(); ok && (all == 0 || limit < all) {
			all = limit
		}
	}
	return all
}

// meminfo returns a value of /proc/meminfo, which is in kilobytes, in bytes.
func (m machine) meminfo(name string) int64 {
	return kilobytes(filepath.Join(string(m), "proc/meminfo"), name)
}

// group is a control group with the names of its files, which differ between the versions.
type group struct{ dir, max, used, inactive, active string }

// groups returns the control groups that bound the process's memory: its own and those above it.
// In a container the directory of the own group may be the root of what is mounted, whatever
// its name outside is.
func (m machine) groups() (all []group) {
	data, err := os.ReadFile(filepath.Join(string(m), "proc/self/cgroup"))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3) // number, controllers, path
		if len(fields) < 3 {
			continue
		}
		root, g := "", group{}
		for _, controller := range strings.Split(fields[1], ",") {
			if controller == "memory" {
				root, g = "sys/fs/cgroup/memory", group{max: "memory.limit_in_bytes", used: "memory.usage_in_bytes",
					inactive: "total_inactive_file", active: "total_active_file"}
			}
		}
		if fields[0] == "0" && fields[1] == "" { // version 2
			root, g = "sys/fs/cgroup", group{max: "memory.max", used: "memory.current", inactive: "inactive_file", active: "active_file"}
		}
		for at := path.Clean("/" + fields[2]); root != ""; at = path.Dir(at) {
			g.dir = filepath.Join(string(m), root, at)
			if all = append(all, g); at == "/" {
				break
			}
		}
	}
	return all
}

// limit returns the group's limit, and whether it has one.
func (g group) limit() (int64, bool) {
	n, ok := g.number(g.max)
	return n, ok && n < math.MaxInt64/2 // version 1 has a number near the largest for none
}

// left returns how much memory the group may still take, and whether it has a limit. Pages of
// files are given back under pressure, as in MemAvailable.
func (g group) left() (int64, bool) {
	limit, ok := g.limit()
	used, known := g.number(g.used)
	if !ok || !known {
		return 0, false
	}
	cached := int64(0)
	data, _ := os.ReadFile(filepath.Join(g.dir, "memory.stat"))
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 2 && (f[0] == g.inactive || f[0] == g.active) {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			cached += n
		}
	}
	return max(limit-used+min(cached, used), 1), true // 0 would mean unknown
}

// number reads a file with a number. memory.max may hold the word max.
func (g group) number(name string) (int64, bool) {
	data, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return n, err == nil
}
