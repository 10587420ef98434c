// A snapshot file that comes in order, in pieces of any size: for who may not read back and forth, as jobs
// that send it to somebody do. Checks all that Reader checks, each block before anything in it is used.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/result.h"
#include "snapshot/format.h"
#include "snapshot/reader.h"

namespace hf::snapshot {

class Stream {
 public:
  /// The file's next bytes; `sink` gets the entries of the blocks that are whole by now. Holds back one part
  /// of the file at most. After an error, which names the byte, the stream is of no more use.
  Status take(Bytes bytes, EntrySink& sink);
  /// The same in two steps, for who has to do it in slices: bytes are only kept, and one part of the file
  /// (the header, a block, the index, the footer) is taken a call. False: none is whole.
  void keep(Bytes bytes) { carry_.append(bytes); }
  Result<bool> step(EntrySink& sink);
  size_t kept_bytes() const { return carry_.size(); }
  uint64_t bytes_done() const { return at_; }
  uint64_t keys() const { return keys_; }
  /// Once enough has come.
  const std::optional<Header>& header() const { return header_; }
  /// Everything has come and agrees; sink.end() was called.
  bool done() const { return part_ == Part::Done; }

 private:
  enum class Part : uint8_t { Header, Blocks, Footer, Done };

  /// Reads one part off the front of `in`; false: it is not whole yet.
  Result<bool> take_part(Bytes& in, EntrySink& sink);
  Result<bool> take_header(Bytes& in);
  Result<bool> take_block(Bytes& in, EntrySink& sink);
  Result<bool> take_index(Bytes& in);
  Result<bool> take_footer(Bytes& in, EntrySink& sink);

  Part part_ = Part::Header;
  std::optional<Header> header_;
  uint64_t salt_ = 0, at_ = 0;  ///< at_: byte of the file where carry_ begins
  Buffer carry_;
  std::vector<IndexEntry> seen_;
  uint64_t index_at_ = 0, keys_ = 0, raw_bytes_ = 0;
};

}  // namespace hf::snapshot
