package main

import "fmt"

// vdpbf16ps returns VDPBF16PS rm, v, dst (Go order) on zmm registers as
// bytes: EVEX.512.F3.0F38.W0 52 /r. Go's assembler has no name for it.
func vdpbf16ps(rm, v, dst int) string {
	return evexBytes(0x52, 2, 2, rm, v, dst) + fmt.Sprintf(" // VDPBF16PS Z%d, Z%d, Z%d", rm, v, dst)
}

// evexBytes encodes a register-to-register EVEX.512.W0 instruction.
func evexBytes(opcode byte, opmap, prefix byte, rm, v, reg int) string {
	inv := func(n, bit int) byte { return byte(^n >> bit & 1) }
	p0 := inv(reg, 3)<<7 | inv(rm, 4)<<6 | inv(rm, 3)<<5 | inv(reg, 4)<<4 | opmap
	p1 := byte(^v&15)<<3 | 1<<2 | prefix
	p2 := byte(2<<5) | inv(v, 4)<<3
	modrm := byte(0xc0 | (reg&7)<<3 | rm&7)
	return fmt.Sprintf("LONG $0x%02x%02x%02x62; WORD $0x%02x%02x", p2, p1, p0, modrm, opcode)
}
