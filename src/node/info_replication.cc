// INFO replication: Redis's fields, and ours beside them.
#include <algorithm>

#include "node/info_section.h"
#include "node/inside.h"

namespace hf::node {

void ServerNode::Impl::info_replication(std::string& out) {
  Section s(out, "Replication");
  const std::string none(40, '0');
  const bool primary = !follows();
  s.text("role", primary ? "master" : "slave");
  if (!primary) {
    const bool up = upstream_.up();
    s.text("master_host", upstream_.address().host).number("master_port", int64_t{upstream_.address().port});
    s.text("master_link_status", up ? "up" : "down");
    const bool heard = upstream_.last_heard_us() > 0;
    s.number("master_last_io_seconds_ago",
             heard ? (now_.mono_us - upstream_.last_heard_us()) / 1'000'000 : int64_t{-1});
    s.number("master_sync_in_progress", int64_t{upstream_.syncing() || !persistence_.serving()});
    // Of a Redis followed, in its own count: to be compared with its master_repl_offset.
    const uint64_t place = foreign_place_.known() ? foreign_place_.offset : persistence_.visible_end();
    s.number("slave_read_repl_offset", place).number("slave_repl_offset", place);
    if (upstream_.syncing()) {
      const Upstream::Transfer t = upstream_.transfer();
      s.number("master_sync_total_bytes", t.total).number("master_sync_read_bytes", t.read);
      s.number("master_sync_left_bytes", t.total - t.read);
      s.format("master_sync_perc", "%.2f",
               t.total == 0 ? 0.0 : 100.0 * static_cast<double>(t.read) / static_cast<double>(t.total));
    }
    if (!up) {
      s.number("master_link_down_since_seconds", upstream_.down_since_us() > 0
                                                     ? (now_.mono_us - upstream_.down_since_us()) / 1'000'000
                                                     : int64_t{-1});
      if (!upstream_.last_error().empty()) s.text("master_link_last_error", upstream_.last_error());
      s.number("master_link_attempts", int64_t{upstream_.failures()});
    }
    const Follower::Progress p = progress();
    s.number("replica_received_offset", p.received.value).number("replica_synced_offset", p.synced.value);
    s.number("replica_applied_offset", p.applied.value);
    s.number("replica_lag_bytes",
             std::max(upstream_.last_heartbeat().end, p.received).value - p.received.value);
    s.number("slave_priority", options_.replica_priority).number("slave_read_only", int64_t{1});
    s.number("replica_announced", int64_t{1});
  }
  const auto list = replicas_.describe(now_);
  s.number("connected_slaves", uint64_t{list.size()});
  if (options_.min_replicas_to_write > 0)
    s.number("min_slaves_good_slaves",
             uint64_t{replicas_.healthy(now_, options_.min_replicas_max_lag * 1000)});
  const command::AuditState audit = audit_state();
  size_t i = 0;
  for (const Replicas::Description& d : list) {
    const std::string finding = i < audit.replicas.size() ? audit.replicas[i].finding : "none";
    const uint64_t offset = persistence_.visible_end() - std::min(persistence_.visible_end(), d.lag_bytes);
    s.text("slave" + std::to_string(i++),
           "ip=" + d.host + ",port=" + std::to_string(d.port) + ",state=" + d.state +
               ",offset=" + std::to_string(offset) + ",lag=" + std::to_string(d.ack_age_ms / 1000) +
               ",lag_bytes=" + std::to_string(d.lag_bytes) + ",lag_ms=" + std::to_string(d.lag_ms) +
               ",received=" + std::to_string(d.received.value) + ",synced=" + std::to_string(d.synced.value) +
               ",applied=" + std::to_string(d.applied.value) +
               ",protocol=" + (d.native ? "holdfast" : "redis") + ",audit=" + finding);
  }
  s.number("replica_links_max", uint64_t{replicas_.links_max()});
  s.number("replica_links_refused", replicas_.links_refused());
  info_audit(s, audit);
  if (replicas_.tasks_left_out() > 0) s.number("replication_tasks_left_out", replicas_.tasks_left_out());
  constexpr const char* states[] = {"no-failover", "waiting-for-sync", "failover-in-progress"};
  s.text("master_failover_state", states[static_cast<size_t>(switchover_.state())]);
  if (switchover_.done() + switchover_.given_up() > 0) {
    s.number("failovers_done", switchover_.done()).number("failovers_given_up", switchover_.given_up());
    s.number("failover_last_pause_us", switchover_.last_pause_us());
    if (!switchover_.last_error().empty()) s.text("failover_last_error", switchover_.last_error());
  }
  if (persistence_.rescued().files > 0)
    s.number("rescued_tails", persistence_.rescued().files).text("rescued_last", persistence_.rescued().last);
  s.text("write_concern", quorum() ? "quorum" : "async");
  if (quorum()) s.number("commit_offset", commit_.value).number("min_copies", options_.min_copies);
  const replication::Holding held = persistence_.holding();
  const auto& reigns = held.history.reigns();
  s.text("master_replid", persistence_.reign_id().empty() ? none : persistence_.reign_id());
  // Both or neither, as Redis says them: after a full sync the record that parts the two reigns is not here.
  const std::optional<uint64_t> parted = persistence_.reign_visible();
  const bool before = reigns.size() > 1 && parted.has_value();
  s.text("master_replid2", before ? reigns[reigns.size() - 2].id : none);
  s.number("master_repl_offset", persistence_.visible_end());
  // The first byte that the reign before did not write, counted from 1: who asks for that has all of it.
  s.number("second_repl_offset", before ? static_cast<int64_t>(*parted + 1) : int64_t{-1});
  s.number("repl_backlog_active", int64_t{persistence_.writer() != nullptr});
  s.number("repl_backlog_size", options_.log_keep_bytes);
  s.number("repl_backlog_first_byte_offset", held.begin.value);
  s.number("repl_backlog_histlen", held.end - held.begin);
}

}  // namespace hf::node
