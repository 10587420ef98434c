// The table of types and marks. The layouts were read off dumps that redis-server 7.0 wrote, and off
// published descriptions of the format for what it does not write.
#include "rdb/format.h"

#include <array>

namespace hf::rdb {
namespace {

// A stream: blocks of entries, its ids and counts, then its groups with what is pending and their consumers.
constexpr const char* stream_1 = "(ss)lll(sll(w8l)(s8(w)))";
constexpr const char* stream_2 = "(ss)llllllll(slll(w8l)(s8(w)))";
constexpr const char* stream_3 = "(ss)llllllll(slll(w8l)(s88(w)))";
constexpr const char* timed = "a hash whose fields expire";
constexpr const char* timed_all = "hashes whose fields expire";

// clang-format off
constexpr Row rows[] = {
    {0, Use::String, "s", "a string", "strings"},
    {1, Use::Refuse, "(s)", "a list", "lists"},
    {2, Use::Refuse, "(s)", "a set", "sets"},
    {3, Use::Refuse, "(sf)", "a sorted set", "sorted sets"},
    {4, Use::HashPairs, "(ss)", "a hash", "hashes"},
    {5, Use::Refuse, "(s8)", "a sorted set", "sorted sets"},
    {6, Use::Refuse, nullptr, "a module's value in Redis 4.0's beta form",
     "modules' values in Redis 4.0's beta form"},
    {7, Use::RefuseModule, "lm", "a module's value", "modules' values"},
    {9, Use::HashZipmap, "s", "a hash", "hashes"},
    {10, Use::Refuse, "s", "a list", "lists"},
    {11, Use::Refuse, "s", "a set", "sets"},
    {12, Use::Refuse, "s", "a sorted set", "sorted sets"},
    {13, Use::HashZiplist, "s", "a hash", "hashes"},
    {14, Use::Refuse, "(s)", "a list", "lists"},
    {15, Use::Refuse, stream_1, "a stream", "streams"},
    {16, Use::HashListpack, "s", "a hash", "hashes"},
    {17, Use::Refuse, "s", "a sorted set", "sorted sets"},
    {18, Use::Refuse, "(ls)", "a list", "lists"},
    {19, Use::Refuse, stream_2, "a stream", "streams"},
    {20, Use::Refuse, "s", "a set", "sets"},
    {21, Use::Refuse, stream_3, "a stream", "streams"},
    {22, Use::HashTimedPairs, "(lss)", timed, timed_all},
    {23, Use::HashTimedListpack, "s", timed, timed_all},
    {24, Use::HashTimedPairs, "8(lss)", timed, timed_all},
    {25, Use::HashTimedListpack, "8s", timed, timed_all},
    {26, Use::Refuse, nullptr, "a stream of Redis 8.6", "streams of Redis 8.6"},
    {code_task, Use::Task, "s", "a task", "tasks"},
    {243, Use::KeyMetadata, "(4m)", "a key with data of modules about it",
     "keys with data of modules about them"},
    {244, Use::Ignore, "lll", "", ""},  // a slot's number and sizes
    {245, Use::Function, "s", "a library of functions", "libraries of functions"},
    {246, Use::Refuse, nullptr, "a function of Redis 7.0's release candidates",
     "functions of Redis 7.0's release candidates"},
    {247, Use::ModuleData, "lllm", "data beside the keys", "data beside the keys"},
    {248, Use::Ignore, "l", "", ""},  // seconds since a key was used
    {249, Use::Ignore, "1", "", ""},  // how often it is used
    {code_auxiliary, Use::Auxiliary, "ss", "", ""},
    {251, Use::ResizeDb, "ll", "", ""},
    {code_expire_ms, Use::ExpireMs, "8", "", ""},
    {253, Use::ExpireSeconds, "4", "", ""},
    {code_select_db, Use::SelectDb, "l", "", ""},
    {code_end, Use::End, "", "", ""},
};
// clang-format on

constexpr std::array<const Row*, 256> make_index() {
  std::array<const Row*, 256> index{};
  for (const Row& row : rows) index[row.code] = &row;
  return index;
}
constexpr std::array<const Row*, 256> index_of = make_index();

}  // namespace

const Row* find_row(uint8_t code) { return index_of[code]; }

ModuleName::ModuleName(uint64_t id) {
  constexpr char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (unsigned i = 0; i < 9; ++i) text[i] = letters[(id >> (10 + 6 * (8 - i))) & 63];
  text[9] = '\0';
}

}  // namespace hf::rdb
