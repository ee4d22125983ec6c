package tensor

// Ints is a list of token ids, positions or row numbers that an operation reads. Prepare brings
// it to the device; an operation that gets an unprepared list brings it itself.
type Ints struct {
	Host []int32
	// Handle is the address of a prepared list on a device with memory of its own.
	Handle uintptr
}

// Numbers is a list like Ints of 64-bit numbers.
type Numbers struct {
	Host   []uint64
	Handle uintptr
}

// Keys is a layout as attention reads it.
type Keys struct {
	*Layout
	// Prepared is what a device with memory of its own has made of the layout in Prepare.
	Prepared any
}

// Batch holds the lists that the operations of one pass read beside tensors. Those that a pass
// does not need are empty.
type Batch struct {
	Tokens    Ints    // [T] ids
	Positions Ints    // [T]
	Rows      Ints    // [T] of a cache, for the keys and values of the pass
	Keep      Ints    // rows that stay in the cache after the pass
	Numbers   Numbers // [T] of the rows, for dropout
	Keys      Keys    // of self-attention
	Source    Keys    // of cross-attention

	// Of rows whose next token is predicted:
	Picked  Ints   // [n] their places in the pass
	Targets Ints   // [n] the ids of those tokens
	Weights Tensor // [n,1] their weights in a loss, made by Host; or none

	// Memory holds the prepared lists on a device with memory of its own. Device.Free takes it.
	Memory Tensor
}
