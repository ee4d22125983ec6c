package cpu

import "golang.org/x/sys/cpu"

// Best returns the highest level that this machine and its operating system support.
func Best() Level {
	x := &cpu.X86
	switch {
	case !x.HasAVX2 || !x.HasFMA:
		return Generic
	case !x.HasAVX512F || !x.HasAVX512BW || !x.HasAVX512DQ || !x.HasAVX512VL:
		return AVX2
	case !x.HasAVX512VNNI:
		return AVX512
	case !x.HasAVX512BF16:
		return AVX512VNNI
	}
	return AVX512BF16
}

// Features reports, for each instruction set that the levels need, whether it is present.
func Features() map[string]bool {
	x := &cpu.X86
	return map[string]bool{
		"avx2": x.HasAVX2, "fma": x.HasFMA, "avx512f": x.HasAVX512F, "avx512bw": x.HasAVX512BW,
		"avx512dq": x.HasAVX512DQ, "avx512vl": x.HasAVX512VL, "avx512_bf16": x.HasAVX512BF16, "avx512_vnni": x.HasAVX512VNNI,
	}
}
