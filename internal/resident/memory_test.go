package resident

import (
	"os"
	"path/filepath"
	"testing"
)

// TestControlGroups: the limit of a container counts, in both versions of control groups and at
// every level, and pages of files do not count as used.
func TestControlGroups(t *testing.T) {
	const gib = 1 << 30
	const meminfo = "MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:   10485760 kB\n"
	for name, c := range map[string]struct {
		files            map[string]string
		available, total int64
	}{
		"no proc":   {nil, 0, 0},
		"no groups": {map[string]string{"proc/meminfo": meminfo}, 10 * gib, 16 * gib},
		"unlimited": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/user.slice\n",
			"sys/fs/cgroup/user.slice/memory.max": "max\n", "sys/fs/cgroup/user.slice/memory.current": "4096\n"}, 10 * gib, 16 * gib},
		"version 2": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "4294967296\n", "sys/fs/cgroup/a/b/memory.current": "2147483648\n",
			"sys/fs/cgroup/a/b/memory.stat": "anon 1\ninactive_file 536870912\nactive_file 536870912\nfile 9\n"}, 3 * gib, 4 * gib},
		"version 2, the group above": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.current": "0\n",
			"sys/fs/cgroup/a/memory.max": "2147483648\n", "sys/fs/cgroup/a/memory.current": "1073741824\n"}, gib, 2 * gib},
		"version 2, in a container": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/system.slice/docker-1.scope\n",
			"sys/fs/cgroup/memory.max": "1073741824\n", "sys/fs/cgroup/memory.current": "0\n"}, gib, gib},
		"version 1": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "5:devices:/x\n4:cpu,memory:/docker/1\n0::/\n",
			"sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": "3221225472\n",
			"sys/fs/cgroup/memory/docker/1/memory.usage_in_bytes": "2147483648\n",
			"sys/fs/cgroup/memory/docker/1/memory.stat":           "inactive_file 7\ntotal_inactive_file 1073741824\ntotal_active_file 0\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":          "9223372036854771712\n",
			"sys/fs/cgroup/memory/memory.usage_in_bytes":          "1\n"}, 2 * gib, 3 * gib},
		"full": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "1073741824\n", "sys/fs/cgroup/memory.current": "1073745920\n"}, 1, gib},
		"nonsense": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "memory\n::\n0::/../..\n",
			"sys/fs/cgroup/memory.max": "many\n"}, 10 * gib, 16 * gib},
	} {
		root := t.TempDir()
		for path, text := range c.files {
			path = filepath.Join(root, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if a, all := machine(root).available(), machine(root).total(); a != c.available || all != c.total {
			t.Errorf("%s: %d of %d bytes, want %d of %d", name, a, all, c.available, c.total)
		}
	}
}
