// Following a Redis: its data set is taken in, then its commands, and all of it is logged in a reign of this
// node's own.
//
// A dump does not fit into the log: the log says FLUSHALL and HOLDFAST.UPSTREAM ? 0 (whoever recovers from
// here has nothing whole), the dump is loaded, a snapshot holds it and trims the log to itself. From then on
// HOLDFAST.UPSTREAM <id> <offset> stands behind what was taken, so that a restart goes on there.
#include <algorithm>

#include "base/number.h"
#include "command/table.h"
#include "node/inside.h"

namespace hf::node {

namespace {

constexpr size_t slice_bytes = 256 * 1024;
constexpr MonoUs note_every_us = 1'000'000;

}  // namespace

bool ServerNode::Impl::ready() const {
  if (!foreign_) return persistence_.can_mirror();
  const bool loading = import_ && (import_->reader || !import_->snapshot_asked);
  return persistence_.phase() == Persistence::Phase::Serving && persistence_.reign_open() && !loading &&
         persistence_.refuse_writes().empty();
}

Status ServerNode::Impl::follow_foreign() {
  if (foreign_) return ok();
  apply_everything();
  if (Status begun = persistence_.begin_own_reign(now_); !begun) return begun;
  foreign_ = true;
  forget_audit();
  replicas_.drop_all(kill_);
  settle_role();
  return ok();
}

void ServerNode::Impl::leave_foreign() {
  foreign_ = false;
  import_.reset();
  foreign_place_ = {};
}

void ServerNode::Impl::import_dump(std::string file, ForeignPlace place) {
  replicas_.drop_all(kill_);
  forget_audit();
  turn_need_ = persistence_.need_of_this_turn();
  store_.flush_all();
  journal_.append(0, {"FLUSHALL"});
  journal_.append(0, {"HOLDFAST.UPSTREAM", "?", "0"}, false);
  foreign_place_ = {};
  import_ = std::make_unique<Import>();
  import_->file = std::move(file);
  import_->place = std::move(place);
  import_->sink = std::make_unique<rdb::StoreSink>(store_);
  import_->reader = std::make_unique<rdb::Reader>(*import_->sink);
}

/// A slice of the dump a turn; then the snapshot that holds it.
void ServerNode::Impl::import_some(Effects& effects) {
  if (!import_ || !persistence_.reign_open()) return;
  Import& import = *import_;
  if (import.reader) {
    const Result<std::string> bytes = upstream_.files().read(import.file, import.at, slice_bytes);
    if (bytes) import.reader->feed(*bytes);
    if (bytes) import.at += bytes->size();
    if (!bytes || bytes->empty()) import.reader->end_of_input();
    effects.again = true;
    using Phase = rdb::Reader::Phase;
    if (import.reader->phase() == Phase::Reading) return;
    executor_.gate.refuse_all.clear();
    if (import.reader->phase() != Phase::Done) {  // it was sound when it came
      persistence_.say(LogLevel::Warning, "The dump of the Redis followed can't be loaded (" +
                                              import.reader->reason() + "); it is fetched again");
      store_.flush_all();
      import_.reset();
      upstream_.start_over();
      return;
    }
    persistence_.say(LogLevel::Notice, "Loaded the data set of the Redis followed: " +
                                           std::to_string(import.reader->counts().strings) + " strings, " +
                                           std::to_string(import.reader->counts().hashes) + " hashes");
    import.reader.reset();
  }
  if (!import.snapshot_asked) {
    import.snapshot_asked = persistence_.begin_snapshot(now_, {.reason = "import", .rewrite = true}).ok();
    return;
  }
  if (persistence_.snapshot_running()) return;
  if (!persistence_.last_snapshot_status().ok()) {  // tried again: without it nothing here lasts
    import.snapshot_asked = false;
    effects.wake_at = std::min(effects.wake_at, now_.mono_us + note_every_us);
    return;
  }
  persistence_.remove_file(import.file);
  import_.reset();
  next_note_us_ = 0;
}

Status ServerNode::Impl::take_foreign(DbIndex db, const std::vector<Bytes>& args, Bytes raw) {
  const command::Spec* spec = command::find_command(args[0]);
  const std::string what =
      quoted(args[0].substr(0, 64)) + (args.size() > 1 ? " on " + quoted(args[1].substr(0, 64)) : "");
  if (spec == nullptr || !(spec->flags & command::Write) || spec->handler == nullptr)
    return Error{"the Redis followed sent " + what +
                 ", which Holdfast does not know yet; nothing was passed over, following stops here"};
  if (db >= store_.databases())
    return Error{"the Redis followed uses database " + std::to_string(db) + "; set databases higher"};
  turn_need_ = persistence_.need_of_this_turn();
  char number[24];
  Buffer text;
  resp::Writer(text, 2).command({"SELECT", Bytes(number, write_int(number, static_cast<int64_t>(db)))});
  text.append(raw);
  if (Status applied = executor_.replay(text.view(), now_.wall_ms); !applied)
    return Error{"the Redis followed sent " + what + ": " + applied.error().message};
  journal_.append_raw(db, raw);
  return ok();
}

/// Behind what was taken, at most once a second, and at once behind a snapshot's cut, which forgets the one
/// before.
void ServerNode::Impl::note_foreign_place() {
  if (import_ || !foreign_place_.known() || !persistence_.reign_open()) return;
  const bool cut = persistence_.last_cut() != noted_cut_;
  if (!cut && journal_.empty() && now_.mono_us < next_note_us_) return;
  noted_cut_ = persistence_.last_cut();
  next_note_us_ = now_.mono_us + note_every_us;
  journal_.append(0, {"HOLDFAST.UPSTREAM", foreign_place_.id, std::to_string(foreign_place_.offset)}, false);
}

}  // namespace hf::node
