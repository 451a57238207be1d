// Semihosting's files on gdb's host: `--semihosting target=gdb` and `target=auto`.
#pragma once
#include <memory>

#include "gdb/session.h"
#include "replay/host_services.h"

namespace hindcast::cli {

/// Answers requests of InputKind::Semihost through the session's File-I/O while gdb lets the guest run.
class GdbFiles final : public replay::HostService {
 public:
  /// `otherwise` answers opening, removing and renaming while no gdb is attached; null: they fail.
  explicit GdbFiles(std::shared_ptr<replay::HostService> otherwise);
  ~GdbFiles() override;

  /// Null: no gdb can be attached. The session must outlive its use here.
  void attach(gdb::Session* session);
  Bytes serve(ByteView request) override;
  bool has_effects(ByteView request) const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hindcast::cli
