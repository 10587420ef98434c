// A client that writes strings and hashes and remembers what it was told. Its own keys are registers: it
// alone writes them, each write with a value of its own, so that any read can be judged. On shared keys it
// does whatever comes.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "world.h"

namespace hf::sim {

class KvClient final : public Actor {
 public:
  KvClient(World& world, int number);
  void wake() override;
  void left(Request& request, const resp::Value& value) override;
  void reply(Request& request, resp::Value& value) override;
  void lost(std::deque<Request>& unanswered) override;
  void recovered(uint64_t offset) override;
  void settled() override;
  bool finished() const override { return verified_; }

 private:
  using Value = std::optional<std::string>;
  /// A place that only this client writes: a string key, a field of its hash, or a key that expires.
  struct Register {
    std::string key, field;
    std::vector<Value> base{std::nullopt};     ///< what it may have held when the node began to serve
    std::vector<Value> current{std::nullopt};  ///< what it may hold now
    struct Write {
      Value value;
      uint64_t log_end;
      bool certain;  ///< it was acknowledged; else it may have been refused
    };
    std::vector<Write> writes;  ///< since then
    bool reading = false;
  };

  void burst();
  Request write_register(size_t index);
  Request read_register(size_t index);
  Request shared_command();
  Request large_command();
  void add_transaction(std::vector<Request>& out);
  void wrote(Request& request, bool certain);
  void wrote_one(size_t index, const Value& value, uint64_t log_end, bool certain);
  void judge_read(size_t index, const resp::Value& value);
  void left_shared(Request& request, const resp::Value& value);
  void revealed(const resp::Value& value, const Request& request);
  std::string shared_key();

  int number_;
  DbIndex db_;
  Link* link_ = nullptr;
  size_t outstanding_ = 0;
  bool verified_ = false, verifying_ = false;
  size_t left_to_verify_ = 0;
  std::vector<Register> registers_;
};

}  // namespace hf::sim
