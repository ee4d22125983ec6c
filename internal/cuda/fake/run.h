// Running a kernel on the emulator, for the driver's entry points.
#pragma once
#include "../kernels/kernel.h"

namespace emu {

enum Order { FORWARD, BACKWARD, SHUFFLED }; // of a launch's blocks and of a block's threads

struct Shape {
  u32 grid_x, grid_y, threads;
  size_t shared;
};

const Entry *find(const std::string &name);

// run executes one launch and returns what was wrong, "" if nothing.
std::string run(const Entry &e, Shape s, void **arguments, Order order);

} // namespace emu
