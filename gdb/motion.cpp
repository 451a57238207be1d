#include "gdb/motion.h"

#include <algorithm>
#include <set>

#include "gdb/agent.h"
#include "gdb/memory.h"

namespace hindcast::gdb {
namespace {

bool is_watch(PointKind kind) { return kind >= PointKind::Write; }

/// Whether the access changed one of the bytes [base, base + size).
bool changes(const AddressSpace::WatchHit& hit, GuestAddr base, u64 size) {
  for (unsigned i = 0; i < std::min(hit.size, 8u); ++i) {
    const u64 old_byte = hit.old_value >> (8 * i) & 0xff, new_byte = hit.new_value >> (8 * i) & 0xff;
    if (hit.address + i - base < size && old_byte != new_byte) return true;
  }
  return hit.size > 8;  // more than is known
}

bool overlaps(const AddressSpace::WatchHit& hit, GuestAddr base, u64 size) {
  return hit.address - base < size || base - hit.address < hit.size;
}

/// Whether the page tables let the instruction at the vCPU's pc be fetched. If not, what happens there is a
/// fault, and gdb could not go on from a stop: it wants to read the instruction.
bool can_fetch(Vcpu& vcpu) {
  const Architecture& arch = vcpu.arch();
  return !arch.fetch_mapped(arch.context(vcpu)) ||
         arch.probe(vcpu, vcpu.pc(), arch.insn_alignment(), Access::Execute).ok;
}

/// What agent expressions see of the guest.
class VcpuWorld final : public AgentWorld {
 public:
  VcpuWorld(Vcpu& vcpu, const RegisterMap& registers, const Variables& variables)
      : vcpu_(vcpu), registers_(registers), variables_(variables) {}

  std::optional<u64> memory(GuestAddr va, unsigned size) override {
    const std::string bytes = read_memory(vcpu_, Space::Virtual, va, size);
    if (bytes.size() != size) return std::nullopt;
    return guest_value(vcpu_.arch(), bytes);
  }
  std::optional<u64> reg(unsigned number) override {
    const auto row = registers_.row(number);
    if (!row) return std::nullopt;
    return vcpu_.arch().read_register(vcpu_, *row);
  }
  unsigned word_bits() const override {
    return ir::bits_of(vcpu_.arch().registers()[vcpu_.arch().pc_register()].type);
  }
  std::optional<u64> variable(unsigned number) override {
    const auto found = variables_.find(number);
    return found == variables_.end() ? std::nullopt : std::optional(found->second);
  }
  bool set_variable(unsigned number, u64 value) override {
    if (writable == nullptr || !writable->contains(number)) return false;
    (*writable)[number] = value;
    return true;
  }
  bool print(const std::string& text) override {
    if (printer != nullptr && *printer) (*printer)(text);
    return printer != nullptr;
  }

  Variables* writable = nullptr;
  const std::function<void(const std::string&)>* printer = nullptr;

