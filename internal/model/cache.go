package model

import (
	"barka/internal/nn"
	"barka/internal/tensor"
)

// Cache is the key/value cache of a decoder: one pool of rows for all layers. A sequence is a
// list of row numbers, so that sharing a prefix or reordering beams copies numbers, not keys.
//
// Take reuses released rows before new ones, and new rows in ascending order. What Grow allocates
// therefore takes no physical memory until a row of it is used: on the CPU by the operating system's
// pages, on other devices by Device.Back.
type Cache struct {
	dev       tensor.Device
	width     int
	stored    tensor.Type
	layers    []nn.KV
	rows      int     // allocated rows
	backed    int     // rows that have memory
	fresh     int     // the first row that was never taken
	free      []int32 // released rows
	addresses uint64
}

// NewCache makes a cache for the given number of layers, each with rows of width G·Dh, of a type that
// the device's OperandType has returned. It allocates nothing before the first row is taken.
func NewCache(dev tensor.Device, layers, width int, stored tensor.Type) *Cache {
	return &Cache{dev: dev, width: width, stored: stored, layers: make([]nn.KV, layers)}
}

// Layer returns the keys and values of layer i.
func (c *Cache) Layer(i int) *nn.KV { return &c.layers[i] }

// Addresses identifies the memory of all layers on a device with memory of its own.
func (c *Cache) Addresses() uint64 { return c.addresses }

// RowBytes returns the memory of one row: a token's keys and values in all layers.
func (c *Cache) RowBytes() int64 { return int64(len(c.layers)*2*c.stored.Size()) * int64(c.width) }

// Take returns a row that is not in use. If there is none the cache doubles.
func (c *Cache) Take() int32 {
	if n := len(c.free); n > 0 {
		r := c.free[n-1]
		c.free = c.free[:n-1]
		return r
	}
	if c.fresh == c.rows {
		c.Grow(max(2*c.rows, 64))
	}
	c.back(c.fresh + 1)
	c.fresh++
	return int32(c.fresh - 1)
}

// Reserve returns n rows that are not in use.
func (c *Cache) Reserve(n int) []int32 {
	if need := n - len(c.free) - (c.rows - c.fresh); need > 0 {
		c.Grow(max(2*c.rows, c.rows+need, 64))
	}
	c.back(c.fresh + n - len(c.free))
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = c.Take()
	}
	return rows
}

// Release makes rows available again.
func (c *Cache) Release(rows []int32) { c.free = append(c.free, rows...) }

// back gives memory to at least the first rows.
func (c *Cache) back(rows int) {
	if rows <= c.backed {
		return
	}
	const atOnce = 256
	backed := min(c.rows, max(rows, c.backed+atOnce))
	for _, l := range c.layers {
		c.dev.Back(l.K, backed)
		c.dev.Back(l.V, backed)
	}
	c.backed = backed
}

// Grow allocates at least the given number of rows. The CPU copies the rows in use, so that it is
// best called once, before they are taken.
func (c *Cache) Grow(rows int) {
	if rows <= c.rows {
		return
	}
	c.addresses = 0
	for i := range c.layers {
		l := &c.layers[i]
		// A layer may have more rows already, if the memory for another one was too short then.
		l.K = c.dev.Grow(l.K, c.fresh, max(rows, l.K.Rows), c.width, c.stored)
		l.V = c.dev.Grow(l.V, c.fresh, max(rows, l.V.Rows), c.width, c.stored)
		const prime = 1099511628211 // of FNV-1a
		c.addresses = ((c.addresses^uint64(l.K.Handle))*prime ^ uint64(l.V.Handle)) * prime
	}
	c.rows = rows
}

// Free frees all memory.
func (c *Cache) Free() {
	for i := range c.layers {
		c.dev.Free(c.layers[i].K, c.layers[i].V)
		c.layers[i] = nn.KV{}
	}
	c.free, c.rows, c.backed, c.fresh = nil, 0, 0, 0
}
