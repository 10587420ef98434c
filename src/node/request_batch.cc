#include "node/request_batch.h"

#include <array>

namespace hf::node {

void RequestBatch::parse(Session& session, store::Store& store, size_t bulk_bytes_max) {
  resp::RequestLimits limits;
  limits.bulk_bytes_max = bulk_bytes_max;
  limits.authenticated = session.client.authenticated;
  const size_t max = session.client.authenticated ? requests_max : 1;
  const Bytes all = session.input.view();
  size_t at = 0;
  count_ = 0;
  end_ = Outcome::Request;
  while (count_ < max && at < all.size()) {
    Request& request = slots_[count_];
    end_ = session.parser.next(all.substr(at), request.args, limits);
    if (end_ == Outcome::Incomplete || end_ == Outcome::Invalid) break;
    request.raw = all.substr(at, session.parser.used());
    at += session.parser.used();
    if (end_ == Outcome::Empty) request.args.clear();
    ++count_;
    request.is_inline = session.parser.was_inline();
    if (request.is_inline) break;  // its arguments live in the parser, until the next call
  }
  if (count_ > 1) prefetch(session.client.db, store);
}

/// All buckets first, then the entries they lead to: by then the first buckets have come.
void RequestBatch::prefetch(DbIndex db, store::Store& store) {
  std::array<uint64_t, requests_max> hashes;
  size_t keys = 0;
  for (const Request& request : requests()) {
    if (request.args.size() < 2) continue;
    hashes[keys] = store.key(request.args[1]).hash;
    store.prefetch_bucket(db, hashes[keys++]);
  }
  for (size_t i = 0; i < keys; ++i) store.prefetch_entry(db, hashes[i]);
}

}  // namespace hf::node
