// Backups as the node runs them: the cut and its digest, the orders it gives, what reports mean.
#include <catch2/catch.hpp>

#include "node_support.h"

using namespace hf;
using namespace hf::test;

namespace {

/// Turns until an order comes out.
node::BackupOrder next_order(NodeDriver& driver) {
  for (int i = 0; i < 50; ++i) {
    driver.turn();
    std::optional<node::BackupOrder> order = driver.effects.backup;
    driver.run_jobs();
    if (order) return *order;
  }
  FAIL("no order was given");
  return {};
}

bool said(const NodeDriver& driver, const std::string& text) {
  for (const std::string& line : driver.lines)
    if (line.find(text) != std::string::npos) return true;
  return false;
}

node::BackupReport good(const node::BackupOrder& order) {
  node::BackupReport report{.id = order.id, .over = true, .bytes_done = 100, .bytes_total = 100};
  report.record = order.record;
  report.record.end = order.record.offset;
  return report;
}

}  // namespace

TEST_CASE(
    "the digest that goes with a backup is that of the state at its cut, whatever is written meanwhile") {
  MemoryFiles disk;
  NodeDriver driver(disk);
  const auto conn = driver.connect();
  for (int i = 0; i < 2000; ++i) driver.send(conn, "SET key:" + std::to_string(i) + " before\r\n");
  driver.settle();
  driver.take(conn);
  const std::string digest = driver.node().digest();
  const LogOffset end = driver.node().log_place().end;
  driver.send(conn, "BACKUP START INTO /backups/a TOKEN secret\r\n");
  driver.turn();
  driver.run_jobs();
  for (int i = 0; i < 2000; ++i) driver.send(conn, "SET key:" + std::to_string(i) + " after\r\n");
  const node::BackupOrder order = next_order(driver);
  CHECK(order.kind == node::BackupOrder::Kind::Copy);
  CHECK(order.folder == "/backups/a");
  CHECK(order.token == "secret");
  CHECK(order.root.empty());
  CHECK(order.record.offset == end);
  CHECK(order.record.digest == digest);
  driver.settle();
  CHECK(driver.node().digest() != digest);
  driver.take(conn);
  CHECK(driver.ask(conn, "BACKUP START INTO /backups/b TOKEN secret").starts_with("-BUSY"));
  CHECK(driver.ask(conn, "BACKUP STATUS").find("copy") != std::string::npos);
  driver.node().backup_report(good(order));
  driver.settle();
  CHECK(said(driver, "Backup into /backups/a: "));
  CHECK(driver.ask(conn, "BACKUP STATUS").find("done") != std::string::npos);
  CHECK(driver.ask(conn, "INFO persistence").find("backup_last_bytes:100\r\n") != std::string::npos);
}

TEST_CASE("a folder that is not the configured one needs a token, and no folder needs backup-dir") {
  MemoryFiles disk;
  NodeDriver driver(disk);
  const auto conn = driver.connect();
  CHECK(driver.ask(conn, "BACKUP START").find("backup-dir is not set") != std::string::npos);
  CHECK(driver.ask(conn, "BACKUP START INTO /backups/a").starts_with("-ERR syntax"));
  CHECK(driver.ask(conn, "BACKUP START INTO a TOKEN t").find("absolute path") != std::string::npos);
  CHECK(driver.ask(conn, "CONFIG SET backup-dir /backups").find("protected config") != std::string::npos);
}

TEST_CASE("a failed backup is said, shown and tried again, and the node goes on") {
  MemoryFiles disk;
  config::Options options;
  options.backup_dir = "/backups";
  NodeDriver driver(disk, options);
  const auto conn = driver.connect();
  driver.ask(conn, "SET a 1");
  driver.pass_ms(1100);
  const node::BackupOrder look = next_order(driver);
  CHECK(look.kind == node::BackupOrder::Kind::Look);
  CHECK(look.root == "/backups");
  driver.node().backup_report({.id = look.id, .over = true});
  driver.pass_ms(1100);
  const node::BackupOrder first = next_order(driver);
  CHECK(first.kind == node::BackupOrder::Kind::Copy);
  CHECK(log::is_backup_folder_name(first.folder));
  driver.node().backup_report({.id = first.id, .over = true, .error = "the disk is full"});
  driver.settle();
  CHECK(said(driver, "failed: the disk is full"));
  CHECK(driver.ask(conn, "INFO persistence").find("backup_last_status:err\r\n") != std::string::npos);
  CHECK(driver.ask(conn, "SET a 2") == "+OK\r\n");
  driver.pass_ms(60'000);
  driver.settle();
  CHECK_FALSE(driver.effects.backup);
  driver.pass_ms(300'000);
  CHECK(next_order(driver).kind == node::BackupOrder::Kind::Copy);
}

TEST_CASE(
    "scheduled backups go on in the newest folder, and a full one beyond backup-keep removes the oldest") {
  MemoryFiles disk;
  config::Options options;
  options.backup_dir = "/backups";
  options.backup_keep = 1;
  options.backup_incremental_every = 3600;
  NodeDriver driver(disk, options);
  const std::string old = log::backup_folder_name(driver.wall_ms - 1000);
  driver.pass_ms(1100);
  const node::BackupOrder look = next_order(driver);
  node::BackupReport found{.id = look.id, .over = true};
  found.names = {old};
  found.known = {{old, driver.wall_ms - 2100, driver.wall_ms - 2100, 5}};
  driver.node().backup_report(found);
  driver.pass_ms(3600'000);
  const node::BackupOrder more = next_order(driver);
  CHECK(more.folder == old);
  node::BackupReport report = good(more);
  report.names = found.names;
  report.known = {{old, driver.wall_ms - 3602'000, driver.wall_ms, 5}};
  driver.node().backup_report(report);
  driver.pass_ms(24 * 3600'000);
  const node::BackupOrder full = next_order(driver);
  CHECK(full.folder > old);
  node::BackupReport second = good(full);
  second.names = {old, full.folder};
  second.known = {report.known[0], {full.folder, driver.wall_ms, driver.wall_ms, 5}};
  driver.node().backup_report(second);
  const node::BackupOrder remove = next_order(driver);
  CHECK(remove.kind == node::BackupOrder::Kind::Remove);
  CHECK(remove.remove == std::vector<std::string>{old});
}

TEST_CASE("without a log there is nothing to back up, and the error says so") {
  MemoryFiles disk;
  config::Options options;
  options.appendonly = false;
  NodeDriver driver(disk, options);
  CHECK(driver.ask(driver.connect(), "BACKUP START INTO /b TOKEN t").find("needs appendonly yes") !=
        std::string::npos);
}
