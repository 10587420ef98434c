// A data set that is loaded beside the one being served, to take its place in one step: whether there is
// memory for two, and at what pace it comes in. Clients come first: while they want something the loop sleeps
// between slices, as for a snapshot's walk.
//
//   Idle -> Loading -> Idle        (handed over whole, or dropped)
//              \-> NoRoom -> Idle  (what was loaded is thrown away: the old set has to go first)
#pragma once
#include <string>

#include "base/types.h"
#include "config/options.h"
#include "node/effects.h"
#include "snapshot/reader.h"
#include "store/store.h"

namespace hf::node {

class Beside {
 public:
  /// All must outlive it; no host: memory has no bound.
  Beside(const config::Options& options, Host* host, store::Store& store)
      : options_(options), host_(host), store_(store), sink_(store, store::Half::Beside) {}

  /// Begins with nothing loaded. `bytes` are to come, about; when not even these fit, it is NoRoom at once.
  void begin(uint64_t bytes);
  /// Looks at the memory again; true while Loading. Call it before each slice.
  bool has_room();
  bool loading() const { return state_ == State::Loading; }
  /// Why it is NoRoom, as part of a sentence.
  const std::string& reason() const { return reason_; }
  snapshot::EntrySink& sink() { return sink_; }
  /// Throws away what was loaded.
  void drop();
  /// All of it is there: from now on it is somebody else's to take, or to throw away.
  void handed_over() { state_ = State::Idle; }

  /// Each turn; `commands` that clients have had so far.
  void turn(Now now, uint64_t commands);
  /// A slice may be loaded in this turn; the next one then at `next_slice`.
  bool slice_due();
  MonoUs next_slice() const { return next_us_; }

 private:
  enum class State : uint8_t { Idle, Loading, NoRoom };
  void refuse(std::string why);
  struct Bound {
    uint64_t bytes;  ///< 0: none
    const char* name;
  };
  Bound bound() const;

  const config::Options& options_;
  Host* host_;
  store::Store& store_;
  snapshot::StoreSink sink_;
  State state_ = State::Idle;
  std::string reason_;
  MonoUs now_us_ = 0, next_us_ = 0;
  uint64_t commands_ = 0;
  bool busy_ = false;
};

}  // namespace hf::node
