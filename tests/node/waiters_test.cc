// Blocked clients: the longest-waiting goes first, deadlines are kept, nothing is left behind.
#include "node/waiters.h"

#include <catch2/catch.hpp>

using hf::node::ConnId;
using hf::node::Waiters;

TEST_CASE("the longest-waiting client is served first, whichever key became ready") {
  Waiters waiters;
  waiters.add({1, 1}, 0, {"a", "b"}, {"x"}, INT64_MAX);
  waiters.add({2, 1}, 0, {"b"}, {"y"}, INT64_MAX);
  waiters.key_ready(0, "b");
  ConnId who;
  REQUIRE(waiters.next_ready(who));
  CHECK(who == ConnId{1, 1});
  REQUIRE(waiters.next_ready(who));
  CHECK(who == ConnId{2, 1});
  CHECK_FALSE(waiters.next_ready(who));
}

TEST_CASE("a key of another database wakes nobody") {
  Waiters waiters;
  waiters.add({1, 1}, 0, {"a"}, {"x"}, INT64_MAX);
  waiters.key_ready(1, "a");
  ConnId who;
  CHECK_FALSE(waiters.next_ready(who));
  waiters.database_ready(0);
  CHECK(waiters.next_ready(who));
}

TEST_CASE("a removed waiter is neither ready nor due") {
  Waiters waiters;
  waiters.add({1, 1}, 0, {"a"}, {"x"}, 100);
  waiters.key_ready(0, "a");
  waiters.remove({1, 1});
  ConnId who;
  CHECK_FALSE(waiters.next_ready(who));
  CHECK_FALSE(waiters.next_expired(1000, who));
  CHECK(waiters.empty());
  CHECK(waiters.next_deadline() == INT64_MAX);
}

TEST_CASE("deadlines come in order of time") {
  Waiters waiters;
  waiters.add({1, 1}, 0, {"a"}, {"x"}, 300);
  waiters.add({2, 1}, 0, {"a"}, {"x"}, 200);
  CHECK(waiters.next_deadline() == 200);
  ConnId who;
  CHECK_FALSE(waiters.next_expired(199, who));
  REQUIRE(waiters.next_expired(250, who));
  CHECK(who == ConnId{2, 1});
}
