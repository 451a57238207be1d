#include "replay/session.h"

#include "replay/console.h"
#include "replay/interrupts.h"
#include "replay/live_driver.h"
#include "replay/live_port.h"
#include "replay/meta.h"
#include "replay/network_lines.h"
#include "replay/pcap.h"

namespace hindcast::replay {
namespace {

RunResult drive(MachineConfig& config, const HostOptions& host, LivePort& port, Recorder* recorder) {
  std::unique_ptr<Machine> machine;
  Interrupts interrupts;  // ends before the machine, which a signal would stop
  machine = Registry::instance().build(config, host.engine, port);
  port.bind(machine.get());
  // First: a network or console that cannot be opened leaves no recording behind.
  PcapWriter pcap(host.pcap);
  pcap.watch(port);
  std::vector<std::shared_ptr<Network>> networks = open_networks(host);
  const Consoles consoles = open_consoles(host, config.semihosting, interrupts.fd());
  // Likewise an observer that refuses; what it has to say at the end comes after the recording was closed.
  const Observation observation(host.observer, *machine, true);
  if (recorder != nullptr) recorder->start(encode_meta(config), config);
  interrupts.watch(machine.get());
  RunResult result =
      LiveDriver(*machine, port, {consoles, std::move(networks)}, interrupts, host, recorder).run();
  interrupts.watch(nullptr);
  // Only now: whatever was recorded has been closed properly.
  consoles.check();
  pcap.finish();
  return result;
}

HostServices services_of(const HostOptions& host) {
  HostServices services = host.services;
  add_default_services(services);
  return services;
}

}  // namespace

int RunResult::status() const {
  switch (kind) {
    // A host's status has eight bits: what is left of a failure must not look like success.
    case StopKind::GuestExit: return exit_code != 0 && (exit_code & 0xff) == 0 ? 255 : exit_code & 0xff;
    case StopKind::Interrupted: return signal == 0 ? 0 : 128 + signal;
    case StopKind::MaxIcount:
    case StopKind::WaitsForever:
    case StopKind::CutShort:
    case StopKind::OutputFailed: break;
  }
  return 124;
}

RunResult run_live(MachineConfig config, const HostOptions& host) {
  ensure_standard_fds();
  LivePort port(services_of(host));
  return drive(config, host, port, nullptr);
}

RunResult record(MachineConfig config, const HostOptions& host, const RecordOptions& options) {
  ensure_standard_fds();
  if (options.checkpoints == RecordOptions::Checkpoints::Every && options.checkpoint_every == 0)
    throw Fatal("--checkpoints every=N: N must be at least 1");
  Recorder recorder(options);
  RecordingPort port(services_of(host), recorder);
  return drive(config, host, port, &recorder);
}

}  // namespace hindcast::replay
