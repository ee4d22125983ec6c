// Package cuda is the tensor.Device of an NVIDIA GPU. It exists in builds with the tag cuda on Linux.
//
// Tensors are float32 in the GPU's memory: Tensor.Handle is the address. An operation checks the
// shapes of its operands, brings its lists to the GPU, and records its kernels in one stream. It
// returns before they have run. Memory that an operation frees can therefore serve the next one at
// once. Calls that return values to the host, and Pending.Get, wait for the stream.
package cuda
