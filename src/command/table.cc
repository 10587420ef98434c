// The families' rows and the one index over them: open addressing over a lower-cased hash, built once at
// first use and never changed, so that finding a command costs one hash and (nearly always) one comparison.
#include "command/table.h"

#include <array>
#include <vector>

#include "base/check.h"

namespace hf::command {
namespace {

constexpr size_t name_bytes_max = 64;  // no command's name is longer: longer input is not looked up

uint32_t hash_nocase(Bytes name) {
  uint32_t h = 2166136261u;  // FNV-1a
  for (const char c : name) h = (h ^ static_cast<unsigned char>(lower(c))) * 16777619u;
  return h ^ (h >> 15);
}

class Table {
 public:
  Table() {
    const std::span<const Spec> families[] = {
        string_commands(),      hash_commands(),     key_commands(),    expire_commands(),
        connection_commands(),  client_commands(),   server_commands(), introspection_commands(),
        transaction_commands(), snapshot_commands(), backup_commands(), task_commands(),
        replication_commands(), dump_commands()};
    for (const auto family : families)
      for (const Spec& spec : family) add(spec);
  }

  const Spec* find(Bytes name) const {
    if (name.size() > name_bytes_max) return nullptr;
    for (size_t i = hash_nocase(name) % slots; index_[i] != nullptr; i = (i + 1) % slots)
      if (equal_nocase(index_[i]->name, name)) return index_[i];
    return nullptr;
  }
  std::span<const Spec* const> all() const { return rows_; }

 private:
  static constexpr size_t slots = 1024;

  void add(const Spec& spec) {
    HF_CHECK(find(spec.name) == nullptr && rows_.size() < slots / 2);
    size_t i = hash_nocase(spec.name) % slots;
    while (index_[i] != nullptr) i = (i + 1) % slots;
    index_[i] = &spec;
    rows_.push_back(&spec);
  }

  std::array<const Spec*, slots> index_{};
  std::vector<const Spec*> rows_;
};

const Table& table() {
  static const Table built;
  return built;
}

}  // namespace

const Spec* find_command(Bytes name) { return table().find(name); }

const Spec* find_subcommand(const Spec& container, Bytes name) {
  for (const Spec& spec : container.subcommands)
    if (equal_nocase(spec.name, name)) return &spec;
  return nullptr;
}

std::span<const Spec* const> all_commands() { return table().all(); }

}  // namespace hf::command
