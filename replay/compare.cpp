#include "replay/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "replay/event_cursor.h"
#include "replay/event_format.h"
#include "replay/state_server.h"
#include "replay/state_source.h"
#include "storage/event_store.h"

namespace hindcast::replay {
namespace {

using Json = nlohmann::json;

/// One side's state at an icount.
struct Probe {
  std::string hash;  // empty: it left its recording's path before
  Icount left = kNever;
  std::string why;
};

class Comparison {
 public:
  Comparison(const std::string& path_a, const std::string& path_b, const CompareOptions& options)
      : path_a_(path_a), path_b_(path_b), options_(options) {
    a_ = open_local_source(path_a, options.engine_a);
    b_ = options.other_program.empty() ? open_local_source(path_b, options.engine_b)
                                       : open_program_source(options.other_program, path_b);
  }

  CompareReport run();

 private:
  void find();
  struct Pair {
    Json a, b;
  };
  Pair ask(const std::string& request);
  static Json parse(const std::string& reply);
  static Probe probe_of(const Json& reply);
  bool same(Icount at);
  /// Brackets the difference by the hashes that both recordings hold: [equal, different].
  std::optional<Icount> first_other_input() const;
  void use_inputs();
  void use_grids();
  void narrow_down();
  void describe_instruction();
  void describe_difference();
  void describe_memory(const Json& a, const Json& b);
  void compare_pages(const Json& a, const Json& b);