 private:
  Vcpu& vcpu_;
  const RegisterMap& registers_;
  const Variables& variables_;
};

/// Sets a flag while it lives.
struct While {
  explicit While(bool& f) : flag(f) { flag = true; }
  ~While() { flag = false; }
  bool& flag;
};

}  // namespace

std::size_t Point::expression_bytes() const {
  std::size_t sum = 0;
  for (const auto* list : {&conditions, &commands})
    for (const Bytes& code : *list) sum += code.size();
  return sum;
}

Motion::Motion(replay::Navigator& navigator, const RegisterMap& registers)
    : navigator_(navigator), registers_(registers) {
  navigator_.set_filter(
      [this](Machine& machine, const replay::NavStop& stop) { return counts(machine, stop); });
}

bool Motion::insert(Point point) {
  GuestAddr physical = 0;
  Machine& machine = navigator_.machine();
  if (is_watch(point.kind) &&
      (point.size == 0 || point.size > kMaxWatchBytes || point.address + point.size < point.address ||
       !machine.arch().debug_translate(machine.current(), point.address, &physical)))
    return false;
  remove(point.kind, point.address, point.size);
  std::size_t bytes = point.expression_bytes();
  for (const Point& other : points_) bytes += other.expression_bytes();
  if (points_.size() >= kMaxPoints || bytes > kMaxExpressionBytes) return false;
  points_.push_back(std::move(point));
  return true;
}

void Motion::remove(PointKind kind, GuestAddr address, u64 size) {
  std::erase_if(points_, [&](const Point& point) {
    return point.kind == kind && point.address == address && point.size == size;
  });
  changed_ = true;
}

void Motion::clear() {
  points_.clear();
  changed_ = true;
}

void Motion::prepare() {
  resumed_at_.clear();
  interrupted_ = false;
  set_points();
}

namespace {

/// Where the bytes at a virtual address are, as the running vCPU sees it, or else another: one that is in its
/// firmware does not know the kernel's addresses.
bool find_bytes(Machine& machine, GuestAddr address, GuestAddr* physical) {
  const unsigned n = machine.vcpu_count(), first = machine.current().index();
  for (unsigned k = 0; k < n; ++k)
    if (machine.arch().debug_translate(machine.vcpu((first + k) % n), address, physical) &&
        !machine.memory().name_at(*physical).empty())
      return true;
  return false;
}

}  // namespace

void Motion::set_points() {
  if (!changed_) return;
  changed_ = false;
  Machine& machine = navigator_.machine();
  std::set<GuestAddr> pcs;
  std::vector<AddressSpace::Watch> watches;
  watched_.clear();
  for (const Point& point : points_) {
    GuestAddr physical = 0;
    if (!is_watch(point.kind)) {
      pcs.insert(point.address);
    } else if (find_bytes(machine, point.address, &physical)) {
      watches.push_back(
          {physical, point.size, point.kind != PointKind::Write, point.kind != PointKind::Read});
      watched_.push_back({&point, physical});
    }
  }
  navigator_.set_breakpoints(std::move(pcs));
  navigator_.set_watches(std::move(watches));
}

replay::NavStop Motion::move(const std::function<replay::NavStop()>& make) {
  for (;;) {
    const replay::NavStop stop = make();
    const bool late = stop.kind == replay::NavStop::Kind::Interrupted && !interrupted_;
    const bool unwatched =
        stop.kind == replay::NavStop::Kind::Watchpoint && !counts(navigator_.machine(), stop);
    if (!late && !unwatched) return stop;
  }
}

replay::NavStop Motion::seek(Icount icount) {
  interrupted_ = false;
  return move([&] { return navigator_.seek(icount); });
}

void Motion::return_to(Icount icount) {
  while (navigator_.seek(icount).kind == replay::NavStop::Kind::Interrupted) {
  }
}

template <typename Search>
void Motion::from_here(const Search& search) {
  const Icount origin = navigator_.position();
  try {
    search();
  } catch (...) {
    try {
      return_to(origin);
    } catch (const std::exception&) {
      // What went wrong first is what the user hears of.
    }
    throw;
  }
  return_to(origin);
}

const Motion::Watched* Motion::touched(const replay::NavStop& stop) const {
  const AddressSpace::WatchHit& hit = *stop.watch;
  Machine& machine = navigator_.machine();
  for (const Watched& watched : watched_) {
    const PointKind kind = watched.point->kind;
    const u64 size = watched.point->size;
    if (!overlaps(hit, watched.physical, size)) continue;
    const bool right_kind =
        kind == PointKind::Access || (kind == PointKind::Read && !hit.store) ||
        // What a device does with a store is not known here.
        (kind == PointKind::Write && hit.store &&
         (changes(hit, watched.physical, size) || machine.memory().peek(hit.address, 1) == nullptr));
    if (right_kind && holds(*watched.point, machine.vcpu(stop.vcpu))) return &watched;
  }
  return nullptr;
}

bool Motion::counts(Machine& machine, const replay::NavStop& stop) const {
  if (any_store_) return true;
  if (stop.kind == replay::NavStop::Kind::Watchpoint) return !stop.watch || touched(stop) != nullptr;
  if (stop.kind != replay::NavStop::Kind::Breakpoint) return true;
  Vcpu& vcpu = machine.vcpu(stop.vcpu);
  if (!can_fetch(vcpu)) return false;
  bool found = false;
  for (const Point& point : points_) {
    if (is_watch(point.kind) || point.address != vcpu.pc()) continue;
    found = true;
    // gdb steps by a breakpoint on the next instruction, and sets none where one is already: that one's
    // condition does not matter then. gdb asks it again in any case.
    if (!first_since_resumed(vcpu) && !holds(point, vcpu)) continue;
    if (point.commands.empty()) return true;
    if (forwards_) run_commands(point, vcpu);
  }
  return !found;
}

bool Motion::first_since_resumed(const Vcpu& vcpu) const {
  return vcpu.index() < resumed_at_.size() && vcpu.executed() == resumed_at_[vcpu.index()] + 1;
}

bool Motion::holds(const Point& point, Vcpu& vcpu) const {
  if (point.conditions.empty()) return true;
  VcpuWorld world(vcpu, registers_, variables_);
  // gdb looks for itself when the answer is not known.
  return std::any_of(point.conditions.begin(), point.conditions.end(),
                     [&](const Bytes& condition) { return evaluate(condition, world).value_or(1) != 0; });
}

void Motion::run_commands(const Point& point, Vcpu& vcpu) const {
  VcpuWorld world(vcpu, registers_, variables_);
  world.printer = &print_;
  for (const Bytes& command : point.commands)
    if (!execute(command, world)) world.print("hindcast: a command of a breakpoint cannot be executed\n");
}

void Motion::act(const std::vector<Bytes>& actions, Vcpu& vcpu) {
  VcpuWorld world(vcpu, registers_, variables_);
  world.writable = &variables_;
  for (const Bytes& action : actions) execute(action, world);
}

Outcome Motion::finish(const replay::NavStop& stop, bool forwards) {
  Outcome outcome;
  outcome.stop = stop;
  if (stop.kind == replay::NavStop::Kind::Breakpoint) {
    const GuestAddr pc = navigator_.machine().vcpu(stop.vcpu).pc();
    outcome.point = PointKind::Hardware;
    for (const Point& point : points_)
      if (point.kind == PointKind::Software && point.address == pc) outcome.point = PointKind::Software;
  } else if (stop.kind == replay::NavStop::Kind::Watchpoint && stop.watch) {
    const Watched* watched = touched(stop);
    if (watched == nullptr) return outcome;
    outcome.point = watched->point->kind;
    const GuestAddr first = std::max(stop.watch->address, watched->physical);
    outcome.address = watched->point->address + (first - watched->physical);
    // The navigator stands after the access. gdb compares the value with the last one it has seen: where it
    // does not step over the access itself, it must stand on the other side of it.
    if (forwards == navigator_.machine().arch().gdb_watch_traps_before())
      return_to(navigator_.position() - 1);
  }
  return outcome;
}

Outcome Motion::forward() {
  const While forwards(forwards_);
  prepare();
  Machine& machine = navigator_.machine();
  for (unsigned i = 0; i < machine.vcpu_count(); ++i) resumed_at_.push_back(machine.vcpu(i).executed());
  const replay::NavStop stop = move([&] { return navigator_.run(); });
  resumed_at_.clear();
  return finish(stop, true);
}

replay::NavStop Motion::one_step(unsigned vcpu) {
  return move([&] {
    replay::NavStop stop = navigator_.step(vcpu);
    // The step is done, unless it was the access of another vCPU.
    if (stop.kind == replay::NavStop::Kind::Watchpoint && stop.vcpu == vcpu &&
        !counts(navigator_.machine(), stop))
      stop.kind = replay::NavStop::Kind::Arrived;
    return stop;
  });
}

Outcome Motion::step(unsigned vcpu) {
  const While forwards(forwards_);
  prepare();
  return finish(one_step(vcpu), true);
}

Outcome Motion::step_range(unsigned vcpu, GuestAddr start, GuestAddr end) {
  const While forwards(forwards_);
  prepare();
  for (;;) {
    replay::NavStop stop = one_step(vcpu);
    if (stop.kind == replay::NavStop::Kind::Arrived && interrupted_)
      stop.kind = replay::NavStop::Kind::Interrupted;
    if (stop.kind != replay::NavStop::Kind::Arrived ||
        navigator_.machine().vcpu(vcpu).pc() - start >= end - start)
      return finish(stop, true);
  }
}

replay::NavStop Motion::run_back() {
  // An access by the very last instruction has left the cursor where it is, and going back undoes it first.
  bool access_here = true;
  return move([&] {
    const replay::NavStop stop = navigator_.run_back(access_here);
    // It did not count: it is passed over.
    if (stop.kind == replay::NavStop::Kind::Watchpoint) access_here = false;
    return stop;
  });
}

Outcome Motion::back() {
  prepare();
  return finish(run_back(), false);
}

Outcome Motion::step_back(unsigned vcpu) {
  prepare();
  return finish(move([&] { return navigator_.step_back(vcpu); }), false);
}

std::optional<Store> Motion::last_store(Vcpu& vcpu, GuestAddr va, u64 size) {
  GuestAddr physical = 0;
  if (size == 0 || size > kMaxWatchBytes || !vcpu.arch().debug_translate(vcpu, va, &physical))
    return std::nullopt;
  interrupted_ = false;
  std::optional<Store> found;
  from_here([&] {
    changed_ = true;
    navigator_.set_breakpoints({});
    navigator_.set_watches({{physical, size, false, true}});
    replay::NavStop stop;
    {
      const While any_store(any_store_);
      stop = run_back();
    }
    if (stop.kind != replay::NavStop::Kind::Watchpoint || !stop.watch) return;
    return_to(navigator_.position() - 1);
    found = {navigator_.position(), stop.vcpu, navigator_.machine().vcpu(stop.vcpu).pc(), *stop.watch};
  });
  return found;
}

bool Motion::every_hit(std::vector<Point> points, const std::function<bool(const replay::NavStop&)>& fn) {
  /// Other points are there while it lives.
  struct Instead {
    Instead(Motion& m, std::vector<Point>& p) : motion(m), points(p) { swap(); }
    ~Instead() { swap(); }
    void swap() {
      std::swap(motion.points_, points);
      motion.watched_.clear();
      motion.changed_ = true;
    }
    Motion& motion;
    std::vector<Point>& points;
  };
  const Icount end = navigator_.end();
  bool whole = false;
  from_here([&] {
    const Instead instead(*this, points);
    prepare();
    return_to(navigator_.begin());
    bool more = true;
    while (more && !interrupted_ && navigator_.position() < end) {
      set_points();  // `fn` may have moved without them
      const replay::NavStop stop = move([&] { return navigator_.run(end); });
      if (stop.kind != replay::NavStop::Kind::Breakpoint) break;
      more = fn(stop);
    }
    whole = !interrupted_;
  });
  return whole;
}

void Motion::without_points() {
  changed_ = true;
  navigator_.set_breakpoints({});
  navigator_.set_watches({});
}

bool Motion::step_silently(unsigned vcpu) {
  without_points();
  return move([&] { return navigator_.step(vcpu); }).kind == replay::NavStop::Kind::Arrived;
}

bool Motion::walk_here(unsigned vcpu, u64 count, const std::function<void(GuestAddr)>& fn) {
  using Kind = replay::NavStop::Kind;
  interrupted_ = false;
  without_points();
  bool whole = false;
  const auto executed = [&] { return navigator_.machine().vcpu(vcpu).executed(); };
  from_here([&] {
    const Icount origin = navigator_.position();
    const u64 done = executed(), first = done - std::min(done, count);
    // Others have run in between: the way to its instructions is longer.
    for (u64 way = count;; way *= 2) {
      const Icount start = origin - std::min(origin - navigator_.begin(), way);
      if (move([&] { return navigator_.seek(start); }).kind == Kind::Interrupted) return;
      if (executed() <= first || start == navigator_.begin()) break;
    }
    if (executed() < first &&
        move([&] { return navigator_.step(vcpu, first - executed()); }).kind != Kind::Arrived)
      return;
    while (executed() < done && !interrupted_) {
      fn(navigator_.machine().vcpu(vcpu).pc());
      if (!step_silently(vcpu)) return;
    }
    whole = executed() >= done;
  });
  fn(navigator_.machine().vcpu(vcpu).pc());
  return whole;
}

void Motion::interrupt() {
  interrupted_ = true;
  navigator_.request_stop();
}

}  // namespace hindcast::gdb
