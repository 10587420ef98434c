// libedit does the editing. It has no inline hints, so the arguments still to come stand at the right edge,
// redrawn at every blank typed; Tab completes names, and shows the arguments once the name is whole.
#include "cli/repl.h"

#include <fcntl.h>
#include <histedit.h>
#include <langinfo.h>
#include <sys/stat.h>
#include <unistd.h>

#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/number.h"
#include "cli/client.h"
#include "cli/docs.h"
#include "cli/exit_codes.h"
#include "cli/task_views.h"

namespace hf::cli {

bool keep_in_history(const std::string& line) {
  std::vector<std::string> words;
  if (!split_arguments(line, words) || words.empty()) return false;
  const auto has = [&](Bytes word) {
    for (const std::string& w : words)
      if (equal_nocase(w, word)) return true;
    return false;
  };
  const auto begins = [&](Bytes command) { return equal_nocase(words[0], command); };
  if (begins("AUTH") || (begins("HELLO") && has("AUTH")) ||
      (begins("MIGRATE") && (has("AUTH") || has("AUTH2"))))
    return false;
  if (begins("ACL") && words.size() > 1 && equal_nocase(words[1], "SETUSER")) return false;
  if (!begins("CONFIG")) return true;
  for (const std::string& w : words)
    if (equal_nocase(w, "requirepass") || equal_nocase(w, "masterauth") || equal_nocase(w, "masteruser"))
      return false;
  return true;
}

namespace {

constexpr int kHistoryLines = 2000;

class Repl {
 public:
  explicit Repl(const Options& options) : options_(options), format_(resolve(options.format)) {}

  int run() {
    connection_.on_push = [this](const resp::Value& v) { print_reply(v, format_); };
    if (const Status s = connection_.open(options_.connect); !s)
      std::fprintf(stderr, "%s\n", s.error().message.c_str());
    else learn();
    start_editor();
    listen_for_interrupts();
    for (;;) {
      int count = 0;
      const char* line = el_gets(editor_.get(), &count);
      if (take_interrupt()) {  // Ctrl-C gives the line up, not the session
        std::printf("\n");
        el_reset(editor_.get());
        continue;
      }
      if (line == nullptr || count <= 0) break;
      std::string text(line);  // `count` counts characters in some versions of libedit, bytes in others
      while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
      if (!take(text)) break;
    }
    std::printf("\n");
    return kExitOk;
  }

 private:
  struct EndEditor {
    void operator()(EditLine* e) const { el_end(e); }
  };
  struct EndHistory {
    void operator()(History* h) const { history_end(h); }
  };

  static Repl& self(EditLine* e) {
    void* p = nullptr;
    el_get(e, EL_CLIENTDATA, &p);
    return *static_cast<Repl*>(p);
  }
  static char* prompt(EditLine* e) { return self(e).prompt_.data(); }
  static char* right_prompt(EditLine* e) {
    Repl& r = self(e);
    std::vector<std::string> words;
    r.right_.clear();
    if (split_arguments(r.typed(), words) && !words.empty()) {
      const std::string hint = r.docs_.hint(words);
      if (hint.size() < 60) r.right_ = hint;
      else r.right_ = hint.substr(0, 57) + "...";
    }
    return r.right_.data();
  }
  std::string typed() const {
    const LineInfo* info = el_line(editor_.get());
    return std::string(info->buffer, static_cast<size_t>(info->cursor - info->buffer));
  }

  static unsigned char on_blank(EditLine* e, int) {
    return el_insertstr(e, " ") == 0 ? CC_REFRESH : CC_ERROR;
  }