  std::string path_a_, path_b_;
  const CompareOptions& options_;
  std::unique_ptr<StateSource> a_, b_;
  Icount same_ = 0, differs_ = 0;
  std::map<Icount, bool> known_;
  Probe last_a_, last_b_;
  Icount left_ = kNever;  // the earliest place at which a side was seen to have left its path
  CompareReport report_;
};

Json Comparison::parse(const std::string& reply) {
  Json json = Json::parse(reply, nullptr, false);
  if (!json.is_object()) throw Fatal("compare: a side gives an answer that is not understood");
  if (json.contains("error")) throw Fatal("compare: " + json["error"].dump());
  return json;
}

Comparison::Pair Comparison::ask(const std::string& request) {
  // The other program works while this one does.
  b_->ask(request);
  a_->ask(request);
  const std::string a = a_->finish();
  return {parse(a), parse(b_->finish())};
}

Probe Comparison::probe_of(const Json& reply) {
  Probe out;
  if (reply.contains("left_path")) {
    out.left = reply.at("left_path").get<Icount>();
    out.why = reply.value("why", "");
  } else {
    out.hash = reply.at("hash").get<std::string>();
  }
  return out;
}

bool Comparison::same(Icount at) {
  if (auto it = known_.find(at); it != known_.end()) return it->second;
  const Pair replies = ask(fmt::format("hash {}", at));
  last_a_ = probe_of(replies.a);
  last_b_ = probe_of(replies.b);
  left_ = std::min({left_, last_a_.left, last_b_.left});
  return known_[at] = !last_a_.hash.empty() && last_a_.hash == last_b_.hash;
}

void Comparison::use_grids() {
  std::map<Icount, Bytes> grid;
  const auto each = [](const std::string& path, const std::function<bool(const storage::EventRecord&)>& fn) {
    storage::Reader::open(path)->events(0, [&](const storage::EventRecord& event) {
      return event.kind != kHashGrid || event.payload.size() != 16 || fn(event);
    });
  };
  const auto state = [](const storage::EventRecord& event) {
    return Bytes(event.payload.begin(), event.payload.begin() + 8);
  };
  each(path_a_, [&](const storage::EventRecord& event) { return grid[event.icount] = state(event), true; });
  Icount equal = same_, different = differs_;
  each(path_b_, [&](const storage::EventRecord& event) {
    auto it = grid.find(event.icount);
    if (it == grid.end() || event.icount >= differs_) return true;
    if (it->second != state(event)) return different = event.icount, false;
    return equal = event.icount, true;
  });
  // Those hashes do not cover memory, so they are only where to look.
  for (Icount at : {equal, different}) {
    if (at <= same_ || at >= differs_) continue;
    if (same(at))
      same_ = at;
    else
      differs_ = at;
  }
}

/// The first input that is not the same on both sides. States that differ there may well become the same
/// again, so that the grids and the ends show nothing.
std::optional<Icount> Comparison::first_other_input() const {
  const auto reader_a = storage::Reader::open(path_a_), reader_b = storage::Reader::open(path_b_);
  EventCursor a(*reader_a, same_), b(*reader_b, same_);
  const auto input = [](EventCursor& cursor) {
    const storage::EventRecord* event = cursor.front();
    for (; event != nullptr && event->kind >= kHashGrid; event = cursor.front()) cursor.pop();
    return event;
  };
  for (;; a.pop(), b.pop()) {
    const storage::EventRecord *of_a = input(a), *of_b = input(b);
    if (of_a == nullptr && of_b == nullptr) return std::nullopt;
    if (of_a == nullptr) return of_b->icount;
    if (of_b == nullptr) return of_a->icount;
    if (of_a->icount != of_b->icount || of_a->kind != of_b->kind || of_a->channel != of_b->channel ||
        of_a->payload != of_b->payload)
      return std::min(of_a->icount, of_b->icount);
  }
}

void Comparison::use_inputs() {
  const auto where = first_other_input();
  if (!where) return;
  // It is there before the next instruction, or, as an answer, during it.
  for (Icount at : {*where - 1, *where, *where + 1}) {
    if (*where == 0 || at <= same_ || at >= differs_) continue;
    if (same(at))
      same_ = at;
    else
      differs_ = at;
  }
}

void Comparison::narrow_down() {
  while (differs_ - same_ > 1) {
    const Icount middle = same_ + (differs_ - same_) / 2;
    if (same(middle))
      same_ = middle;
    else
      differs_ = std::clamp(left_, same_ + 1, middle);
  }
}

CompareReport Comparison::run() {
  find();
  const Pair now = ask("hello");
  report_.executed_a = now.a.value("executed", u64{0});
  report_.executed_b = now.b.value("executed", u64{0});
  return report_;
}

void Comparison::find() {
  const Pair hello = ask("hello");
  if (hello.a.value("states", 0) != StateServer::kVersion ||
      hello.b.value("states", 0) != StateServer::kVersion)
    throw Fatal("compare: the other program speaks another version");
  report_.end_a = hello.a.at("end").get<Icount>();
  report_.end_b = hello.b.at("end").get<Icount>();
  const Icount end = std::min(report_.end_a, report_.end_b);
  // Not told by builds whose recordings all begin at power-on.
  const Icount begin = std::max(hello.a.value("begin", Icount{0}), hello.b.value("begin", Icount{0}));
  if (begin > end)
    throw Fatal(
        fmt::format("compare: one recording begins at icount {}, after the other's end at {}", begin, end));
  if (!same(begin)) {
    report_.verdict = CompareReport::Verdict::Differ;
    report_.from_start = true;
    report_.icount = differs_ = begin;
    describe_difference();
    return;
  }
  same_ = begin;
  differs_ = end;
  if (end != begin && options_.other_program.empty() && path_a_ != path_b_) {
    use_inputs();
    if (differs_ == end) use_grids();
  }
  if (differs_ == end && same(end)) {
    report_.verdict =
        report_.end_a == report_.end_b ? CompareReport::Verdict::Same : CompareReport::Verdict::Lengths;
    report_.icount = end;
    return;
  }
  differs_ = std::clamp(left_, same_ + 1, differs_);
  narrow_down();
  report_.verdict = CompareReport::Verdict::Differ;
  report_.icount = same_;
  describe_instruction();
  describe_difference();
}

/// The vCPU that executed between the two places, and what.
void Comparison::describe_instruction() {
  const Pair before = ask(fmt::format("dump {}", same_));
  const Pair after = ask(fmt::format("dump {}", differs_));
  const Json& vcpus = before.a.at("vcpus");
  const Json& later = after.a.contains("vcpus") ? after.a : after.b;
  if (!later.contains("vcpus"))
    throw Fatal(fmt::format("both sides leave the recorded path at icount {}: {}", differs_,
                            after.a.value("why", "")));
  for (std::size_t i = 0; i < vcpus.size(); ++i)
    if (vcpus[i].at("executed") != later.at("vcpus").at(i).at("executed"))
      report_.vcpu = static_cast<unsigned>(i);
  const Json& vcpu = vcpus.at(report_.vcpu);
  report_.pc = std::stoull(vcpu.at("pc").get<std::string>(), nullptr, 16);
  report_.insn = vcpu.at("insn").get<std::string>();
  report_.interrupt = vcpu.at("interrupt_pending").get<bool>();
}

/// The names whose values differ between two objects.
void differences(const Json& a, const Json& b, const std::string& prefix,
                 std::vector<CompareReport::Difference>& out, const std::set<std::string>& except = {}) {
  for (const auto& [name, value] : a.items()) {
    const std::string other = b.contains(name) ? b[name].get<std::string>() : "";
    if (value.get<std::string>() != other && !except.contains(name))
      out.push_back({prefix + name, value.get<std::string>(), other});
  }
  for (const auto& [name, value] : b.items())
    if (!a.contains(name)) out.push_back({prefix + name, "", value.get<std::string>()});
}

void Comparison::describe_difference() {
  const Pair after = ask(fmt::format("dump {}", differs_));
  for (const Json* side : {&after.a, &after.b})
    if (side->contains("left_path")) report_.left_path = side->value("why", "");
  if (report_.left_path.empty()) {
    const Json& a = after.a.at("vcpus");
    const Json& b = after.b.at("vcpus");
    std::set<std::string> shown;  // registers appear among the fields once more
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      const std::string name = fmt::format("vcpu{}.", i);
      differences(a[i].at("registers"), b[i].at("registers"), name, report_.registers);
      for (const auto& [row, value] : a[i].at("registers").items()) shown.insert(name + row);
    }
    differences(after.a.at("fields"), after.b.at("fields"), "", report_.fields, shown);
    describe_memory(after.a.at("memory"), after.b.at("memory"));
  }
  const auto last_input = [&](const std::string& path) {
    std::optional<EventLine> found;
    // Back in growing steps, as the recording may be long.
    for (Icount window = 1 << 16;; window = window > kNever / 16 ? kNever : window * 16) {
      const Icount from = differs_ > window ? differs_ - window : 0;
      events(path, from, differs_, [&](const EventLine& line) {
        if (line.kind != kind_name(kHashGrid) && line.kind != kind_name(kCheckpointRoot)) found = line;
        return true;
      });
      if (found || from == 0) return found;
    }
  };
  report_.input_a = last_input(path_a_);
  report_.input_b = last_input(path_b_);
  const auto arrives = [&](const std::optional<EventLine>& input) {
    return input && input->position.icount == differs_;
  };
  const auto &a = report_.input_a, &b = report_.input_b;
  report_.by_input =
      arrives(a) != arrives(b) ||
      (arrives(a) && (a->kind != b->kind || a->channel != b->channel || a->payload != b->payload));
}

void Comparison::describe_memory(const Json& a, const Json& b) {
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    if (a[i].at("name") == b[i].at("name") && a[i].at("base") == b[i].at("base")) compare_pages(a[i], b[i]);
}

void Comparison::compare_pages(const Json& a, const Json& b) {
  const Json& pages_a = a.at("pages");
  const Json& pages_b = b.at("pages");
  std::set<u64> differing;
  for (const auto& [number, hash] : pages_a.items())
    if (!pages_b.contains(number) || pages_b[number] != hash) differing.insert(std::stoull(number));
  for (const auto& [number, hash] : pages_b.items())
    if (!pages_a.contains(number)) differing.insert(std::stoull(number));
  report_.differing_pages += differing.size();
  for (u64 number : differing) {
    if (report_.words.size() >= options_.max_words) return;
    const GuestAddr base = a.at("base").get<GuestAddr>() + number * storage::kPageSize;
    const Pair content = ask(fmt::format("memory {} {} {}", differs_, base, storage::kPageSize));
    const std::string x = content.a.at("bytes").get<std::string>(),
                      y = content.b.at("bytes").get<std::string>();
    if (x.size() != 2 * storage::kPageSize || y.size() != x.size())
      throw Fatal("compare: a side gives an answer that is not understood");
    const auto word = [](const std::string& text, std::size_t at) {
      return __builtin_bswap64(std::stoull(text.substr(at, 16), nullptr, 16));
    };
    for (std::size_t at = 0; at < x.size() && report_.words.size() < options_.max_words; at += 16)
      if (x.compare(at, 16, y, at, 16) != 0)
        report_.words.push_back({a.at("name").get<std::string>(), base + at / 2, word(x, at), word(y, at)});
  }
}

}  // namespace

CompareReport compare(const std::string& path_a, const std::string& path_b,
                      const CompareOptions& options) try {
  return Comparison(path_a, path_b, options).run();
} catch (const Json::exception&) {
  throw Fatal("compare: a side gives an answer that is not understood");
} catch (const std::logic_error&) {  // a number that is none
  throw Fatal("compare: a side gives an answer that is not understood");
}

}  // namespace hindcast::replay
