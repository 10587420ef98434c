// holdfast-server: options, data folder, sockets, node, loop; and what the user reads while they come up.
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>

#include "base/version.h"
#include "config/command_line.h"
#include "config/settings.h"
#include "edge/backup_run.h"
#include "edge/data_folder.h"
#include "edge/posix_files.h"
#include "edge/process_host.h"
#include "edge/restore_run.h"
#include "edge/server_loop.h"
#include "edge/toml.h"
#include "edge/verify_run.h"

namespace {

using namespace hf;

constexpr int exit_bad_config = 1;

int complain(const std::string& what) {
  std::fprintf(stderr, "holdfast-server: %s\n", what.c_str());
  return exit_bad_config;
}

/// Defaults, then the file, then the flags.
Result<config::Options> gather_options(const config::CommandLine& line) {
  config::Options options;
  if (!line.file.empty()) {
    const auto text = edge::read_text_file(line.file);
    if (!text) return text.error();
    const auto settings = edge::parse_toml(*text, line.file);
    if (!settings) return settings.error();
    if (Status applied = config::apply(options, *settings); !applied) return applied.error();
  }
  if (Status applied = config::apply(options, line.settings); !applied) return applied.error();
  if (Status sound = config::check(options); !sound) return sound.error();
  return options;
}

/// Every client is a descriptor; the log, the snapshots and the loop need some too.
std::string raise_descriptor_limit(config::Options& options) {
  constexpr rlim_t reserved = 96;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return "";
  const rlim_t wanted = static_cast<rlim_t>(options.maxclients) + reserved;
  if (limit.rlim_cur >= wanted) return "";
  rlimit raised = limit;
  raised.rlim_cur = wanted;
  if (raised.rlim_max < wanted && geteuid() == 0) raised.rlim_max = wanted;
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return "";
  raised.rlim_cur = raised.rlim_max = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &raised);
  if (limit.rlim_max >= wanted) return "";
  options.maxclients = limit.rlim_max > reserved + 1 ? static_cast<int64_t>(limit.rlim_max - reserved) : 1;
  return "maxclients is " + std::to_string(options.maxclients) + ": the system allows " +
         std::to_string(limit.rlim_max) + " open files; raise it with ulimit -n";
}

std::string durability(const config::Options& options) {
  if (!options.appendonly)
    return options.save.empty() && options.snapshot_interval == 0
               ? "memory only: nothing survives a restart"
               : "snapshots only: a crash loses what came after the last one";
  std::string text;
  switch (options.appendfsync) {
    case config::FsyncPolicy::Always: return "a reply means: on disk";
    case config::FsyncPolicy::Everysec:
      text = "a reply means: survives kill -9; on disk within two seconds";
      break;
    case config::FsyncPolicy::No:
      text = "a reply means: survives kill -9; on disk when the system likes";
      break;
  }
  return text + (options.task_sync == config::TaskSync::Always ? " (of a task: on disk)" : "");
}

/// How to call the client from where the user stands, with what it needs to reach us.
std::string client_command(const config::Options& options) {
  namespace fs = std::filesystem;
  std::error_code failed;
  std::string client = "holdfast-cli";
  const fs::path self = fs::read_symlink("/proc/self/exe", failed);
  const fs::path beside = self.parent_path() / client;
  if (!failed && fs::exists(beside, failed)) {
    const fs::path near = fs::proximate(beside, failed);
    client = near.string().starts_with("..") ? beside.string() : near.string();
  }
  if (options.port == 0) return client + " -s " + options.unixsocket;
  return client + (options.port == 6379 ? "" : " -p " + std::to_string(options.port));
}