  static unsigned char on_tab(EditLine* e, int) {
    Repl& r = self(e);
    std::string text = r.typed();
    const bool help = text.size() > 5 && equal_nocase(Bytes(text).substr(0, 5), "help ");
    if (help) text.erase(0, 5);
    const std::vector<std::string> names = r.docs_.complete(text);
    if (names.empty()) {
      std::vector<std::string> words;
      const CommandDoc* doc = split_arguments(text, words) ? r.docs_.find(words) : nullptr;
      if (doc == nullptr) return CC_ERROR;
      std::printf("\n%s %s\n", doc->name.c_str(), doc->syntax.c_str());
      return CC_REDISPLAY;
    }
    std::string common = names[0];
    for (const std::string& name : names) {
      size_t n = 0;
      while (n < common.size() && n < name.size() && common[n] == name[n]) ++n;
      common.resize(n);
    }
    const bool whole = names.size() == 1;
    if (common.size() > text.size() || whole) {
      const bool small = !text.empty() && text.back() >= 'a' && text.back() <= 'z';
      std::string rest = common.substr(text.size());
      if (small) rest = to_lower(rest);
      if (whole) rest += ' ';
      return el_insertstr(e, rest.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
    }
    std::printf("\n");
    for (const std::string& name : names) std::printf("%s  ", name.c_str());
    std::printf("\n");
    return CC_REDISPLAY;
  }

  /// libedit reads characters, and drops what is none in the locale's character set. In UTF-8 every text
  /// comes through byte by byte as it was typed, so that is what we use wherever we are.
  static void use_utf8() {
    if (std::setlocale(LC_CTYPE, "") != nullptr && std::strcmp(::nl_langinfo(CODESET), "UTF-8") == 0) return;
    std::setlocale(LC_CTYPE, "C.UTF-8");
  }

  void start_editor() {
    use_utf8();  // before the history is read
    editor_.reset(el_init("holdfast-cli", stdin, stdout, stderr));
    history_.reset(history_init());
    HistEvent event;
    history(history_.get(), &event, H_SETSIZE, kHistoryLines);
    history(history_.get(), &event, H_SETUNIQUE, 1);
    if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
      history_file_ = std::string(home) + "/.holdfastcli_history";
    if (!history_file_.empty()) history(history_.get(), &event, H_LOAD, history_file_.c_str());
    EditLine* e = editor_.get();
    el_set(e, EL_CLIENTDATA, this);
    el_set(e, EL_EDITOR, "emacs");
    el_set(e, EL_SIGNAL, 1);
    el_set(e, EL_HIST, history, history_.get());
    el_set(e, EL_PROMPT, prompt);
    el_set(e, EL_RPROMPT, right_prompt);
    el_set(e, EL_ADDFN, "hf-tab", "complete or show arguments", on_tab);
    el_set(e, EL_ADDFN, "hf-blank", "insert a blank, show arguments", on_blank);
    el_set(e, EL_BIND, "\t", "hf-tab", nullptr);
    el_set(e, EL_BIND, " ", "hf-blank", nullptr);
    el_set(e, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    el_source(e, nullptr);  // the user's ~/.editrc has the last word
    update_prompt();
  }

  void update_prompt() {
    const Address& shown = connection_.is_open() ? connection_.address() : options_.connect.addresses[0];
    prompt_ = shown.text();
    if (options_.connect.db != 0) prompt_ += "[" + to_text(static_cast<int64_t>(options_.connect.db)) + "]";
    if (!connection_.is_open()) prompt_ = "not connected (" + prompt_ + ")";
    if (in_transaction_) prompt_ += "(TX)";
    prompt_ += "> ";
  }

  void learn() {
    auto v = connection_.ask({"COMMAND", "DOCS"}, 3000);
    if (v && !v->is_error()) docs_ = CommandDocs::from_reply(*v);
  }

  bool take(const std::string& line) {
    std::vector<std::string> words;
    if (keep_in_history(line)) {
      HistEvent event;
      history(history_.get(), &event, H_ENTER, line.c_str());
      save_history();  // now, not at the end: a closed window must not lose it
    }
    if (!split_arguments(line, words)) {
      std::printf("unbalanced quotes: every \" and ' needs its partner, and a blank behind it\n");
      return true;
    }
    if (words.empty()) return true;
    if (equal_nocase(words[0], "quit") || equal_nocase(words[0], "exit")) return false;
    if (equal_nocase(words[0], "help") || words[0] == "?") {
      words.erase(words.begin());
      std::printf("%s", docs_.help(words).c_str());
      return true;
    }
    if (equal_nocase(words[0], "clear") && words.size() == 1) {
      std::printf("\x1b[H\x1b[2J");
      return true;
    }
    if (equal_nocase(words[0], "task")) {  // no command of a server: those are TASK.LIST and so on
      Options view = options_;
      view.words = words;
      view.words[0] = "task";
      task_command(view);
      return true;
    }
    perform(words);
    update_prompt();
    return true;
  }

  bool reconnect() {
    if (const Status s = connection_.open(options_.connect); !s) {
      std::printf("%s\n", s.error().message.c_str());
      return false;
    }
    if (docs_.empty()) learn();
    in_transaction_ = false;
    return true;
  }

  void perform(const std::vector<std::string>& words) {
    if (!connection_.is_open() && !reconnect()) return;
    InterruptGuard guard(connection_);
    auto code = execute(connection_, words, format_);
    if (!code && code.error().code == EINTR) {
      std::printf("given up waiting; the connection was closed with it\n");
      connection_.close();
      reconnect();
      return;
    }
    if (!code) {
      // Not sent again by itself: the server may have done it before the connection broke.
      std::printf("%s\n", code.error().message.c_str());
      if (reconnect()) std::printf("connected again; the command was not repeated\n");
      return;
    }
    if (!connection_.is_open()) reconnect();
    if (*code != kExitOk) return;
    if (equal_nocase(words[0], "SELECT") && words.size() == 2)
      if (const auto n = parse_int(words[1])) options_.connect.db = static_cast<int>(*n);
    if (equal_nocase(words[0], "AUTH") && words.size() >= 2) {
      options_.connect.credentials.user = words.size() > 2 ? words[1] : "";
      options_.connect.credentials.password = words.back();
      if (docs_.empty()) learn();
    }
    if (equal_nocase(words[0], "MULTI")) in_transaction_ = true;
    if (equal_nocase(words[0], "EXEC") || equal_nocase(words[0], "DISCARD") ||
        equal_nocase(words[0], "RESET"))
      in_transaction_ = false;
    if (equal_nocase(words[0], "RESET")) options_.connect.db = 0;
  }

  void save_history() {
    if (history_file_.empty()) return;
    // Made private before a line is in it: commands may hold keys and values nobody else should read.
    const int fd = ::open(history_file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return;
    ::fchmod(fd, 0600);
    ::close(fd);
    HistEvent event;
    history(history_.get(), &event, H_SAVE, history_file_.c_str());
  }

  Options options_;
  Format format_;
  Connection connection_;
  CommandDocs docs_;
  std::unique_ptr<EditLine, EndEditor> editor_;
  std::unique_ptr<History, EndHistory> history_;
  std::string history_file_, prompt_, right_;
  bool in_transaction_ = false;
};

}  // namespace

int run_repl(const Options& options) {
  ::signal(SIGPIPE, SIG_IGN);
  return Repl(options).run();
}

}  // namespace hf::cli
