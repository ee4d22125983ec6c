package merge

// SetBlock sets the number of values that are combined at once. The returned function undoes
// it.
func SetBlock(n int) (undo func()) {
	was := block
	block = n
	return func() { block = was }
}
