// Walks bytes along a row's layout, item by item, as they arrive: it needs no more of them at hand than the
// string it is at, and of a string that is passed over nothing at all.
#pragma once
#include <array>
#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace hf::rdb {

struct Limits {
  uint64_t string_bytes_max = 512ull * 1024 * 1024;  ///< proto-max-bulk-len
  uint64_t items_max = 1ull << 40;  ///< elements a value may claim; nothing is reserved for them
};

enum class Took : uint8_t { Whole, More, Bad };

/// Takes a length off the front. Bad: it is none.
Took take_length(Bytes& in, uint64_t& value);

/// How a string is stored; `stored` bytes follow its head.
struct StringHead {
  enum class Kind : uint8_t { Raw, Number, Lzf };
  Kind kind = Kind::Raw;
  uint64_t stored = 0;
  uint64_t size = 0;   ///< when read; of a Number: unknown
  int64_t number = 0;  ///< of a Number
};
Took take_string_head(Bytes& in, StringHead& head);

struct Item {
  enum class Kind : uint8_t {
    Count,   ///< how often the bracketed part comes
    Number,  ///< a length or fixed bytes of at most 8
    String,  ///< whole; of no text when strings are passed over
    Begin,   ///< a string that comes in pieces: `number` is its size
    Piece,   ///< the next bytes of it
    Values,  ///< the end of a module's values: `number` of them
    Other,
  };
  Kind kind = Kind::Other;
  uint64_t number = 0;
  Bytes text;  ///< dies with the next call, and with the bytes given to this one
};

class Walker {
 public:
  enum class Strings : uint8_t { Keep, Skip };
  enum class Step : uint8_t { Item, End, More, Bad };

  explicit Walker(const Limits& limits) : limits_(limits) {}
  /// `pieces_above`: a longer string that lies there plainly comes as Begin and Pieces.
  void begin(const char* layout, Strings strings, uint64_t pieces_above = UINT64_MAX);
  /// Takes what it needs off the front of `in`. More: there is not enough of it, come again with what is left
  /// and more behind it. Bad: `problem()` says why.
  Step next(Bytes& in, Item& item);
  const std::string& problem() const { return problem_; }

 private:
  static constexpr size_t depth_max = 4;
  struct Loop {
    const char* body;
    uint64_t left;
  };
  Step bad(std::string problem) {
    problem_ = std::move(problem);
    return Step::Bad;
  }
  Step take_fixed(Bytes& in, size_t size, Item& item);
  Step take_count(Bytes& in, Item& item);
  Step take_string(Bytes& in, Item& item);
  Step take_score(Bytes& in, Item& item);
  Step take_module_value(Bytes& in, Item& item);
  Step check(const StringHead& head);
  Step keep(const StringHead& head, Bytes body, Item& item);
  void close_loop();

  const Limits& limits_;
  const char* at_ = "";
  Strings strings_ = Strings::Keep;
  uint64_t pieces_above_ = UINT64_MAX;
  std::array<Loop, depth_max> loops_{};
  size_t depth_ = 0;
  uint64_t skip_left_ = 0, piece_left_ = 0, module_values_ = 0;
  std::string scratch_, problem_;
};

}  // namespace hf::rdb
