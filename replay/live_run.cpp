#include "replay/live_run.h"

#include <deque>

#include "replay/checkpoint.h"
#include "replay/meta.h"

namespace hindcast::replay {
namespace {

/// While the machine is built, it is told what the first one was told; then the host answers.
class BranchPort final : public RecordingPort {
 public:
  BranchPort(HostServices services, Recorder& recorder, const storage::Reader& from)
      : RecordingPort(std::move(services), recorder), begun_later_(from.begin().has_value()) {
    from.events(0, [&](const storage::EventRecord& event) {
      if (event.icount != 0 || !is_answer(event.kind)) return false;
      told_.push_back(event);
      return true;
    });
  }
  Bytes answer(InputKind kind, Channel channel, ByteView request) override {
    if (machine() != nullptr) return RecordingPort::answer(kind, channel, request);
    if (begun_later_) return {};  // it is not there, and what comes of it is replaced
    if (told_.empty() || told_.front().kind != static_cast<u8>(kind) || told_.front().payload.size() < 4)
      throw Fatal("internal error: the machine asks for something else when it is built again");
    const Bytes payload = std::move(told_.front().payload);
    told_.pop_front();
    return {payload.begin() + 4, payload.end()};
  }

 private:
  bool begun_later_;
  std::deque<storage::EventRecord> told_;
};

HostOptions unwatched(HostOptions host) {
  host.observer = nullptr;
  host.pcap.clear();  // the first run's
  return host;
}

HostServices services_of(const HostOptions& host) {
  HostServices services = host.services;
  add_default_services(services);
  return services;
}

}  // namespace

LiveRun::LiveRun(MachineConfig config, HostOptions host, const RecordOptions& options)
    : host_(std::move(host)),
      pcap_(host_.pcap),
      path_(options.path),
      interrupts_(std::make_shared<Interrupts>()),
      recorder_(options) {
  port_ = std::make_unique<RecordingPort>(services_of(host_), recorder_);
  machine_ = Registry::instance().build(config, host_.engine, *port_);
  port_->bind(machine_.get());
  open_lines(config.semihosting);
  // Likewise an observer that refuses.
  observation_.emplace(host_.observer, *machine_, true);
  recorder_.start(encode_meta(config), config);
  start_driver();
}

LiveRun::LiveRun(PastNavigator& past, HostOptions host, const RecordOptions& options,
                 std::shared_ptr<Interrupts> interrupts)
    : host_(unwatched(std::move(host))),
      pcap_(host_.pcap),
      path_(options.path),
      interrupts_(interrupts ? std::move(interrupts) : std::make_shared<Interrupts>()),
      recorder_(options) {
  MachineConfig config = past.config();
  port_ = std::make_unique<BranchPort>(services_of(host_), recorder_, past.reader());
  machine_ = Registry::instance().build(config, host_.engine, *port_);
  port_->bind(machine_.get());
  past.clone_into(*machine_, *port_);
  port_->find_waiting();
  open_lines(config.semihosting);
  recorder_.start_branch(encode_meta(config), config, past.reader(), machine_->icount(), past.next_event());
  if (machine_->icount() != 0) recorder_.checkpoint(*machine_, *port_);
  start_driver();
}

LiveRun::~LiveRun() { interrupts_->unwatch(machine_.get()); }

/// First: a network or console that cannot be opened leaves no recording behind.
void LiveRun::open_lines(bool semihosting) {
  pcap_.watch(*port_);
  host_.open_networks = open_networks(host_);
  consoles_ = replay::open_consoles(host_, semihosting, interrupts_->fd());
  host_.console = consoles_.serial;
  host_.semihosting = consoles_.semihosting;
  host_.extra = consoles_.extra;
}

void LiveRun::start_driver() {
  driver_ = std::make_unique<LiveDriver>(*machine_, *port_, HostEnds{consoles_, host_.open_networks},
                                         *interrupts_, host_, &recorder_);
  interrupts_->watch(machine_.get());
}

const RunResult& LiveRun::finish(StopKind kind, int signal) {
  if (!result_) {
    result_ = driver_->finish(machine_->exited() ? StopKind::GuestExit : kind, signal);
    observation_.reset();  // what it has to say comes after the recording was closed
  }
  // Only now: whatever was recorded has been closed properly.
  consoles_.check();
  pcap_.finish();
  return *result_;
}

}  // namespace hindcast::replay
