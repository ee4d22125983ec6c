//go:build cuda && linux

package main

import (
	"errors"
	"fmt"

	driver "barka/internal/cuda"
	"barka/internal/printable"
	"barka/internal/tensor/cuda"
)

// cudaGPU is a device with its GPU.
type cudaGPU struct {
	*cuda.Device
	gpu *driver.GPU
}

// Close gives the GPU back after the work recorded before.
func (g *cudaGPU) Close() error { return errors.Join(g.Device.Close(), g.gpu.Close()) }

// openGPU opens GPU n. warn is told if it takes long to answer.
func openGPU(n int, warn func(string)) (gpu, error) {
	d, err := driver.Load()
	if err != nil {
		return nil, err
	}
	g, err := d.Open(n)
	if err != nil {
		return nil, err
	}
	dev, err := cuda.New(g)
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	dev.OnSlow(warn)
	return &cudaGPU{dev, g}, nil
}

// describeGPUs lists the driver and its GPUs.
func describeGPUs() ([][2]string, error) {
	d, err := driver.Load()
	if err != nil {
		return nil, err
	}
	n, err := d.Devices()
	if err != nil {
		return nil, err
	}
	rows := [][2]string{{"NVIDIA driver", fmt.Sprintf("%s, CUDA %d.%d", d.Path, d.Version/1000, d.Version%1000/10)}}
	for i := range n {
		info, err := d.Info(i)
		if err != nil {
			return nil, err
		}
		rows = append(rows, [2]string{fmt.Sprintf("cuda:%d", i), fmt.Sprintf("%s, capability %d.%d, %d processors, %s of memory",
			info.Name, info.Major, info.Minor, info.Processors, printable.Bytes(info.Memory))})
	}
	return rows, nil
}
