// One state a part of the dump: its head, a code, a key, a value, what follows a mark, the sum. Each read_...
// returns false when it needs more bytes or the reading has ended.
#include "rdb/reader.h"

#include <algorithm>
#include <climits>

#include "base/little_endian.h"
#include "base/number.h"
#include "rdb/crc64.h"

namespace hf::rdb {

Status StoreSink::entry(DbIndex db, Bytes encoded) {
  if (db >= store_.databases())
    return Error{"the dump has a database " + std::to_string(db) + ", this server has " +
                 std::to_string(store_.databases()) + "; raise its option databases"};
  return store_.load_piece(store_.in(half_, db), encoded);
}

Reader::Reader(Sink& sink, ReaderOptions options)
    : sink_(sink), options_(options), walker_(options_.limits), builder_(*this, options_.piece_bytes_max) {}

size_t Reader::feed(Bytes piece) {
  if (phase_ != Phase::Reading) return 0;
  if (kept_.empty()) {
    Bytes in = piece;
    read(in);
    if (phase_ != Phase::Reading) return piece.size() - in.size();
    kept_.append(in);
    return piece.size();
  }
  kept_.append(piece);
  Bytes in = kept_.view();
  const size_t before = in.size();
  read(in);
  if (phase_ != Phase::Reading) {
    kept_.clear();
    return piece.size() - std::min(in.size(), piece.size());
  }
  kept_.consume(before - in.size());
  kept_.shrink(store::piece_bytes_max);
  return piece.size();
}

void Reader::end_of_input() {
  if (phase_ == Phase::Reading) stop(Phase::Damaged, "the dump ends here, before its end mark");
}

void Reader::stop(Phase phase, const std::string& why) {
  if (phase_ != Phase::Reading) return;
  phase_ = phase;
  reason_ = "dump byte " + std::to_string(position_) + ": " + why;
}

void Reader::check(const Status& status) {
  if (!status.ok()) stop(Phase::Stopped, status.error().message);
}

void Reader::read(Bytes& in) {
  summed_ = in.data();
  const auto sum_up = [&] {
    crc_ = crc64(crc_, Bytes(summed_, static_cast<size_t>(in.data() - summed_)));
    summed_ = in.data();
  };
  for (bool go_on = true; go_on && phase_ == Phase::Reading;) {
    switch (state_) {
      case State::Magic: go_on = read_magic(in); break;
      case State::Code: go_on = read_code(in); break;
      case State::Key:
      case State::Value:
      case State::Mark: go_on = read_items(in); break;
      case State::Sum:
        sum_up();
        go_on = read_sum(in);
        return;
    }
  }
  sum_up();
}

bool Reader::read_magic(Bytes& in) {
  if (in.size() < header_bytes) {
    // What cannot become a dump any more is said at once: a peer that sent an error text sends nothing more.
    if (!magic.starts_with(in.substr(0, magic.size())) && !in.starts_with("V"))
      stop(Phase::Damaged, "this is no dump of Redis's: it begins with " + quoted(in));
    return false;
  }
  const Bytes head = in.substr(0, header_bytes);
  const auto digits = head.substr(magic.size());
  const bool numbered = digits.find_first_not_of("0123456789") == Bytes::npos;
  if (head.starts_with("VALKEY"))
    stop(Phase::Damaged,
         "a dump of Valkey 9 or newer (" + quoted(head) + "); take one from Valkey 8 or Redis");
  else if (!head.starts_with(magic) || !numbered)
    stop(Phase::Damaged, "this is no dump of Redis's: it begins with " + quoted(head));
  if (phase_ != Phase::Reading) return false;
  version_ = 0;
  for (const char c : digits) version_ = version_ * 10 + static_cast<unsigned>(c - '0');
  if (version_ < 1 || version_ > version_read_max) {
    stop(Phase::Damaged, "a dump in version " + std::to_string(version_) +
                             " of the format; this build reads 1 to " + std::to_string(version_read_max));
    return false;
  }
  in.remove_prefix(header_bytes);
  position_ += header_bytes;
  state_ = State::Code;
  return true;
}

bool Reader::read_code(Bytes& in) {
  if (in.empty()) return false;
  const auto code = static_cast<uint8_t>(in[0]);
  row_ = find_row(code);
  if (row_ == nullptr || row_->use == Use::Task) {
    stop(Phase::Damaged, "no type or mark has the number " + std::to_string(code) +
                             "; the dump is damaged, or newer than this build knows");
    return false;
  }
  if (row_->use == Use::End) {
    in.remove_prefix(1);
    ++position_;
    state_ = State::Sum;
    if (version_ < version_with_sum) complete();
    return true;
  }
  if (row_->layout == nullptr) {
    refusals_.add(row_->what, row_->what_all, "what stands at byte " + std::to_string(position_));
    stop(Phase::Refused,
         refusals_.text() + "; there is no telling where it ends, so what follows was not looked at");
    return false;
  }
  in.remove_prefix(1);
  ++position_;
  number_count_ = 0;
  if (is_value(*row_)) {
    walker_.begin("s", Walker::Strings::Keep);
    state_ = State::Key;
  } else {
    const bool keep = row_->use == Use::Auxiliary || row_->use == Use::Function;
    walker_.begin(row_->layout, keep ? Walker::Strings::Keep : Walker::Strings::Skip);
    name_.clear();
    state_ = State::Mark;
  }
  return true;
}

bool Reader::read_items(Bytes& in) {
  Item item;
  for (;;) {
    const char* before = in.data();
    const Walker::Step step = walker_.next(in, item);
    const auto used = static_cast<uint64_t>(in.data() - before);
    if (step == Walker::Step::Bad) {
      stop(Phase::Damaged, walker_.problem());
      return false;
    }
    if (step == Walker::Step::Item) {
      if (state_ == State::Key) key_.assign(item.text);
      else if (state_ == State::Value) use_value_item(item);
      else use_mark_item(item);
    }
    position_ += used;  // after its use: errors name the byte where the item begins
    if (phase_ != Phase::Reading || step == Walker::Step::More) return false;
    if (step == Walker::Step::End) break;
  }
  if (state_ == State::Key) {
    begin_value();
    return true;
  }
  if (state_ == State::Value) value_ended();
  else mark_ended();
  state_ = State::Code;
  return true;
}

void Reader::begin_value() {
  const bool refused = is_refused(*row_) || key_metadata_;
  const bool in_pieces = row_->use == Use::String && !refused;
  walker_.begin(row_->layout, refused ? Walker::Strings::Skip : Walker::Strings::Keep,
                in_pieces ? options_.piece_bytes_max : UINT64_MAX);
  if (!refused) builder_.begin(*row_, key_, expire_at_);
  state_ = State::Value;
}

void Reader::use_value_item(const Item& item) {
  if (row_->use == Use::RefuseModule && item.kind == Item::Kind::Number && number_count_++ == 0)
    name_ = ModuleName(item.number).text;
  if (is_refused(*row_) || key_metadata_) return;
  const Status status = builder_.item(item);
  if (!status.ok())
    stop(builder_.taker_failed() ? Phase::Stopped : Phase::Damaged,
         Refusals::key_name(key_, db_) + ": " + status.error().message);
}

void Reader::value_ended() {
  const std::string name = Refusals::key_name(key_, db_);
  if (key_metadata_) {
    const Row& row = *find_row(243);
    refusals_.add(row.what, row.what_all, name);
  } else if (row_->use == Use::RefuseModule) {
    refusals_.add("a value of the module type " + name_, "values of the module type " + name_, name);
  } else if (is_refused(*row_)) {
    refusals_.add(row_->what, row_->what_all, name);
  } else {
    check(builder_.end());
    if (builder_.refused()) refusals_.add(row_->what, row_->what_all, name);
    else if (builder_.was_empty()) ++counts_.empty_hashes;
    else {
      ++(row_->use == Use::String ? counts_.strings : counts_.hashes);
      if (expire_at_ != store::no_expiry) ++counts_.expiring;
    }
  }
  expire_at_ = store::no_expiry;
  key_metadata_ = false;
}

void Reader::use_mark_item(const Item& item) {
  if (item.kind == Item::Kind::Values && row_->use == Use::ModuleData && item.number > 0) {
    const std::string what =
        std::string("data of the module ") + ModuleName(numbers_[0]).text + " beside the keys";
    refusals_.add(what, what, "what ends at byte " + std::to_string(position_));
  }
  if (item.kind == Item::Kind::Number && number_count_ < std::size(numbers_))
    numbers_[number_count_++] = item.number;
  if (item.kind != Item::Kind::String || row_->use == Use::Ignore) return;
  if (row_->use == Use::Function) {
    // "#!lua name=mylib\n..."
    const Bytes line = item.text.substr(0, item.text.find('\n'));
    const size_t at = line.find("name=");
    const Bytes name = at == Bytes::npos ? Bytes() : line.substr(at + 5);
    refusals_.add(row_->what, row_->what_all, "library " + Refusals::cut(name.substr(0, name.find(' '))));
  } else if (row_->use == Use::Auxiliary) {
    if (number_count_++ == 0) name_.assign(item.text);
    else check(sink_.auxiliary(name_, item.text));
  }
}

void Reader::mark_ended() {
  switch (row_->use) {
    case Use::SelectDb:
      if (numbers_[0] > INT_MAX) return stop(Phase::Damaged, "no database has so high a number");
      db_ = static_cast<DbIndex>(numbers_[0]);
      break;
    case Use::ResizeDb: check(sink_.resize(db_, numbers_[0], numbers_[1])); break;
    case Use::ExpireMs: expire_at_ = std::min(static_cast<WallMs>(numbers_[0]), store::no_expiry - 1); break;
    case Use::ExpireSeconds:
      expire_at_ = static_cast<WallMs>(static_cast<int32_t>(numbers_[0])) * 1000;
      break;
    case Use::KeyMetadata: key_metadata_ = true; break;
    default: break;
  }
}

bool Reader::read_sum(Bytes& in) {
  if (phase_ != Phase::Reading || in.size() < sizeof sum_) return false;
  sum_ = get_le<uint64_t>(in, 0);
  if (sum_ != 0 && sum_ != crc_) {
    stop(Phase::Damaged,
         "the dump's sum is another than that of its bytes; it was damaged on its way or on disk");
    return false;
  }
  in.remove_prefix(sizeof sum_);
  position_ += sizeof sum_;
  complete();
  return false;
}

void Reader::complete() {
  if (!refusals_.empty()) {
    phase_ = Phase::Refused;
    reason_ = refusals_.text();
    return;
  }
  check(sink_.end());
  if (phase_ == Phase::Reading) phase_ = Phase::Done;
}

}  // namespace hf::rdb
