// What `holdfast-cli follow` makes of the INFO of a replica, phase by phase.
#include <catch2/catch.hpp>

#include "cli/sync_watch.h"

using hf::cli::SyncWatch;
using Phase = hf::cli::SyncWatch::Phase;

namespace {

std::string info(const std::string& more) {
  return "# Replication\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\n" + more;
}

const std::string linked = "master_link_status:up\r\nmaster_sync_in_progress:0\r\nslave_repl_offset:990\r\n";
const std::string syncing = "master_link_status:down\r\nmaster_sync_in_progress:1\r\n";

}  // namespace

TEST_CASE("a full sync is told phase by phase, with a rate and the time left") {
  SyncWatch sync;
  sync.take(info("master_link_status:down\r\nmaster_sync_in_progress:0\r\n"), 1000);
  CHECK(sync.phase() == Phase::Linking);
  CHECK(sync.primary() == "10.0.0.1:6379");
  sync.take(info(syncing + "master_sync_total_bytes:0\r\nmaster_sync_read_bytes:0\r\n"), 2000);
  CHECK(sync.phase() == Phase::Waiting);
  sync.take(info(syncing + "master_sync_total_bytes:4194304\r\nmaster_sync_read_bytes:0\r\n"), 3000);
  CHECK(sync.phase() == Phase::Receiving);
  sync.take(info(syncing + "master_sync_total_bytes:4194304\r\nmaster_sync_read_bytes:1048576\r\n"), 4000);
  CHECK(sync.progress().n == 1048576);
  CHECK(sync.progress().total == 4194304);
  CHECK(sync.progress().note == "receiving the snapshot, 1.0 MiB/s, 3s left");
  sync.take(info(syncing + "master_sync_total_bytes:4194304\r\nmaster_sync_read_bytes:4194304\r\n"), 5000);
  CHECK(sync.phase() == Phase::Loading);
  sync.take(info("master_link_status:up\r\nmaster_sync_in_progress:1\r\n# Persistence\r\nloading:1\r\n"
                 "loading_total_bytes:100\r\nloading_loaded_bytes:40\r\n"), 6000);
  CHECK(sync.phase() == Phase::Loading);
  CHECK(sync.progress().n == 40);
  CHECK(sync.progress().total == 100);
  sync.take(info(linked + "replica_received_offset:900\r\nreplica_applied_offset:900\r\nreplica_lag_bytes:100\r\n"), 7000);
  CHECK(sync.phase() == Phase::CatchingUp);
  CHECK(sync.progress().total == 100);
  sync.take(info(linked + "replica_received_offset:995\r\nreplica_applied_offset:950\r\nreplica_lag_bytes:70\r\n"), 8000);
  CHECK(sync.phase() == Phase::CatchingUp);
  CHECK(sync.progress().n == 50);
  // The primary has gone on: what it had when the link came up is what was waited for.
  sync.take(info(linked + "replica_received_offset:1001\r\nreplica_applied_offset:1001\r\nreplica_lag_bytes:70\r\n"), 9000);
  CHECK(sync.phase() == Phase::InStep);
  CHECK(sync.snapshot_bytes() == 4194304);
  CHECK(sync.offset() == 990);
}

TEST_CASE("the state between a snapshot's last byte and its end is loading, not waiting for one") {
  SyncWatch sync;
  sync.take(info(syncing + "master_sync_total_bytes:500\r\nmaster_sync_read_bytes:300\r\n"), 0);
  sync.take(info(syncing + "master_sync_total_bytes:0\r\nmaster_sync_read_bytes:0\r\n"), 100);
  CHECK(sync.phase() == Phase::Loading);
}

TEST_CASE("a link that can't be made gives its reason, and time without movement counts from the last change") {
  SyncWatch sync;
  const std::string down = "master_link_status:down\r\nmaster_sync_in_progress:0\r\nmaster_link_last_error:no password\r\n";
  sync.take(info(down), 1000);
  sync.take(info(down), 9000);
  CHECK(sync.phase() == Phase::Linking);
  CHECK(sync.error() == "no password");
  CHECK(sync.moved_ms() == 1000);
  sync.take(info(linked), 9500);
  CHECK(sync.phase() == Phase::InStep);
  CHECK(sync.error().empty());
  CHECK(sync.moved_ms() == 9500);
}

TEST_CASE("a link that breaks begins the wait anew, with another place to reach") {
  SyncWatch sync;
  sync.take(info(linked + "replica_received_offset:10\r\nreplica_applied_offset:10\r\nreplica_lag_bytes:90\r\n"), 0);
  CHECK(sync.phase() == Phase::CatchingUp);
  sync.take(info("master_link_status:down\r\nmaster_sync_in_progress:0\r\n"), 100);
  CHECK(sync.phase() == Phase::Linking);
  sync.take(info(linked + "replica_received_offset:50\r\nreplica_applied_offset:50\r\nreplica_lag_bytes:150\r\n"), 200);
  CHECK(sync.progress().total == 150);
  CHECK(sync.phase() == Phase::CatchingUp);
}

TEST_CASE("a primary follows nobody, and a redis-server's INFO is understood as far as it goes") {
  SyncWatch sync;
  sync.take("role:master\r\nconnected_slaves:0\r\n", 0);
  CHECK(sync.phase() == Phase::Alone);
  CHECK(sync.primary().empty());
  SyncWatch redis;
  redis.take(info("master_link_status:up\r\nmaster_sync_in_progress:0\r\nslave_repl_offset:14\r\n"), 0);
  CHECK(redis.phase() == Phase::InStep);
  CHECK(redis.offset() == 14);
  SyncWatch nothing;
  nothing.take("", 0);
  CHECK(nothing.phase() == Phase::Alone);
}
