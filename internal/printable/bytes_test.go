package printable

import "testing"

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 10 << 20: "10 MiB",
		999<<20 + 900<<10: "999.9 MiB", 1023 << 20: "1 GiB", 139<<30 + 300<<20: "139.3 GiB", 3 << 40: "3 TiB",
		1 << 62: "4096 PiB", -2048: "-2 KiB", -1 << 63: "-4096 PiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}
