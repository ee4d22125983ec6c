module barka/internal/kernel/asm

go 1.26
