package model

import (
	"barka/internal/nn"
	"barka/internal/tensor"
)

// Cache is the key/value memory of a decoder: one pool of rows for all
// layers. A sequence is a list of row numbers, so that sharing a prefix or
// reordering beams copies numbers, not keys.
type Cache struct {
	dev    tensor.Device
	width  int
	layers []nn.KV
	free   []int32
	rows   int
	refs   []int32
}

// NewCache makes a cache for the given number of layers, each with rows of
// G·Dh values. It grows by doubling.
func NewCache(dev tensor.Device, layers, width int) *Cache {
	return &Cache{dev: dev, width: width, layers: make([]nn.KV, layers)}
}

// Layer returns the memory of layer i.
func (c *Cache) Layer(i int) *nn.KV { return &c.layers[i] }

// Reserve returns n fresh rows, each with one reference.
func (c *Cache) Reserve(n int) []int32 {
	if len(c.free) < n {
		c.grow(n - len(c.free))
	}
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = c.free[len(c.free)-1]
		c.free = c.free[:len(c.free)-1]
		c.refs[rows[i]] = 1
	}
	return rows
}

// Share adds a reference to each row: another sequence sees it too.
func (c *Cache) Share(rows []int32) {
	for _, r := range rows {
		c.refs[r]++
	}
}

// Release drops a reference of each row; rows without one are reused.
func (c *Cache) Release(rows []int32) {
	for _, r := range rows {
		c.refs[r]--
		switch {
		case c.refs[r] == 0:
			c.free = append(c.free, r)
		case c.refs[r] < 0:
			panic("model: cache row released twice")
		}
	}
}

// Free gives all memory back.
func (c *Cache) Free() {
	for i := range c.layers {
		c.dev.Free(c.layers[i].K, c.layers[i].V)
		c.layers[i] = nn.KV{}
	}
	c.free, c.refs, c.rows = nil, nil, 0
}

func (c *Cache) grow(need int) {
	rows := max(2*c.rows, c.rows+need, 64)
	for i := range c.layers {
		old := c.layers[i]
		c.layers[i] = nn.KV{K: c.dev.Alloc(rows, c.width), V: c.dev.Alloc(rows, c.width)}
		if c.rows > 0 {
			c.dev.Copy(c.layers[i].K.Slice(0, c.rows), old.K)
			c.dev.Copy(c.layers[i].V.Slice(0, c.rows), old.V)
			c.dev.Free(old.K, old.V)
		}
	}
	c.refs = append(c.refs, make([]int32, rows-c.rows)...)
	for r := rows - 1; r >= c.rows; r-- {
		c.free = append(c.free, int32(r))
	}
	c.rows = rows
}
