// When a batch of the log waits for more clients to join it, and when it never does.
#include "node/group_commit.h"

#include <catch2/catch.hpp>

using hf::MonoUs;
using hf::node::GroupCommit;

namespace {

void gather(GroupCommit& commits, int replies) {
  for (int i = 0; i < replies; ++i) commits.reply_waits();
}

/// A sync that `replies` hang on and that keeps the processor busy for 40 us; `meanwhile` more come while it runs.
void sync(GroupCommit& commits, int replies, int meanwhile, MonoUs end) {
  gather(commits, replies);
  commits.begun(end - 100);
  gather(commits, meanwhile);
  commits.ended(end, 40);
}

}  // namespace

TEST_CASE("one client never waits for others") {
  GroupCommit commits;
  MonoUs now = 0;
  for (int i = 0; i < 10; ++i) {
    sync(commits, 1, 0, now + 200);
    CHECK_FALSE(commits.waits(now + 200));
    commits.reply_waits();
    CHECK_FALSE(commits.waits(now + 210));
    commits.begun(now + 210);
    commits.ended(now += 310, 40);
  }
}

TEST_CASE("a batch waits until as many replies hang on it as the sync before answered") {
  GroupCommit commits;
  sync(commits, 40, 10, 200);
  CHECK(commits.waits(200));
  gather(commits, 29);
  CHECK(commits.waits(210));
  commits.reply_waits();
  CHECK_FALSE(commits.waits(210));
}

TEST_CASE("clients that do not come back are waited for as long as a sync keeps the processor busy, and no longer") {
  GroupCommit commits;
  sync(commits, 40, 10, 200);
  CHECK(commits.wait_until() == 240);
  CHECK(commits.waits(239));
  CHECK_FALSE(commits.waits(240));
  commits.begun(240);
  commits.ended(1000, 30'000);  // it wrote much, too
  CHECK(commits.wait_until() == 1000 + hf::limits::commit_wait_us_max);
}

TEST_CASE("where a sync takes much time and little work nobody waits") {
  GroupCommit commits;
  gather(commits, 40);
  commits.begun(0);
  gather(commits, 10);
  commits.ended(1000, 40);
  CHECK_FALSE(commits.waits(1000));
}

TEST_CASE("what no reply waits for goes at once, and so does what came while nothing was in flight") {
  GroupCommit commits;
  CHECK_FALSE(commits.waits(0));
  gather(commits, 1);
  CHECK_FALSE(commits.waits(0));
  sync(commits, 40, 0, 200);
  CHECK_FALSE(commits.waits(201));
  commits.begun(201);
  gather(commits, 3);
  CHECK_FALSE(commits.waits(202));
}
