// A value that is too structured for the entry itself (a task, later streams and the like). The store owns
// it, hands it to walks, dumps it and frees it without knowing what it is; its own room gives it meaning.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace hf::store {

/// Numbers are part of the snapshot format: never renumber.
enum class Type : uint8_t { String = 0, List = 1, Set = 2, ZSet = 3, Hash = 4, Stream = 5, Task = 6 };
/// As TYPE prints it.
const char* type_name(Type type);

/// Saved bytes in pieces, in order: large ones that never change are shared, not copied.
class SavedParts {
 public:
  void append(std::string bytes) {
    size_ += bytes.size();
    if (!bytes.empty()) parts_.push_back(std::make_shared<const std::string>(std::move(bytes)));
  }
  void share(std::shared_ptr<const std::string> bytes) {
    size_ += bytes->size();
    if (!bytes->empty()) parts_.push_back(std::move(bytes));
  }
  const std::vector<std::shared_ptr<const std::string>>& parts() const { return parts_; }
  size_t size() const { return size_; }
  /// Bytes of the parts that nobody else holds: what keeping these costs. A shared part comes to count when
  /// its value lets go of it.
  size_t held_alone() const {
    size_t bytes = 0;
    for (const auto& part : parts_)
      if (part.use_count() == 1) bytes += part->size();
    return bytes;
  }

 private:
  std::vector<std::shared_ptr<const std::string>> parts_;  ///< none empty
  size_t size_ = 0;
};

class Entry;

class Object {
 public:
  virtual ~Object() = default;
  /// The key it lies under; empty outside a store. Dies with the next change to the key or its expiry.
  Bytes key() const;
  virtual Type type() const = 0;
  /// As OBJECT ENCODING prints it.
  virtual const char* encoding() const = 0;
  /// Appends the whole value in its stable format; equal values give equal bytes (digests compare them).
  virtual void save(std::string& out) const = 0;
  /// The same bytes as `save` appends.
  virtual void save_parts(SavedParts& out) const {
    std::string all;
    save(all);
    out.append(std::move(all));
  }
  virtual std::unique_ptr<Object> clone() const = 0;
  /// Bytes of heap held, about.
  virtual size_t memory_bytes() const = 0;

 private:
  friend struct Layout;
  const Entry* entry_ = nullptr;  ///< the store keeps it right, wherever the entry goes
};

/// Builds an object from what `save` wrote; the error says what is wrong with the bytes.
using ObjectLoader = Result<std::unique_ptr<Object>> (*)(Bytes saved);

}  // namespace hf::store
