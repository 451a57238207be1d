#include "cli/debugger.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "cli/commands.h"
#include "cli/gdb_files.h"
#include "cli/values.h"
#include "gdb/client_console.h"
#include "gdb/serve.h"
#include "plugins/attachment.h"
#include "replay/meta.h"
#include "replay/timeline.h"

namespace hindcast::cli {
namespace {

/// Debian's gdb for every architecture first.
constexpr std::array kGdbs = {"gdb-multiarch", "gdb"};

/// gdb does not notice when a monitor command moves, so it gets a command that tells it; and one that has gdb
/// look up names.
constexpr const char* kGdbCommands =
    "set remotetimeout 600\n"  // a monitor command may have a long way to go
    "define seek\n"
    "  monitor seek $arg0\n"
    "  pipe maintenance flush register-cache | cat >/dev/null\n"
    "  pipe maintenance flush dcache | cat >/dev/null\n"
    "  frame\n"
    "end\n"
    "document seek\n"
    "seek N | +N | -N | P% | begin | end | cN: go to a position of the recording (see monitor help).\n"
    "end\n"
    "define last-write\n"
    "  eval \"monitor last-write %lu %lu\", (unsigned long)&($arg0), (unsigned long)sizeof($arg0)\n"
    "end\n"
    "document last-write\n"
    "last-write EXPRESSION: which instruction last wrote to a variable, a field or *ADDRESS, before here.\n"
    "end\n";

/// An eventfd that SIGINT and SIGTERM make readable.
int g_stop_fd = -1;

void raise_stop() {
  const int saved = errno;
  const u64 one = 1;
  // It can only fail when it is readable already.
  [[maybe_unused]] const ssize_t written = ::write(g_stop_fd, &one, sizeof one);
  errno = saved;
}
void on_signal(int) { raise_stop(); }

/// A folder for this run only, removed at the end with what is in it.
class TempFolder {
 public:
  TempFolder() {
    const char* base = std::getenv("TMPDIR");
    path_ = std::string(base != nullptr && *base != '\0' ? base : "/tmp") + "/hindcast-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr)
      throw Fatal(fmt::format("cannot make a folder in {}: {}; set TMPDIR", path_, std::strerror(errno)));
  }
  ~TempFolder() {
    std::error_code ignored;  // nothing can be done about it
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  std::string write(const std::string& name, ByteView data) const {
    const std::string path = *this / name;
    std::FILE* file = std::fopen(path.c_str(), "wbe");
    const bool written = file != nullptr && std::fwrite(data.data(), 1, data.size(), file) == data.size();
    if ((file != nullptr && std::fclose(file) != 0) || !written)
      throw Fatal(fmt::format("cannot write {}: {}; set TMPDIR", path, std::strerror(errno)));
    return path;
  }

 private:
  std::string path_;
};

/// The ELF that is run; empty if the image is of another kind.
Bytes elf_of(const MachineConfig& config) {
  constexpr std::array<u8, 4> kMagic = {0x7f, 'E', 'L', 'F'};
  for (const char* role : {"kernel", "bios"})
    for (const MachineFile& file : config.files)
      if (file.role == role && file.data.size() > kMagic.size() &&
          std::equal(kMagic.begin(), kMagic.end(), file.data.begin()))
        return file.data;
  return {};
}

[[noreturn]] void exec_gdb(const std::vector<std::string>& arguments) {
  for (const char* program : kGdbs) {
    std::vector<char*> argv = {const_cast<char*>(program)};
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    ::execvp(program, argv.data());
  }
  const char* message = "hindcast: --gdb: no gdb was found; install gdb-multiarch\n";
  [[maybe_unused]] const ssize_t written = ::write(2, message, std::strlen(message));
  ::_exit(kStatusFailed);
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int run_gdb(gdb::Session& session, const Bytes& elf, const std::vector<std::string>& gdb_args) {
  TempFolder folder;
  std::vector<std::string> arguments = {"-q"};
  if (!elf.empty()) arguments.push_back(folder.write("image.elf", elf));
  const std::string_view commands = kGdbCommands;
  arguments.insert(
      arguments.end(),
      {"-x", folder.write("commands", {reinterpret_cast<const u8*>(commands.data()), commands.size()})});
  // A socket in a folder of the user's own: nobody else on the machine can connect.
  gdb::Listener listener("unix:" + folder / "socket");
  arguments.insert(arguments.end(), {"-ex", "target remote " + listener.address()});
  arguments.insert(arguments.end(), gdb_args.begin(), gdb_args.end());

  const pid_t child = ::fork();
  if (child < 0) throw Fatal(fmt::format("cannot start gdb: {}", std::strerror(errno)));
  if (child == 0) {
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
    std::signal(SIGPIPE, SIG_DFL);
    exec_gdb(arguments);
  }
  int status = 0;
  std::thread waiter([&] {
    status = wait_for(child);
    raise_stop();
  });
  gdb::ServeOptions once;
  once.once = true;
  gdb::serve(session, listener, g_stop_fd, once);
  waiter.join();
  return status;
}

void prepare_signals(const DebuggerOptions& options) {
  g_stop_fd = ::eventfd(0, EFD_CLOEXEC);
  if (g_stop_fd < 0) throw Fatal(fmt::format("no event descriptor: {}", std::strerror(errno)));
  std::signal(SIGTERM, on_signal);
  // Ctrl-C on the terminal is gdb's, if it was started.
  std::signal(SIGINT, options.start_gdb ? SIG_IGN : on_signal);
}

/// Listens before anything else is done: an address that cannot be used leaves nothing behind.
std::unique_ptr<gdb::Listener> open_listener(const DebuggerOptions& options) {
  return options.start_gdb ? nullptr : std::make_unique<gdb::Listener>(options.listen);
}

class Plugins final : public gdb::PluginCommands {
 public:
  Plugins(plugins::PluginHost& host, replay::Timeline& timeline, EngineOptions engine)
      : attachment_(host, timeline, std::move(engine)) {}
  std::string load(const std::string& text) override { return attachment_.load(text); }
  std::string unload(unsigned number) override { return attachment_.unload(number); }
  std::string list() override { return attachment_.list(); }
  void follow() override { attachment_.follow(); }
  void interrupt() override { attachment_.interrupt(); }

 private:
  plugins::Attachment attachment_;
};

/// Serves clients until it is over. gdb's status if it was started.
std::optional<int> serve(replay::Timeline& timeline, gdb::ClientConsole& console, GdbFiles* files,
                         gdb::Listener* listener, const Bytes& elf, const EngineOptions& engine,
                         const DebuggerOptions& options, Log& log) {
  std::optional<Plugins> plugins;
  if (options.plugins != nullptr) plugins.emplace(*options.plugins, timeline, engine);
  gdb::Session session(timeline, {&timeline, elf, plugins ? &*plugins : nullptr});
  session.on_notice([&log](const std::string& line) { log.line(line); });
  console.attach(&session);
  if (files != nullptr) files->attach(&session);
  std::optional<int> status;
  if (listener == nullptr) {
    status = run_gdb(session, elf, options.gdb_args);
  } else {
    log.line(fmt::format("gdb may connect: target remote {}", listener->address()));
    gdb::ServeOptions how;
    how.free = !options.wait;
    gdb::serve(session, *listener, g_stop_fd, how);
  }
  console.attach(nullptr);
  if (files != nullptr) files->attach(nullptr);
  const bool killed = session.killed() || session.request() == gdb::Session::Request::Kill;
  if (timeline.has_present()) timeline.finish(killed ? SIGKILL : 0);
  return status;
}

}  // namespace

DebuggerOptions::Semihosting parse_semihosting_target(const std::string& text) {
  using Semihosting = DebuggerOptions::Semihosting;
  return text == "gdb" ? Semihosting::Gdb : text == "auto" ? Semihosting::Auto : Semihosting::Native;
}

int debug_recording(const std::string& path, const EngineOptions& engine, const DebuggerOptions& options,
                    Log& log) {
  prepare_signals(options);
  const auto listener = open_listener(options);
  auto console = std::make_shared<gdb::ClientConsole>();
  replay::HostOptions branches;
  branches.engine = engine;
  branches.console = console;
  const auto timeline = replay::Timeline::open(path, branches);
  const auto status =
      serve(*timeline, *console, nullptr, listener.get(), elf_of(timeline->config()), engine, options, log);
  return status.value_or(0);
}

replay::RunResult debug_live(const MachineConfig& config, replay::HostOptions host,
                             replay::RecordOptions record, const DebuggerOptions& options, Log& log,
                             std::optional<int>* gdb_status) {
  prepare_signals(options);
  const auto listener = open_listener(options);
  using Semihosting = DebuggerOptions::Semihosting;
  auto console = std::make_shared<gdb::ClientConsole>(options.semihosting == Semihosting::Gdb);
  std::shared_ptr<GdbFiles> files;
  if (options.semihosting != Semihosting::Native) {
    auto& service = host.services[InputKind::Semihost];
    service = files =
        std::make_shared<GdbFiles>(options.semihosting == Semihosting::Auto ? service : nullptr);
  }
  if (options.semihosting == Semihosting::Gdb && !host.semihosting_console) host.semihosting = console;
  // gdb has the terminal.
  if (options.start_gdb && host.serial.kind == replay::ConsoleOptions::Kind::Stdio) host.console = console;
  std::optional<TempFolder> folder;
  if (record.path.empty()) record.path = folder.emplace() / "recording";
  host.observer = options.plugins;
  const EngineOptions engine = host.engine;
  const auto timeline = replay::Timeline::start(config, std::move(host), record);
  const auto status =
      serve(*timeline, *console, files.get(), listener.get(), elf_of(config), engine, options, log);
  if (gdb_status != nullptr) *gdb_status = status;
  return timeline->finish();
}

}  // namespace hindcast::cli
