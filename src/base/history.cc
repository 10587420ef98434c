// Reigns, ids and their binary form: small, but stored in three formats, so kept exact and in one place.
#include "base/history.h"

#include <algorithm>

#include "base/limits.h"
#include "base/little_endian.h"

namespace hf {
namespace {

constexpr size_t id_bytes = id_hex_digits / 2;
constexpr size_t reign_bytes = 8 + id_bytes + 8;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

bool is_id(Bytes text) {
  return text.size() == id_hex_digits &&
         std::all_of(text.begin(), text.end(), [](char c) { return hex_value(c) >= 0; });
}

std::string id_to_bytes(Bytes id) {
  HF_CHECK(is_id(id));
  std::string raw(id_bytes, '\0');
  for (size_t i = 0; i < id_bytes; ++i)
    raw[i] = static_cast<char>(hex_value(id[2 * i]) << 4 | hex_value(id[2 * i + 1]));
  return raw;
}

std::string id_from_bytes(Bytes raw) {
  HF_CHECK(raw.size() == id_bytes);
  constexpr const char* digits = "0123456789abcdef";
  std::string id;
  id.reserve(id_hex_digits);
  for (const char c : raw) {
    id += digits[static_cast<uint8_t>(c) >> 4];
    id += digits[static_cast<uint8_t>(c) & 15];
  }
  return id;
}

const Reign& History::last() const {
  HF_CHECK(!reigns_.empty());
  return reigns_.back();
}

bool History::add(Reign reign) {
  if (!is_id(reign.id)) return false;
  if (!reigns_.empty() && (reign.epoch <= last().epoch || reign.first < last().first)) return false;
  if (reigns_.size() == limits::history_reigns_max) reigns_.erase(reigns_.begin());
  reigns_.push_back(std::move(reign));
  return true;
}

const Reign* History::at(LogOffset offset) const {
  const auto after = std::upper_bound(reigns_.begin(), reigns_.end(), offset,
                                      [](LogOffset o, const Reign& r) { return o < r.first; });
  return after == reigns_.begin() ? nullptr : &*(after - 1);
}

void History::encode(std::string& out) const {
  put_le<uint32_t>(out, static_cast<uint32_t>(reigns_.size()));
  for (const Reign& reign : reigns_) {
    put_le<uint64_t>(out, reign.epoch.value);
    out += id_to_bytes(reign.id);
    put_le<uint64_t>(out, reign.first.value);
  }
}

std::optional<History> History::decode(Bytes& in) {
  if (in.size() < 4) return {};
  const uint32_t count = get_le<uint32_t>(in, 0);
  if (count > limits::history_reigns_max || (in.size() - 4) / reign_bytes < count) return {};
  in.remove_prefix(4);
  History history;
  for (uint32_t i = 0; i < count; ++i) {
    Reign reign{{get_le<uint64_t>(in, 0)},
                id_from_bytes(in.substr(8, id_bytes)),
                {get_le<uint64_t>(in, 8 + id_bytes)}};
    if (!history.add(std::move(reign))) return {};
    in.remove_prefix(reign_bytes);
  }
  return history;
}

}  // namespace hf
