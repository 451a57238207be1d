// The host's side of the door: who answers what the guest asks, in live and recorded runs. A replay has none
// of these.
#pragma once
#include <functional>
#include <map>
#include <memory>

#include "engine/input_port.h"

namespace hindcast::replay {

/// Answers the requests of one InputKind. Called on the machine's thread, between or inside instructions.
class HostService {
 public:
  virtual ~HostService() = default;
  /// The reply to one request. The request comes from the guest: it is checked, and never a reason to throw.
  /// Throws Fatal only when the host fails so badly that the run cannot go on.
  virtual Bytes serve(ByteView request) = 0;
  /// Whether serving `request` changes something outside (writes a file). Then what led to it is in the
  /// recording first.
  virtual bool has_effects(ByteView request) const = 0;
};

/// By the kind of input they answer. A kind that nobody answers gets empty replies.
using HostServices = std::map<InputKind, std::shared_ptr<HostService>>;

/// Adds the services that need no configuration and are not there yet: Entropy (getrandom) and RealTime
/// (clock_gettime).
void add_default_services(HostServices& services);

/// Makes a service of a function; `effects` says of every request whether it changes something outside.
std::shared_ptr<HostService> make_service(std::function<Bytes(ByteView)> serve,
                                          std::function<bool(ByteView)> effects);

}  // namespace hindcast::replay
