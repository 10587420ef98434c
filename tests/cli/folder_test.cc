// The folder between wrapper and program: what a kill at any moment leaves, and what is made of it.
#include "cli/run_folder.h"

#include <unistd.h>
#include <catch2/catch.hpp>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/pack.h"
#include "cli/sha256.h"
#include "cli/tree.h"

using namespace hf;
using namespace hf::cli;
namespace fs = std::filesystem;

namespace {

struct TempFolder {
  TempFolder() {
    std::string name = (fs::temp_directory_path() / "hf-cli-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~TempFolder() { fs::remove_all(path); }
  void put(const std::string& name, const std::string& content) const {
    fs::create_directories(fs::path(path + "/" + name).parent_path());
    std::ofstream(path + "/" + name, std::ios::binary) << content;
  }
  std::string get(const std::string& name) const {
    std::ostringstream out;
    out << std::ifstream(path + "/" + name, std::ios::binary).rdbuf();
    return out.str();
  }
  int mode(const std::string& name) const {
    return static_cast<int>(fs::symlink_status(path + "/" + name).permissions()) & 0777;
  }
  void set_mode(const std::string& name, int mode) const {
    fs::permissions(path + "/" + name, static_cast<fs::perms>(mode));
  }
  bool has(const std::string& name) const { return fs::exists(path + "/" + name); }
  std::string path;
};

Prepared collected(RunFolder& f, uint64_t version = 1, int64_t newer_than = -1) {
  std::string failed;
  auto p = f.collect("nlp#1", version, newer_than, failed);
  INFO((p ? "" : p.error().message));
  REQUIRE(p.ok());
  REQUIRE(p->has_value());
  return **p;
}

std::string pack(const std::string& path) {
  std::string out;
  const Status s = pack_folder(path, [&](Bytes piece) { return out.append(piece), ok(); });
  INFO((s ? "" : s.error().message));
  REQUIRE(s.ok());
  return out;
}

}  // namespace

TEST_CASE("SHA-256 gives the standard's answers, however the bytes are cut") {
  const auto hex = [](Bytes b) {
    Sha256 s;
    s.update(b);
    return s.hex();
  };
  CHECK(hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hex(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  const std::string text(200, 'q');
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    Sha256 s;
    s.update(Bytes(text).substr(0, cut));
    s.update(Bytes(text).substr(cut));
    CHECK(s.hex() == hex(text));
  }
}

TEST_CASE("a folder packed and unpacked is the same folder, and equal folders pack to equal bytes") {
  TempFolder t;
  t.put("a/one", "1");
  t.put("a/deep/" + std::string(120, 'n'), std::string(1000, 'x'));
  t.put("a/empty", "");
  fs::create_directory(t.path + "/a/void");
  fs::permissions(t.path + "/a/one", fs::perms::owner_exec, fs::perm_options::add);
  const std::string archive = pack(t.path + "/a");
  CHECK(archive.size() % 512 == 0);
  REQUIRE(unpack_folder(archive, t.path + "/b").ok());
  CHECK(t.get("b/one") == "1");
  CHECK(t.get("b/deep/" + std::string(120, 'n')) == std::string(1000, 'x'));
  CHECK((t.has("b/empty") && t.has("b/void")));
  CHECK((fs::status(t.path + "/b/one").permissions() & fs::perms::owner_exec) != fs::perms::none);
  CHECK(pack(t.path + "/b") == archive);
}

TEST_CASE("modes come back as they were, those of a folder nobody may write to included") {
  TempFolder t;
  t.put("a/secret", "1");
  t.put("a/closed/two", "2");
  t.set_mode("a/secret", 0600);
  t.set_mode("a/closed/two", 0444);
  t.set_mode("a/closed", 0555);
  const std::string archive = pack(t.path + "/a");
  REQUIRE(unpack_folder(archive, t.path + "/b").ok());
  REQUIRE(copy_tree(t.path + "/a", t.path + "/c", false).ok());
  for (const std::string copy : {"b", "c"}) {
    CHECK((t.mode(copy + "/secret") == 0600 && t.mode(copy + "/closed/two") == 0444));
    CHECK((t.mode(copy + "/closed") == 0555 && t.get(copy + "/closed/two") == "2"));
    remove_tree(t.path + "/" + copy);
    CHECK_FALSE(t.has(copy));
  }
  remove_tree(t.path + "/a");
}

TEST_CASE("links within a folder stay links, dangling ones and long ones too") {
  TempFolder t;
  const std::string deep = std::string(90, 'p') + "/" + std::string(90, 'q');
  t.put("a/" + deep, "deep");
  t.put("a/sub/one", "1");
  fs::create_symlink("sub/one", t.path + "/a/latest");
  fs::create_symlink("../" + deep, t.path + "/a/sub/far");
  fs::create_symlink("not-there", t.path + "/a/dangling");
  fs::create_symlink("sub", t.path + "/a/folder");
  const std::string archive = pack(t.path + "/a");
  REQUIRE(unpack_folder(archive, t.path + "/b").ok());
  REQUIRE(copy_tree(t.path + "/a", t.path + "/c", true).ok());
  CHECK(sync_tree(t.path + "/c").ok());
  for (const std::string copy : {"/b", "/c"}) {
    CHECK(fs::read_symlink(t.path + copy + "/latest") == "sub/one");
    CHECK(fs::read_symlink(t.path + copy + "/dangling") == "not-there");
    CHECK(fs::read_symlink(t.path + copy + "/folder") == "sub");
    CHECK(t.get(copy + "/sub/far") == "deep");
    CHECK(pack(t.path + copy) == archive);
  }
}

TEST_CASE("a link that leads out of the folder is refused by name, however it goes about it") {
  for (const char* target : {"/etc/passwd", "../outside", "sub/../../outside", "sub/..", "../a/one"}) {
    TempFolder t;
    t.put("a/sub/one", "1");
    fs::create_symlink(target, t.path + "/a/model");
    const Status s = pack_folder(t.path + "/a", [](Bytes) { return ok(); });
    INFO(target);
    REQUIRE_FALSE(s.ok());
    CHECK(s.error().message.find("/a/model -> " + std::string(target)) != std::string::npos);
  }
}

TEST_CASE("an archive can neither make a link that leads out nor write through one") {
  TempFolder t;
  t.put("outside/file", "untouched");
  t.put("a/d/x", "1");
  fs::create_symlink("d", t.path + "/a/link");
  const std::string good = pack(t.path + "/a");
  REQUIRE(unpack_folder(good, t.path + "/good").ok());
  const size_t at = 3 * 512;  // d/, d/x, its content, link
  REQUIRE(Bytes(good).substr(at, 5) == Bytes("link\0", 5));
  int n = 0;
  const auto refused = [&](std::string bad, size_t header) {
    unsigned sum = 0;
    std::fill_n(bad.begin() + static_cast<long>(header) + 148, 8, ' ');
    for (size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(bad[header + i]);
    std::snprintf(bad.data() + header + 148, 8, "%06o", sum);
    return !unpack_folder(bad, t.path + "/x" + std::to_string(n++)).ok();
  };
  CHECK_FALSE(refused(good, at));
  for (const char* target : {"/etc", "../outside", "d/../../outside"}) {
    std::string bad = good;
    std::strcpy(bad.data() + at + 157, target);
    CHECK(refused(bad, at));
  }
  // The link first, then a file that would go through it.
  std::string bad = good.substr(at, 512) + good.substr(512, 2 * 512) + good.substr(at + 512);
  std::strcpy(bad.data() + 512, "link/x");
  CHECK(refused(bad, 512));
  CHECK(t.get("outside/file") == "untouched");
}

TEST_CASE("a file saved with mode 0600 comes back with it, from the server and from the store") {
  for (const size_t size : {10, 5000}) {
    TempFolder t;
    RunFolder f(t.path + "/state/holdfast/d", "", 1000);
    REQUIRE(f.create().ok());
    CHECK((t.mode("state") == 0700 && t.mode("state/holdfast/d") == 0700));
    for (const int mode : {0600, 0755}) {
      t.put("state/holdfast/d/out/step-7", std::string(size, 'k'));
      t.set_mode("state/holdfast/d/out/step-7", mode);
      const Prepared p = collected(f, 3);
      f.settle(p.name);
      REQUIRE(f.restore({{3, 7, p.payload, p.meta}}).ok());
      CHECK(t.mode("state/holdfast/d/checkpoint") == mode);
    }
  }
}

TEST_CASE("a damaged or hostile archive is refused") {
  TempFolder t;
  t.put("a/one", "content");
  const std::string good = pack(t.path + "/a");
  int n = 0;
  const auto refused = [&](const std::string& archive) {
    return !unpack_folder(archive, t.path + "/x" + std::to_string(n++)).ok();
  };
  CHECK_FALSE(refused(good));
  for (size_t i = 0; i < 512; i += 7) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    CHECK(refused(bad));
  }
  for (const size_t cut : {0, 1, 511, 512, 600, 1024}) CHECK(refused(good.substr(0, cut)));
  for (const char* name : {"../one", "/etc/one", "a/../../one", "./one"}) {
    std::string bad = good;
    std::fill_n(bad.begin(), 100, '\0');
    std::copy_n(name, std::char_traits<char>::length(name), bad.begin());
    unsigned sum = 0;
    std::fill_n(bad.begin() + 148, 8, ' ');
    for (size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(bad[i]);
    std::snprintf(bad.data() + 148, 8, "%06o", sum);
    CHECK(refused(bad));
  }
  CHECK_FALSE(fs::exists(t.path + "/one"));
}

TEST_CASE("checkpoints are collected oldest first; full ones coalesce to the newest, deltas never") {
  TempFolder t;
  RunFolder f(t.path + "/d", "", 1000);
  REQUIRE(f.create().ok());
  for (const char* name : {"step-1", "step-2", "delta-3", "delta-4", "step-9", "step-10", "junk", "step-x"})
    t.put(std::string("d/out/") + name, name);
  std::vector<std::string> order;
  for (int i = 0; i < 4; ++i) {
    const Prepared p = collected(f);
    CHECK(p.payload == p.name);
    CHECK(t.has("d/sending/" + p.name));
    order.push_back(p.name);
    f.settle(p.name);
    CHECK_FALSE(t.has("d/sending/" + p.name));
  }
  CHECK(order == std::vector<std::string>{"step-2", "delta-3", "delta-4", "step-10"});
  CHECK(f.waiting() == 0);
}

TEST_CASE("what was being sent when everything died is found again, and dropped when the server has it") {
  TempFolder t;
  RunFolder f(t.path + "/d", "", 1000);
  REQUIRE(f.create().ok());
  t.put("d/out/step-5", "five");
  CHECK(collected(f).step == 5);
  RunFolder again(t.path + "/d", "", 1000);
  CHECK(collected(again, 1, 4).step == 5);
  std::string failed;
  auto none = again.collect("nlp#1", 1, 5, failed);
  REQUIRE(none.ok());
  CHECK_FALSE(none->has_value());
  CHECK(f.waiting() == 0);
}

TEST_CASE("a folder belongs to one run: another run's leftovers go, its own stay") {
  TempFolder t;
  RunFolder f(t.path + "/d", "", 1000);
  REQUIRE(f.create().ok());
  REQUIRE(f.adopt("nlp#1").ok());
  t.put("d/out/step-5", "five");
  REQUIRE(f.remember_end("nlp#1", 0).ok());
  auto same = f.adopt("nlp#1");
  REQUIRE(same.ok());
  CHECK((*same == 0 && t.has("d/out/step-5")));
  auto other = f.adopt("nlp#2");
  REQUIRE(other.ok());
  CHECK((!other->has_value() && !t.has("d/out/step-5") && t.has("d/out")));
}

TEST_CASE("a large checkpoint goes to the store, is verified on the way back, and damage is named") {
  for (const bool folder : {false, true}) {
    TempFolder t;
    RunFolder f(t.path + "/d", t.path + "/store", 1000);
    REQUIRE(f.create().ok());
    const std::string big(5000, 'b');
    t.put(folder ? "d/out/step-7/part" : "d/out/step-7", big);
    const Prepared p = collected(f, 3);
    CHECK((p.payload.empty() && p.meta.find("sha256") != std::string::npos && p.size >= 5000));
    CHECK(t.has("store/nlp/1/version-3/data"));
    f.settle(p.name);
    REQUIRE(f.restore({{3, 7, "", p.meta}}).ok());
    CHECK(t.get(folder ? "d/checkpoint/part" : "d/checkpoint") == big);
    t.put(folder ? "store/nlp/1/version-3/data/part" : "store/nlp/1/version-3/data", std::string(5000, 'c'));
    const Status bad = f.restore({{3, 7, "", p.meta}});
    REQUIRE_FALSE(bad.ok());
    CHECK(bad.error().message.find("version 3") != std::string::npos);
    f.prune_store("nlp#1", {4});
    CHECK_FALSE(t.has("store/nlp/1/version-3"));
  }
}

TEST_CASE("pruning leaves what is newer than all the server knows") {
  TempFolder t;
  RunFolder f(t.path + "/d", t.path + "/store", 10);
  REQUIRE(f.create().ok());
  for (const char* v : {"1", "2", "3", "4"}) t.put(std::string("store/nlp/1/version-") + v + "/data", "x");
  f.prune_store("nlp#1", {2, 3});
  CHECK(
      (!t.has("store/nlp/1/version-1") && t.has("store/nlp/1/version-2") && t.has("store/nlp/1/version-4")));
}

TEST_CASE("a chain is restored as its base and the deltas on top") {
  TempFolder t;
  RunFolder f(t.path + "/d", "", 1000);
  REQUIRE(f.create().ok());
  REQUIRE(f.restore({{1, 10, "base", "{\"kind\":\"file\"}"}, {2, 11, "d1", ""}, {3, 12, "d2", "{}"}}).ok());
  CHECK((t.get("d/checkpoint") == "base" && t.get("d/deltas/step-11") == "d1" &&
         t.get("d/deltas/step-12") == "d2"));
  REQUIRE(f.restore({}).ok());
  CHECK((!t.has("d/checkpoint") && !t.has("d/deltas")));
}

TEST_CASE("only one wrapper has the lock, and the second learns who") {
  TempFolder t;
  RunFolder first(t.path + "/d", "", 1000), second(t.path + "/d", "", 1000);
  REQUIRE(first.create().ok());
  int holder = 0;
  auto a = first.try_lock(holder);
  REQUIRE((a.ok() && *a));
  auto b = second.try_lock(holder);
  REQUIRE((b.ok() && !*b));
  CHECK(holder == ::getpid());
}

TEST_CASE("progress that is no progress is none") {
  TempFolder t;
  RunFolder f(t.path, "", 1000);
  CHECK(f.progress() == Progress{});
  t.put("progress", "3 10 epoch  three\n");
  CHECK(f.progress() == Progress{3, 10, "epoch  three"});
  t.put("progress", "5\n");
  CHECK(f.progress() == Progress{5, 0, ""});
  t.put("progress", "-5 x\n");
  CHECK(f.progress() == Progress{});
}

TEST_CASE("a task's name is one part of a path, whatever it holds") {
  CHECK(path_part("nlp-pre") == "nlp-pre");
  CHECK(path_part("a/../b") == "a%2F..%2Fb");
  CHECK(path_part("..") == "%2E.");
  CHECK(path_part(std::string(500, 'x')).size() < 255);
}
