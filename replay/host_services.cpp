#include "replay/host_services.h"

#include <sys/random.h>
#include <time.h>

#include <algorithm>
#include <cerrno>

namespace hindcast::replay {
namespace {

/// More than any device asks for at once; a guest cannot make the host allocate more.
constexpr u64 kMaxEntropy = 1u << 20;

class FunctionService final : public HostService {
 public:
  FunctionService(std::function<Bytes(ByteView)> serve, std::function<bool(ByteView)> effects)
      : serve_(std::move(serve)), effects_(std::move(effects)) {}
  Bytes serve(ByteView request) override { return serve_(request); }
  bool has_effects(ByteView request) const override { return effects_(request); }

 private:
  std::function<Bytes(ByteView)> serve_;
  std::function<bool(ByteView)> effects_;
};

/// Request: u32 LE, how many bytes.
Bytes entropy(ByteView request) {
  u64 size = 0;
  for (std::size_t i = 0; i < request.size() && i < 4; ++i) size |= u64{request[i]} << (8 * i);
  Bytes out(std::min(size, kMaxEntropy));
  for (std::size_t done = 0; done < out.size();) {
    ssize_t n = ::getrandom(out.data() + done, out.size() - done, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Fatal("the host gives no random bytes: getrandom failed");
    done += static_cast<std::size_t>(n);
  }
  return out;
}

/// Reply: u64 LE, nanoseconds since 1970 (UTC).
Bytes real_time(ByteView) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const u64 ns = static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
  Bytes out;
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<u8>(ns >> (8 * i)));
  return out;
}

}  // namespace

std::shared_ptr<HostService> make_service(std::function<Bytes(ByteView)> serve,
                                          std::function<bool(ByteView)> effects) {
  return std::make_shared<FunctionService>(std::move(serve), std::move(effects));
}

void add_default_services(HostServices& services) {
  auto no_effects = [](ByteView) { return false; };
  services.try_emplace(InputKind::Entropy, make_service(entropy, no_effects));
  services.try_emplace(InputKind::RealTime, make_service(real_time, no_effects));
}

}  // namespace hindcast::replay
