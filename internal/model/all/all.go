// Package all registers every architecture. Import it for its effect.
package all

import (
	_ "barka/internal/model/gemma2"
	_ "barka/internal/model/gemma3"
	_ "barka/internal/model/gptneox"
	_ "barka/internal/model/llama"
	_ "barka/internal/model/m2m100"
	_ "barka/internal/model/qwen2"
	_ "barka/internal/model/qwen3"
)
