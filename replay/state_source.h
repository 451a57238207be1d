// Who answers StateServer's questions: this process, or another build of hindcast behind a pipe.
#pragma once
#include <memory>
#include <string>

#include "engine/machine.h"

namespace hindcast::replay {

class StateSource {
 public:
  virtual ~StateSource() = default;
  /// One question at a time; two sources may be asked at once. finish() throws Fatal when no answer comes.
  virtual void ask(const std::string& request) = 0;
  virtual std::string finish() = 0;
};

std::unique_ptr<StateSource> open_local_source(const std::string& path, const EngineOptions& engine);
/// Runs `program` as `program state path`. Throws Fatal if it cannot be started.
std::unique_ptr<StateSource> open_program_source(const std::string& program, const std::string& path);

}  // namespace hindcast::replay
