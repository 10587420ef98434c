// INFO: Redis's sections and field names, so that dashboards and exporters go on working, and ours beside
// them.
#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "base/number.h"
#include "command/table.h"
#include "node/info_section.h"
#include "node/inside.h"

namespace hf::node {

namespace {

bool wanted(const std::vector<std::string>& sections, const char* name, bool by_default) {
  if (sections.empty()) return by_default;
  for (const std::string& section : sections) {
    if (section == name || section == "all" || section == "everything") return true;
    if (section == "default" && by_default) return true;
  }
  return false;
}

double ratio(uint64_t a, uint64_t b) {
  return b == 0 ? 1.0 : static_cast<double>(a) / static_cast<double>(b);
}

}  // namespace

std::string ServerNode::Impl::info(const std::vector<std::string>& sections) {
  std::string out;
  HostFacts facts = host_ != nullptr ? host_->facts() : HostFacts{};
  // What lies ready for entries to come is the allocator's to us, and free to who asks.
  facts.used_memory -= std::min<uint64_t>(facts.used_memory, store_.idle_bytes());
  const Statistics& statistics = executor_.statistics;
  const int64_t uptime_s = (now_.mono_us - started_at_) / 1'000'000;

  if (wanted(sections, "server", true)) {
    Section s(out, "Server");
    s.text("redis_version", command::redis_version)
        .text("redis_git_sha1", "00000000")
        .number("redis_git_dirty", int64_t{0});
    s.text("redis_build_id", facts.build_id)
        .text("redis_mode", "standalone")
        .text("holdfast_version", facts.version);
    s.text("os", facts.os).text("arch_bits", facts.arch).text("monotonic_clock", "POSIX");
    s.text("multiplexing_api", "libuv")
        .text("gcc_version", facts.compiler)
        .number("process_id", facts.process_id);
    s.text("process_supervised", "no").text("run_id", run_id_).number("tcp_port", int64_t{facts.tcp_port});
    s.number("server_time_usec", now_.wall_ms * 1000).number("uptime_in_seconds", uptime_s);
    s.number("uptime_in_days", uptime_s / 86400)
        .number("hz", options_.hz)
        .number("configured_hz", options_.hz);
    s.text("executable", facts.executable)
        .text("config_file", facts.config_file)
        .number("io_threads_active", int64_t{0});
  }
  if (wanted(sections, "clients", true)) {
    Section s(out, "Clients");
    size_t longest_input = 0, longest_output = 0;
    sessions_.for_each([&](Session& session) {
      longest_input = std::max(longest_input, session.input.size());
      longest_output = std::max(longest_output, session.output_bytes());
    });
    s.number("connected_clients", uint64_t{sessions_.size()}).number("cluster_connections", int64_t{0});
    s.number("maxclients", options_.maxclients);
    s.number("client_recent_max_input_buffer", uint64_t{longest_input});
    s.number("client_recent_max_output_buffer", uint64_t{longest_output});
    s.number("blocked_clients", uint64_t{waiters_.size()}).number("tracking_clients", int64_t{0});
    s.number("clients_in_timeout_table", uint64_t{waiters_.size()});
  }
  if (wanted(sections, "memory", true)) {
    Section s(out, "Memory");
    const uint64_t dataset = store_.memory_bytes();
    s.number("used_memory", facts.used_memory).text("used_memory_human", to_human(facts.used_memory));
    s.number("used_memory_rss", facts.resident_memory)
        .text("used_memory_rss_human", to_human(facts.resident_memory));
    s.number("used_memory_peak", facts.used_memory_peak)
        .text("used_memory_peak_human", to_human(facts.used_memory_peak));
    s.number("used_memory_overhead", facts.used_memory > dataset ? facts.used_memory - dataset : 0);
    s.number("used_memory_dataset", dataset);
    s.number("total_system_memory", facts.system_memory)
        .text("total_system_memory_human", to_human(facts.system_memory));
    s.number("allocator_active", facts.allocator_active)
        .number("allocator_resident", facts.allocator_resident);
    s.number("maxmemory", options_.maxmemory)
        .text("maxmemory_human", to_human(static_cast<uint64_t>(options_.maxmemory)));
    s.text("maxmemory_policy", "noeviction");
    s.number("mem_clients_slaves", uint64_t{replicas_.held_bytes()});
    s.number("mem_replication_backlog", uint64_t{replicas_.recent_bytes()});
    s.format("mem_fragmentation_ratio", "%.2f", ratio(facts.resident_memory, facts.used_memory));
    s.text("mem_allocator", facts.allocator);
  }
  if (wanted(sections, "persistence", true)) {
    Section s(out, "Persistence");
    const log::Writer* writer = persistence_.writer();
    const Status last = persistence_.last_snapshot_status();
    s.number("loading", int64_t{loading()}).number("async_loading", int64_t{beside_.loading()});
    s.number("current_cow_size", uint64_t{persistence_.snapshot_copy_bytes()});
    s.number("current_cow_peak", uint64_t{persistence_.snapshot_copy_bytes_peak()});
    const uint64_t keys = persistence_.snapshot_keys_total();
    s.format("current_fork_perc", "%.2f", keys == 0 ? 0.0 : 100 * ratio(persistence_.snapshot_keys(), keys));
    s.number("current_save_keys_total", keys);
    s.number("current_save_keys_processed", persistence_.snapshot_keys());
    s.number("rdb_changes_since_last_save", persistence_.changes_since_save());
    s.number("rdb_bgsave_in_progress", int64_t{persistence_.snapshot_running()});
    s.number("rdb_last_save_time", persistence_.last_save_ms() / 1000);
    s.text("rdb_last_bgsave_status", last.ok() ? "ok" : "err");
    s.number("rdb_last_bgsave_time_sec", persistence_.last_snapshot_seconds());
    s.number("rdb_current_bgsave_time_sec", persistence_.current_snapshot_seconds(now_));
    s.number("rdb_saves", persistence_.snapshots_taken());
    s.number("snapshots_kept", uint64_t{persistence_.snapshots().size()});
    s.number("snapshot_file_bytes", persistence_.snapshot_file_bytes());
    s.number("aof_enabled", int64_t{persistence_.logging()});
    s.number("aof_rewrite_in_progress", int64_t{persistence_.rewriting()})
        .number("aof_rewrite_scheduled", int64_t{0});
    s.text("aof_last_bgrewrite_status", persistence_.last_rewrite_failed() ? "err" : "ok");
    const bool writing = writer == nullptr || writer->health() == log::Health::Good;
    s.text("aof_last_write_status", writing ? "ok" : "err");
    if (writer != nullptr) {
      s.number("aof_current_size", writer->bytes_sealed());
      s.number("aof_buffer_length", uint64_t{writer->unwritten_bytes()});
      s.number("log_end_offset", writer->end().value).number("log_written_offset", writer->written().value);
      s.number("log_synced_offset", writer->synced().value).number("log_epoch", persistence_.epoch().value);
      s.number("log_begin_offset", writer->begin().value);
      s.number("log_segments", uint64_t{writer->manifest().segments.size()});
      if (!writing) s.text("log_last_error", writer->reason());
    }
    s.number("rescue_files", persistence_.rescue_held().files);
    s.number("rescue_bytes", persistence_.rescue_held().bytes);
    s.number("backup_in_progress", int64_t{backups_.running()});
    s.text("backup_last_status", backups_.last_error().empty() ? "ok" : "err");
    s.number("backup_last_time", backups_.last_ms() / 1000)
        .number("backup_last_bytes", backups_.last_bytes());
    s.number("backup_last_milliseconds", backups_.last_milliseconds())
        .number("backups_kept", uint64_t{backups_.kept()});
    if (!backups_.last_error().empty()) s.text("backup_last_error", backups_.last_error());
    if (loading() || beside_.loading()) {
      const Persistence::Progress own = persistence_.progress();
      const Upstream::Transfer beside = upstream_.load_progress();
      const uint64_t total = loading() ? own.total : beside.total, done = loading() ? own.done : beside.read;
      s.number("loading_total_bytes", total).number("loading_loaded_bytes", done);
      s.format("loading_loaded_perc", "%.2f", total == 0 ? 0.0 : 100 * ratio(done, total));
    }
  }
  if (wanted(sections, "stats", true)) {
    Section s(out, "Stats");
    s.number("total_connections_received", statistics.connections);
    s.number("total_commands_processed", statistics.commands);
    s.number("instantaneous_ops_per_sec", ops_per_second_);
    s.number("total_net_input_bytes", statistics.input_bytes);
    s.number("total_net_output_bytes", statistics.output_bytes);
    s.number("rejected_connections", statistics.rejected_connections);
    s.number("closed_in_doubt", statistics.closed_in_doubt);
    s.number("sync_full", replicas_.full_syncs()).number("sync_partial_ok", replicas_.partial_syncs());
    s.number("sync_partial_err", replicas_.partial_refused());
    s.number("expired_keys", counters_.expired_keys).number("evicted_keys", int64_t{0});
    s.number("keyspace_hits", counters_.keyspace_hits).number("keyspace_misses", counters_.keyspace_misses);
    s.number("total_forks", int64_t{0}).number("latest_fork_usec", int64_t{0});
    s.number("total_error_replies", statistics.errors);
    // How long a turn of the loop held it: nobody is served meanwhile.
    s.number("total_turns", turn_times_.turns()).number("longest_turn_us", turn_times_.longest_us());
    s.number("longest_turn_time", turn_times_.longest_at() / 1000);
    s.number("turns_over_1ms", turn_times_.over_limit());
    const auto within = [&](uint64_t thousandths) {
      return static_cast<unsigned long long>(turn_times_.at_most_us(thousandths));
    };
    s.format("turn_percentiles_us", "p50=%llu,p99=%llu,p99.9=%llu", within(500), within(990), within(999));
  }
  if (wanted(sections, "replication", true)) {
    info_replication(out);
  }
  if (wanted(sections, "cpu", true)) {
    Section s(out, "CPU");
    s.format("used_cpu_sys", "%.6f", facts.cpu_system_s).format("used_cpu_user", "%.6f", facts.cpu_user_s);
    s.format("used_cpu_sys_children", "%.6f", facts.cpu_system_children_s);
    s.format("used_cpu_user_children", "%.6f", facts.cpu_user_children_s);
  }
  if (wanted(sections, "modules", true)) Section(out, "Modules");
  if (wanted(sections, "commandstats", false)) {
    Section s(out, "Commandstats");
    for (const command::Spec* row : command::all_commands()) {
      const auto add = [&](const command::Spec& spec, const std::string& name) {
        const auto it = statistics.per_command.find(&spec);
        if (it == statistics.per_command.end()) return;
        s.text("cmdstat_" + name, "calls=" + std::to_string(it->second.calls) +
                                      ",rejected_calls=" + std::to_string(it->second.rejected) +
                                      ",failed_calls=" + std::to_string(it->second.failed));
      };
      add(*row, row->name);
      for (const command::Spec& sub : row->subcommands) add(sub, std::string(row->name) + "|" + sub.name);
    }
  }
  if (wanted(sections, "tasks", true)) {
    Section s(out, "Tasks");
    for (DbIndex db = 0; db < store_.databases(); ++db) {
      const task::QueueStats stats = tasks_.stats(db);
      uint64_t total = 0;
      for (const uint64_t n : stats.by_state) total += n;
      if (total == 0) continue;
      std::string line = "runs=" + std::to_string(total);
      for (size_t i = 0; i < task::state_count; ++i)
        line += "," + to_lower(task::state_name(static_cast<task::State>(i))) + "=" +
                std::to_string(stats.by_state[i]);
      s.text("db" + std::to_string(db), line);
    }
  }
  if (wanted(sections, "cluster", true)) Section(out, "Cluster").number("cluster_enabled", int64_t{0});
  if (wanted(sections, "keyspace", true)) {
    Section s(out, "Keyspace");
    for (DbIndex db = 0; db < store_.databases(); ++db) {
      if (store_.size(db) == 0) continue;
      s.text("db" + std::to_string(db), "keys=" + std::to_string(store_.size(db)) + ",expires=" +
                                            std::to_string(store_.size_with_expiry(db)) + ",avg_ttl=0");
    }
  }
  return out;
}

}  // namespace hf::node
