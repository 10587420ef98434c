// Bounded whatever the dump holds: kinds, names a kind and bytes a name all have their limit.
#include "rdb/refusals.h"

namespace hf::rdb {

void Refusals::add(Bytes one, Bytes all, std::string name) {
  Kind* kind = nullptr;
  for (Kind& known : kinds_)
    if (known.one == one) kind = &known;
  if (kind == nullptr && kinds_.size() >= kinds_max) {
    kind = &kinds_.back();
    kind->one = "another thing", kind->all = "other things";
  }
  if (kind == nullptr) kind = &kinds_.emplace_back(Kind{.one = std::string(one), .all = std::string(all)});
  ++kind->count;
  if (kind->names.size() < names_max) kind->names.push_back(std::move(name));
}

uint64_t Refusals::total() const {
  uint64_t sum = 0;
  for (const Kind& kind : kinds_) sum += kind.count;
  return sum;
}

std::string Refusals::text() const {
  if (kinds_.empty()) return "nothing is refused";
  if (total() == 1) return kinds_[0].names[0] + " is " + kinds_[0].one + ", which Holdfast does not hold yet";
  std::string out = "Holdfast does not hold yet: ";
  for (size_t i = 0; i < kinds_.size(); ++i) {
    const Kind& kind = kinds_[i];
    out += i == 0 ? "" : "; ";
    out += kind.count == 1 ? kind.one : std::to_string(kind.count) + " " + kind.all;
    for (size_t n = 0; n < kind.names.size(); ++n) out += (n == 0 ? " (" : ", ") + kind.names[n];
    out += kind.count > kind.names.size() ? ", ...)" : ")";
  }
  return out;
}

std::string Refusals::cut(Bytes name) {
  return quoted(name.substr(0, name_bytes_max)) + (name.size() > name_bytes_max ? "..." : "");
}

std::string Refusals::key_name(Bytes key, uint64_t db) {
  return "key " + cut(key) + " in db " + std::to_string(db);
}

}  // namespace hf::rdb
