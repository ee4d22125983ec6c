package cpu

import "testing"

func TestChooseIsStrict(t *testing.T) {
	if l, err := choose("", AVX512); l != AVX512 || err != nil {
		t.Errorf("default: got %v, %v", l, err)
	}
	if l, err := choose("avx2", AVX512); l != AVX2 || err != nil {
		t.Errorf("avx2 on avx512: got %v, %v", l, err)
	}
	if _, err := choose("avx512bf16", AVX2); err == nil {
		t.Error("a level the machine lacks was accepted")
	}
	if _, err := choose("sse", AVX512); err == nil {
		t.Error("an unknown level was accepted")
	}
}

func TestUseRestores(t *testing.T) {
	before := Current()
	restore := Use(Generic)
	if Current() != Generic {
		t.Error("Use did not switch")
	}
	restore()
	if Current() != before {
		t.Error("restore did not switch back")
	}
}
