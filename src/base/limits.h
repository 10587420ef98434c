// Every bound that is not an option, in one place.
#pragma once
#include <cstddef>
#include <cstdint>

namespace hf::limits {

// Protocol (Redis 7.2's)
constexpr size_t inline_request_bytes_max = 64 * 1024;
// INT_MAX once authenticated in Redis; ours is bounded by the query buffer.
constexpr int64_t request_args_max = 1024 * 1024;
constexpr int64_t unauthenticated_args_max = 10;
constexpr int64_t unauthenticated_bulk_bytes_max = 16 * 1024;
constexpr int64_t bulk_bytes_max_default = 512ll * 1024 * 1024;
constexpr size_t query_buffer_bytes_max_default = 1024ull * 1024 * 1024;

// Turn of the loop
constexpr size_t commands_per_session_turn_max = 1024;
constexpr size_t read_chunk_bytes = 16 * 1024;
/// Replies made for one session in one turn: others come to their turn after about this much.
constexpr size_t session_output_turn_bytes = 1024 * 1024;
/// A session with more unsent output than this waits until its client has read half of it.
constexpr size_t session_output_pause_bytes = 16 * 1024 * 1024;
// Beside what clients ask for, who wait meanwhile: the counts are such that each stays below half a
// millisecond.
/// Entries and runs freed of what was deleted whole.
constexpr size_t freed_entries_a_turn = 512;
/// Leases, delays, timeouts and the like that are due, and leases given back for claims that were not
/// delivered: some two to four microseconds each.
constexpr size_t due_tasks_a_turn = 128;
constexpr size_t expired_keys_a_turn = 256;
constexpr size_t swept_buckets_a_turn = 512;
/// A batch of the log waits this long at most for more clients to join it.
constexpr int64_t commit_wait_us_max = 200;

// Replies
constexpr int64_t random_picks_max = 16 * 1024 * 1024;  // HRANDFIELD and its like with a negative count

// Log
constexpr size_t frame_content_bytes_max = 64ull * 1024 * 1024;
constexpr size_t segment_bytes_default = 64ull * 1024 * 1024;
constexpr size_t log_group_bytes_max = 4ull * 1024 * 1024 * 1024;  // a transaction of several frames
constexpr size_t manifest_bytes_max = 64ull * 1024 * 1024;
constexpr size_t history_reigns_max = 1024;

// Snapshot
constexpr size_t snapshot_block_bytes = 256 * 1024;
constexpr size_t snapshot_block_raw_bytes_max = 1024ull * 1024 * 1024;
constexpr size_t snapshot_header_bytes_max = 256 * 1024;
constexpr size_t snapshot_text_bytes_max = 256;  // reason, tag
constexpr size_t snapshot_tables_max = 1024;     // databases whose size the header tells

// Replication
/// What a link to a replica may hold of what it is sent: this, or its share of replica-memory-max.
constexpr size_t replica_window_bytes_max = 1024 * 1024;
/// There are as many links as leave each this share of it (and these few in any case).
constexpr size_t replica_share_bytes_min = 256 * 1024;
constexpr size_t replica_links_min = 8;
constexpr size_t snapshot_piece_bytes_max = 16ull * 1024 * 1024;
constexpr size_t audit_reports_max = 1000;  // of one audit, by replica

// Tasks
constexpr size_t task_name_bytes_max = 512;
constexpr size_t task_note_bytes_max = 256;
constexpr size_t task_tags_max = 32;
constexpr size_t task_tag_bytes_max = 256;
constexpr size_t task_payload_bytes_max = 1024 * 1024;
constexpr size_t task_events_max = 1000;
constexpr size_t task_reason_bytes_max = 1024;
constexpr size_t worker_id_bytes_max = 256;
constexpr size_t task_id_bytes_max = 256;              // UNIQUE, REQ, TRACE, a checkpoint's TAG
constexpr size_t task_meta_bytes_max = 64 * 1024;      // a checkpoint's META
constexpr size_t task_checkpoints_max = 10000;         // versions kept a run, deltas and tagged ones included
constexpr size_t task_runs_max = 10000;                // KEEP
constexpr int64_t task_claim_count_max = 1000;         // COUNT of one CLAIM
constexpr int64_t task_list_count_max = 1000;          // COUNT of one LIST or EVENTS
constexpr int64_t task_delay_ms_max = 10ll * 365 * 24 * 3600 * 1000;  // DELAY, TIMEOUT
constexpr int64_t task_backoff_ms_max = 30ll * 24 * 3600 * 1000;      // fits 32 bits
constexpr size_t queue_name_bytes_max = 256;
constexpr int64_t lease_ms_min = 10;
constexpr int64_t lease_ms_max = 7ll * 24 * 3600 * 1000;

}  // namespace hf::limits
