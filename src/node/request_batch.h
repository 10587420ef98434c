// The requests at the front of a client's input, parsed ahead of their execution: a pipeline's keys are known
// before the first of them is looked up, so the memory they need is fetched together and its cache misses
// overlap.
#pragma once
#include <span>
#include <vector>

#include "node/session.h"
#include "resp/parser.h"
#include "store/store.h"

namespace hf::node {

class RequestBatch {
 public:
  using Outcome = resp::RequestParser::Outcome;
  /// `args` and `raw` point into the session's input (an inline request's arguments into its parser): valid
  /// until either is touched.
  struct Request {
    std::vector<Bytes> args;  ///< none: an empty line
    Bytes raw;                ///< the bytes it came as
    bool is_inline = false;
  };

  RequestBatch() : slots_(requests_max) {}

  /// Takes up to `requests_max` whole requests from the front of `session.input`, one at a time while it has
  /// not said who it is, and starts fetching what the first key of each will need. Consumes nothing.
  void parse(Session& session, store::Store& store, size_t bulk_bytes_max);
  std::span<const Request> requests() const { return std::span(slots_).first(count_); }
  /// Why it ends where it does: Incomplete and Invalid are about what follows the last request.
  Outcome end() const { return end_; }

 private:
  static constexpr size_t requests_max = 16;

  void prefetch(DbIndex db, store::Store& store);

  std::vector<Request> slots_;  // kept from batch to batch, for the memory of their arguments
  size_t count_ = 0;
  Outcome end_{};
};

}  // namespace hf::node
