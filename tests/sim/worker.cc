#include "worker.h"
namespace hf::sim {
void add_workers(World&, std::vector<std::unique_ptr<Actor>>&) {}
}
