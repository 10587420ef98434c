// What the node calls of the task commands beside the rows: the timers' work, and leases nobody received.
#pragma once
#include <cstddef>
#include <span>

#include "command/context.h"
#include "task/tasks.h"

namespace hf::command {

/// Carries out what is due at ctx.now - delays that end, lost leases, timeouts, old final runs - at most
/// `max` of it, in the same way as a command: decided, applied, logged. Returns how many were done;
/// tasks.next_due() then says whether more is waiting. For live, writable nodes only, after the turn's input.
/// Writes no reply.
size_t run_due_tasks(Context& ctx, size_t max);

/// Gives back leases whose CLAIM reply could not be delivered: each run that still runs under that very
/// token, and has not been beaten for, goes back to PENDING, uncounted. Others are left alone. Writes no
/// reply.
void release_undelivered(Context& ctx, std::span<const task::Grant> grants);

}  // namespace hf::command
