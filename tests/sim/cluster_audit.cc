// Audits in a cluster's life: whatever happens, none may call two nodes different that are not; and at the
// end, when all is quiet, one replica is made to differ from its log, and has to be found, refused and
// healed.
#include "cluster.h"

namespace hf::sim {
namespace {

constexpr int64_t ms = 1'000;
constexpr int64_t second = 1'000 * ms;
const std::string not_in_the_log = "not in the log";

}  // namespace

/// The ledger knows that equal logs give equal states: who differs, and was not made to, differs by mistake.
void Cluster::hear_audit(Node& node, const std::string& text) {
  const auto has = [&](const char* words) { return text.find(words) != std::string::npos; };
  if (has("data differs from its primary's: audit")) {
    if (!node.planted) broken(node, "an audit calls it different, and it is not: " + text);
    node.found_in_turn = node.turns;
  }
  if (has("An audit can't be made")) broken(node, text);
  if (has("holds other data than this node: audit")) ++audits_differed_;
  if (!text.starts_with("Audit at offset") || !(has(": 1 of 1 ") || has(": 2 of 2 "))) return;
  ++audits_agreed_;
  if (!winding_down_) faults_.add(Fault::AuditAgreed);
}

/// On a connection of its own.
void Cluster::say_to(int number, std::vector<std::string> words) {
  auto person = std::make_unique<Client>();
  person->number = nobody;
  if (!connect(*person, number)) return;
  std::vector<Request> out(1);
  out[0].args = std::move(words);
  send(*person, std::move(out));
  operators_.push_back(std::move(person));
}

/// In the middle of whatever else happens, and mostly where somebody leads.
void Cluster::audit_now_and_then() {
  operators_.push_back(std::make_unique<Client>());
  operators_.back()->number = nobody;
  audit_again(*operators_.back());
}

void Cluster::audit_again(Client& auditor) {
  after(prng_.between(20 * ms, 250 * ms), [this, &auditor] {
    if (winding_down_) return;
    const int at = prng_.chance(4, 5) ? leader_ : some_node().number;
    if (auditor.pipe && auditor.pipe->side[0].open && auditor.at != at) {
      const PipeRef pipe = auditor.pipe;
      pipe->side[0].open = false;
      learn_closed(pipe, 1);
      auditor.pipe.reset();
    }
    const bool linked = auditor.pipe && auditor.pipe->side[0].open;
    if (linked || connect(auditor, at)) {
      std::vector<Request> out(1);
      out[0].args = {"REPLICATION", "AUDIT"};
      if (auditor.pipe->waiting.empty()) send(auditor, std::move(out));
    }
    audit_again(auditor);
  });
}

void Cluster::check_refused(Node& node, const Request& request, const resp::Value& value) {
  if (node.found_in_turn && request.turn > *node.found_in_turn && request.args[0] == "GET" &&
      value.as_text() == not_in_the_log)
    broken(node, "it knows that its data is not its primary's, and shows it");
}

/// Until it has the primary's data, or the connection goes.
void Cluster::read_on(Client& reader, const std::string& key) {
  if (!reader.pipe || !reader.pipe->side[0].open || !nodes_[static_cast<size_t>(reader.at)].planted) return;
  std::vector<Request> out(1);
  out[0].args = {"GET", key};
  send(reader, std::move(out));
  after(5 * ms, [this, &reader, key] { read_on(reader, key); });
}

void Cluster::audit_finds_what_differs() {
  const auto audit = [this](auto self, const std::function<bool()>& over) -> void {
    say_to(leader_, {"REPLICATION", "AUDIT"});  // one may be under way already: it is said again
    after(second, [this, self, over] {
      if (!over()) self(self, over);
    });
  };
  const uint64_t agreed = audits_agreed_;
  const std::function<bool()> all_agree = [this, agreed] { return audits_agreed_ > agreed; };
  audit(audit, all_agree);
  run_until(all_agree, 10 * second,
            [] { return std::string("an audit of a quiet cluster does not end well"); });

  Node& victim =
      nodes_[static_cast<size_t>((leader_ + static_cast<int>(prng_.between(1, 2))) % cluster_nodes)];
  trace([&] { return "n" + std::to_string(victim.number) + " is made to differ"; });
  victim.planted = true;
  // No key of the clients': theirs expire, and the difference would go with them.
  const std::string key = "planted:" + std::to_string(prng_.below(1000));
  say_to(victim.number, {"DEBUG", "PLANT", key, not_in_the_log});
  operators_.push_back(std::make_unique<Client>());
  Client& reader = *operators_.back();
  reader.number = nobody;
  if (connect(reader, victim.number)) read_on(reader, key);
  const uint64_t differed = audits_differed_;
  const std::function<bool()> found = [this, differed] { return audits_differed_ > differed; };
  after(100 * ms, [audit, found] { audit(audit, found); });
  run_until(found, 10 * second, [&] {
    return "n" + std::to_string(victim.number) + " holds other data than its log, and no audit finds it";
  });
  const auto healed = [&] { return !victim.planted && disagreement().empty(); };
  run_until(healed, 10 * second, [&] {
    return "n" + std::to_string(victim.number) + " was found to differ, and is not healed: " + disagreement();
  });
  faults_.add(Fault::DifferenceHealed);
}

}  // namespace hf::sim
