package tokenizer

import "barka/internal/badinput"

// ParseSentencePiece reads a SentencePiece model file.
func ParseSentencePiece(data []byte) (*Tokenizer, error) {
	return nil, badinput.Errorf("SentencePiece model files are not readable yet; convert to tokenizer.json")
}
