// MANIFEST: what it says comes back, and no flipped byte or cut passes.
#include <catch2/catch.hpp>

#include <cstdio>

#include "base/checksum.h"
#include "log/manifest.h"
#include "log/segment.h"
#include "log_support.h"

using namespace hf;
using namespace hf::log;

namespace {

Manifest sample() {
  Manifest m;
  m.cluster_id = test::cluster;
  m.segments = {{{0}, 0x0123456789abcdef}, {{70000000}, 17}};
  m.history.add({{1}, test::reign_id(1), {0}});
  m.history.add({{2}, test::reign_id(2), {5000}});
  m.durable_upto = {70000000};
  m.clean_end = LogOffset{70000123};
  m.snapshots = {{{5000}, {1}, 1700000000000, 123456, 789, "bgsave", ""},
                 {{6000}, {2}, 1700000000001, 123457, 790, "save", "before-upgrade", 1234}};
  return m;
}

}  // namespace

TEST_CASE("a manifest comes back as it was encoded") {
  const Manifest m = sample();
  const auto back = decode_manifest(encode_manifest(m));
  REQUIRE(back.ok());
  CHECK(*back == m);
}

TEST_CASE("a manifest from before snapshots' times were kept is still read") {
  Manifest m = sample();
  std::string text = encode_manifest(m);
  const auto replace = [&](const std::string& what, const std::string& by) {
    const size_t at = text.find(what);
    REQUIRE(at != std::string::npos);
    text.replace(at, what.size(), by);
  };
  replace(" bgsave - -\n", " bgsave -\n");
  replace(" before-upgrade 1234\n", " before-upgrade\n");
  text.resize(text.rfind("sum "));
  char sum[32];
  std::snprintf(sum, sizeof sum, "sum %016llx\n", static_cast<unsigned long long>(sum64(text)));
  m.snapshots.back().milliseconds = -1;
  const auto back = decode_manifest(text + sum);
  REQUIRE(back.ok());
  CHECK(*back == m);
}

TEST_CASE("what is being adopted, and what of the old log is kept, comes back") {
  Manifest m = sample();
  m.adopt = LogOffset{700};
  for (const bool keeps : {false, true}) {
    if (keeps) m.adopt_keeps = LogOffset{0};
    const auto back = decode_manifest(encode_manifest(m));
    REQUIRE(back.ok());
    CHECK(*back == m);
  }
}

TEST_CASE("a manifest with any byte flipped, or cut anywhere, is refused by name") {
  const std::string text = encode_manifest(sample());
  for (size_t i = 0; i < text.size(); ++i) {
    for (const int bit : {0, 5, 7}) {
      std::string flipped = text;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      const auto result = decode_manifest(flipped);
      REQUIRE_FALSE(result.ok());
      REQUIRE(result.error().message.find("MANIFEST, byte") == 0);
    }
    REQUIRE_FALSE(decode_manifest(text.substr(0, i)).ok());
  }
}

TEST_CASE("a manifest of a newer version is refused as such") {
  std::string text = encode_manifest(sample());
  text.replace(text.find(" 1\n"), 3, " 2\n");
  CHECK(decode_manifest(text).error().code == newer_version);
}

TEST_CASE("a tag with blanks does not break the manifest apart") {
  Manifest m = sample();
  m.snapshots[0].tag = "a b\nsegment 5 0";
  const auto back = decode_manifest(encode_manifest(m));
  REQUIRE(back.ok());
  CHECK(back->snapshots[0].tag == "a_b_segment_5_0");
}
