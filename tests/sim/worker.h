// Workers, and who gives them work.
#pragma once
#include <memory>
#include <vector>

#include "world.h"

namespace hf::sim {

void add_workers(World& world, std::vector<std::unique_ptr<Actor>>& actors);

}  // namespace hf::sim
