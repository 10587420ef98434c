// What INFO wants to know about the process and the machine, and the config file behind CONFIG REWRITE.
#pragma once
#include <string>

#include "node/effects.h"

namespace hf::edge {

class ProcessHost final : public node::Host {
 public:
  /// `config_file` is empty when the server runs without one.
  ProcessHost(const std::string& config_file, int tcp_port);
  node::HostFacts facts() override;
  uint64_t used_memory() override;
  uint64_t memory_max() override { return memory_max_; }
  Result<std::string> read_config() override;
  Status write_config(const std::string& text) override;

 private:
  node::HostFacts fixed_;  ///< what does not change while we run
  uint64_t peak_ = 0, memory_max_ = 0;
};

/// 64 bits that nobody can guess, from the system.
uint64_t random_seed();

}  // namespace hf::edge
