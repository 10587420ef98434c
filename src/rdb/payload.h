// One value in the form that DUMP returns and RESTORE takes: its code, its bytes as in a dump, two bytes of
// version, eight of sum. Redis 7 and newer read ours, and we read theirs.
#pragma once
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "rdb/put.h"
#include "rdb/walker.h"
#include "store/entry.h"

namespace hf::rdb {

/// Appends the payload. CHECK: the entry is of a type that put_value knows.
void encode_payload(const store::Entry& entry, const WriteOptions& options, std::string& out);

/// The footer: the version is one that is read here, and the sum is right. What RESTORE asks first.
bool payload_is_intact(Bytes payload);

/// The value of an intact payload, for Store::load_value. The error says what is wrong with the bytes, or
/// names a type that has no counterpart here.
Result<std::string> decode_payload(Bytes payload, const Limits& limits = {});

}  // namespace hf::rdb
