//go:build linux

package durable

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"barka/internal/badinput"
	"barka/internal/badinput/badinputtest"
	"barka/internal/dataset"
	"barka/internal/diskmap"
)

func init() {
	limit, err := strconv.ParseUint(os.Getenv("BARKA_DURABLE_TEST_FSIZE"), 10, 64)
	if err != nil {
		return
	}
	signal.Ignore(unix.SIGXFSZ)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
		panic(err)
	}
}

// smallDisk mounts a file system of the given size, to test a disk that is really full.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("barka", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skip("no right to mount a small file system: " + err.Error())
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestDiskFull(t *testing.T) { diskFull(t) }

// TestDiskFullOfIndexes is TestDiskFull with indexes that are on disk from the first entries
// on, so that their writes fail too.
func TestDiskFullOfIndexes(t *testing.T) {
	indexOptions = diskmap.Options{Recent: 8, Merge: 2}
	defer func() { indexOptions = diskmap.Options{} }()
	diskFull(t)
}

func diskFull(t *testing.T) {
	t.Helper()
	want := reference(t)
	full := 0
	// The sizes go from too small for the first line to large enough for everything.
	for _, size := range []string{"12k", "32k", "64k", "128k", "256k", "384k", "512k", "640k", "768k", "1m", "2m"} {
		disk := smallDisk(t, size)
		out := filepath.Join(disk, "out")
		err := testStage(context.Background(), out, 0, 3)
		if err != nil {
			full++
			if !errors.Is(err, syscall.ENOSPC) || badinput.Is(err) || !strings.Contains(err.Error(), "same command") {
				t.Errorf("%s: %v", size, err)
			}
			if _, err := os.Lstat(out); err == nil {
				t.Errorf("%s: a directory made on a full disk", size)
			}
			if err := unix.Mount("barka", disk, "tmpfs", unix.MS_REMOUNT, "size=4m"); err != nil {
				t.Fatal(err)
			}
			if err := testStage(context.Background(), out, 0, 3); err != nil {
				t.Errorf("%s, then enlarged: %v", size, err)
				continue
			}
		}
		sameTree(t, want, out)
	}
	if full < 4 {
		t.Errorf("the disk was full %d times only", full)
	}
}

// TestFileTooLarge makes a child's writes fail by a limit on the size of files, which needs
// no privileges. Every write can be the one that fails, also in the middle of a line.
func TestFileTooLarge(t *testing.T) {
	want := reference(t)
	out := filepath.Join(t.TempDir(), "out")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, limit := range []string{"10", "3000", "20000", "70001", "150000", "250000"} {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), childOut+"="+out, "BARKA_DURABLE_TEST_FSIZE="+limit)
		said, err := cmd.CombinedOutput()
		if err == nil {
			break
		}
		failed++
		if !strings.Contains(string(said), "file too large") || !strings.Contains(string(said), out) {
			t.Errorf("limit %s: %v: %s", limit, err, said)
		}
	}
	if failed < 4 {
		t.Errorf("writes failed under %d limits only", failed)
	}
	if err := testStage(context.Background(), out, 0, 3); err != nil {
		t.Fatal(err)
	}
	sameTree(t, want, out)
}

func TestFailedAppendLeavesNoTrace(t *testing.T) {
	disk := smallDisk(t, "64k")
	j, err := openJournal(filepath.Join(disk, "j"))
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	n := 0
	for ; ; n++ {
		if err = j.Put(dataset.ContentID(string(rune(n))), strings.Repeat("x", 5000)); err != nil {
			break
		}
	}
	if !errors.Is(err, syscall.ENOSPC) || n == 0 {
		t.Fatalf("%v after %d", err, n)
	}
	if err := j.Put("short", 1); err != nil {
		t.Errorf("a value that fits after one that did not: %v", err)
	}
	again, err := openJournal(filepath.Join(disk, "j"))
	if err != nil || again.Len() != n+1 {
		t.Fatalf("%v", err)
	}
	again.close()
}

func TestUnwritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o666)
	_, err := Begin(filepath.Join(file, "sub", "out"), testIdentity(5, nil), false)
	badinputtest.Want(t, err, file)
	_, err = Begin(file, testIdentity(5, nil), false)
	badinputtest.Want(t, err, file)
	_, err = Begin("/proc/nosuch/out", testIdentity(5, nil), false)
	if err == nil || !strings.Contains(err.Error(), "/proc/nosuch/out") {
		t.Errorf("%v", err)
	}
}

func TestReadOnlyFileSystem(t *testing.T) {
	disk := smallDisk(t, "1m")
	out := filepath.Join(disk, "out")
	writeSet(t, out, testIdentity(5, nil), 10, false)
	if err := unix.Mount("barka", disk, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	_, err := Begin(filepath.Join(disk, "other"), testIdentity(5, nil), false)
	badinputtest.Want(t, err, "other", "--out")
	r, err := Begin(out, testIdentity(5, nil), false)
	if err != nil || !r.Done() {
		t.Errorf("a finished directory on a read-only disk: %v", err)
	}
}

func TestNoPermission(t *testing.T) {
	dir := t.TempDir()
	os.Chmod(filepath.Dir(dir), 0o755)
	os.Chmod(dir, 0o555)
	done := make(chan error)
	go func() {
		// The thread drops its privileges and ends with the goroutine.
		runtime.LockOSThread()
		if os.Getuid() == 0 {
			unix.SetfsuidRetUid(65534)
		}
		_, err := Begin(filepath.Join(dir, "out"), testIdentity(5, nil), false)
		done <- err
	}()
	err := <-done
	badinputtest.Want(t, err, dir, "permission denied", "--out")
}
