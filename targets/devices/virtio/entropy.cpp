#include "targets/devices/virtio/entropy.h"

#include <algorithm>

namespace hindcast::devices::virtio {

void EntropyDevice::notified(unsigned queue) {
  while (const std::optional<Chain> chain = pop(queue)) {
    const u32 size = static_cast<u32>(std::min<u64>(total_size(chain->writable), kMostBytes));
    Bytes request;
    for (unsigned i = 0; i < 4; ++i) request.push_back(static_cast<u8>(size >> (8 * i)));
    const Bytes bytes = size == 0 ? Bytes() : machine().port().answer(InputKind::Entropy, channel_, request);
    const std::size_t given =
        scatter(memory(), chain->writable, bytes.data(), std::min<std::size_t>(bytes.size(), size));
    push(queue, chain->head, static_cast<u32>(given));
  }
  flush(queue);
}

}  // namespace hindcast::devices::virtio