void greet(edge::LogSink& log, const config::Options& options, const edge::ServerLoop& loop,
           const std::string& folder) {
  std::string where;
  for (const std::string& name : loop.listening_on()) where += (where.empty() ? "" : ", ") + name;
  if (!log.for_people()) {
    log.write(node::LogLevel::Notice, "Holdfast " + std::string(holdfast_version) + " listens on " + where +
                                          ", data in " + folder + "; " + durability(options));
    return;
  }
  const char* strong = log.colours() ? "\x1b[1m" : "";
  const char* plain = log.colours() ? "\x1b[0m" : "";
  const std::string client = client_command(options);
  std::printf("\n  %sHoldfast %s%s\n\n", strong, holdfast_version, plain);
  std::printf("  listens   %s\n", where.c_str());
  std::printf("  data      %s\n", folder.c_str());
  std::printf("  durable   %s\n", durability(options).c_str());
  if (!options.replicaof.empty()) {  // it takes no writes
    std::printf("  follows   %s\n", options.replicaof.c_str());
    std::printf("  try       %s%s follow%s\n\n", strong, client.c_str(), plain);
    std::fflush(stdout);
    return;
  }
  std::printf("  try       %s%s set greeting hello%s\n", strong, client.c_str(), plain);
  std::printf("            %s%s run --task first -- sleep 3%s\n\n", strong, client.c_str(), plain);
  std::fflush(stdout);
}

int serve(const config::CommandLine& line, config::Options options) {
  const std::string lowered = raise_descriptor_limit(options);
  edge::LogSink log;
  if (Status opened = log.open(options.logfile, options.log_format); !opened)
    return complain(opened.error().message);
  log.set_level(options.loglevel);
  auto folder = edge::DataFolder::open(options.dir);
  if (!folder) return complain(folder.error().message);

  edge::PosixFiles files(folder->path());
  edge::ProcessHost host(line.file, static_cast<int>(options.port));
  node::ServerNode node({options, edge::random_seed(), &files, &host});
  edge::ServerLoop loop(node, log, folder->path());
  if (Status listening = loop.listen(options); !listening) return complain(listening.error().message);
  greet(log, options, loop, folder->path());
  for (const std::string& warning : {lowered, folder->warning()})
    if (!warning.empty()) log.write(node::LogLevel::Warning, warning);
  if (geteuid() == 0)
    log.write(node::LogLevel::Warning, "Running as root: whoever takes over this server owns the machine");
  const int code = loop.run();
  log.write(node::LogLevel::Notice, code == 0 ? "Bye" : "Ending with exit code " + std::to_string(code));
  return code;
}

/// libuv aborts without a word when an allocation of its own gets nothing (where it watches a descriptor, for
/// one). abort() goes on when this returns.
void say_aborted(int) {
  constexpr char words[] =
      "Ended by abort(). The lines above say why; where there are none, memory ran out: see `ulimit -v`, the "
      "limits of the cgroup, maxmemory.\n";
  [[maybe_unused]] const ssize_t said = write(STDERR_FILENO, words, sizeof words - 1);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGABRT, say_aborted);
  const auto line = config::parse_command_line(std::vector<std::string>(argv + 1, argv + argc));
  if (!line) return complain(line.error().message);
  using Mode = config::CommandLine::Mode;
  switch (line->mode) {
    case Mode::Help: std::fputs(config::help().c_str(), stdout); return 0;
    case Mode::Version: std::printf("holdfast-server %s\n", holdfast_version); return 0;
    case Mode::PrintConfig: std::fputs(config::default_file().c_str(), stdout); return 0;
    case Mode::CheckConfig:
    case Mode::Restore:
    case Mode::Backup:
    case Mode::Verify:
    case Mode::Serve: break;
  }
  auto options = gather_options(*line);
  if (!options) return complain(options.error().message);
  if (line->mode == Mode::CheckConfig) {
    std::printf("%s: no mistakes found\n", line->file.empty() ? "options" : line->file.c_str());
    return 0;
  }
  if (line->mode == Mode::Restore) {
    const auto point = log::parse_restore_point(line->restore_to);
    if (!point) return complain("--restore-to: " + point.error().message);
    return edge::restore_into(*options, *point, line->into);
  }
  if (line->mode == Mode::Backup) return edge::backup_to(options->dir, line->backup_to);
  if (line->mode == Mode::Verify) return edge::verify_backup(*options, line->verify);
  return serve(*line, *options);
}
