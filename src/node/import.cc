// Following a Redis: its data set is taken in, then its commands, and all of it is logged in a reign of this
// node's own.
//
// The dump is loaded beside the data set, which is served meanwhile, and on the disk as it was: a start goes
// on with it. A dump does not fit into the log: when it takes the data set's place the log says FLUSHALL and
// HOLDFAST.UPSTREAM ? 0 (whoever recovers from here has nothing whole), and a snapshot holds it and trims the
// log to itself. From then on HOLDFAST.UPSTREAM <id> <offset> stands behind what was taken, so that a restart
// goes on there. A start that finds `? 0` last fetches everything again, or refuses to reign over nothing.
#include <algorithm>

#include "base/number.h"
#include "command/table.h"
#include "node/inside.h"

namespace hf::node {

namespace {

constexpr size_t slice_bytes = 128 * 1024;
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
  end_import();
  foreign_place_ = {};
}

void ServerNode::Impl::import_dump(std::string file, ForeignPlace place) {
  import_ = std::make_unique<Import>();
  import_->file = std::move(file);
  import_->place = std::move(place);
  import_->sink = std::make_unique<rdb::StoreSink>(store_, store::Half::Beside);
  import_->reader = std::make_unique<rdb::Reader>(*import_->sink);
  const Result<uint64_t> bytes = upstream_.files().size(import_->file);
  beside_.begin(bytes ? *bytes : 0);
}

/// Done with, or given up: then nothing of it stays.
void ServerNode::Impl::end_import() {
  if (!import_) return;
  persistence_.remove_file(import_->file);
  if (import_->reader) {
    if (import_->dropped) executor_.gate.refuse_all.clear();
    beside_.drop();
    store_.drop_beside();
  }
  import_.reset();
}

/// The data set that was here ends; the log and what hangs on it are told.
void ServerNode::Impl::drop_for_import() {
  if (std::exchange(import_->dropped, true)) return;
  state_replaced();
  replicas_.drop_all(kill_);
  forget_audit();
  turn_need_ = persistence_.need_of_this_turn();
  store_.flush_all();
  journal_.append(0, {"FLUSHALL"});
  journal_.append(0, {"HOLDFAST.UPSTREAM", "?", "0"}, false);
  foreign_place_ = {};
  import_unfinished_ = true;
}

/// A slice of the dump; what was loaded beside is taken when it is whole.
void ServerNode::Impl::load_import(Effects& effects) {
  Import& import = *import_;
  if (!import.dropped && !beside_.has_room()) {
    persistence_.say(LogLevel::Warning, "The old data set is dropped before that of the Redis followed is "
                                        "loaded, and reads get -LOADING meanwhile: " + beside_.reason());
    drop_for_import();
    import.reader = std::make_unique<rdb::Reader>(*import.sink);  // what it had read is gone, too
    import.at = 0;
  }
  if (!import.dropped && !beside_.slice_due()) {
    effects.wake_at = std::min(effects.wake_at, beside_.next_slice());
    return;
  }
  const Result<std::string> bytes = upstream_.files().read(import.file, import.at, slice_bytes);
  if (bytes) import.reader->feed(*bytes);
  if (bytes) import.at += bytes->size();
  if (!bytes || bytes->empty()) import.reader->end_of_input();
  effects.again = true;
  using Phase = rdb::Reader::Phase;
  if (import.reader->phase() == Phase::Reading) return;
  if (import.reader->phase() != Phase::Done) {  // it was sound when it came
    persistence_.say(LogLevel::Warning, "The dump of the Redis followed can't be loaded (" +
                                            import.reader->reason() + "); it is fetched again");
    end_import();
    upstream_.start_over();
    return;
  }
  persistence_.say(LogLevel::Notice, "Loaded the data set of the Redis followed: " +
                                         std::to_string(import.reader->counts().strings) + " strings, " +
                                         std::to_string(import.reader->counts().hashes) + " hashes");
  if (import.dropped) executor_.gate.refuse_all.clear();
  import.reader.reset();
  drop_for_import();
  beside_.handed_over();
  store_.take_beside();
}

/// The dump, then the snapshot that holds it: cut behind what this turn has put into the journal.
void ServerNode::Impl::import_some(Effects& effects) {
  if (!import_ || !persistence_.reign_open()) return;
  Import& import = *import_;
  if (import.reader) return load_import(effects);
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
  import_unfinished_ = false;
  end_import();
  next_note_us_ = 0;
}

std::string ServerNode::Impl::why_not_reign() const {
  if (!import_unfinished_) return {};
  return "The data set of the Redis that was followed is not here: the server stopped when it had dropped "
         "what was here before, and no snapshot held the new data yet. To reign now would be to reign over "
         "nothing. Start with replicaof HOST PORT to fetch it from there again; or bring back what was here "
         "before the move, into another folder, with --restore-to; or start in an empty folder to begin anew";
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
