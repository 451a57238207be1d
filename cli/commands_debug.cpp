// debug: a gdb server on a recording, or gdb itself.
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "cli/commands.h"
#include "cli/machine_options.h"
#include "cli/values.h"
#include "gdb/serve.h"
#include "replay/meta.h"
#include "replay/navigator.h"
#include "storage/event_store.h"

namespace hindcast::cli {
namespace {

/// Debian's gdb for every architecture first.
constexpr std::array kGdbs = {"gdb-multiarch", "gdb"};

/// gdb does not notice when a monitor command moves, so it gets a command that tells it.
constexpr const char* kGdbCommands =
    "define seek\n"
    "  monitor seek $arg0\n"
    "  pipe maintenance flush register-cache | cat >/dev/null\n"
    "  pipe maintenance flush dcache | cat >/dev/null\n"
    "  frame\n"
    "end\n"
    "document seek\n"
    "seek N | +N | -N | P% | begin | end | cN: go to a position of the recording (see monitor help).\n"
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

/// A folder for this run only, removed with the files that were written into it.
class TempFolder {
 public:
  TempFolder() {
    const char* base = std::getenv("TMPDIR");
    path_ = std::string(base != nullptr && *base != '\0' ? base : "/tmp") + "/hindcast-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr)
      throw Fatal(fmt::format("cannot make a folder in {}: {}; set TMPDIR", path_, std::strerror(errno)));
  }
  ~TempFolder() {
    for (const std::string& file : files_) ::unlink(file.c_str());
    ::rmdir(path_.c_str());
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  std::string write(const std::string& name, ByteView data) {
    const std::string path = *this / name;
    files_.push_back(path);
    std::FILE* file = std::fopen(path.c_str(), "wbe");
    const bool written = file != nullptr && std::fwrite(data.data(), 1, data.size(), file) == data.size();
    if ((file != nullptr && std::fclose(file) != 0) || !written)
      throw Fatal(fmt::format("cannot write {}: {}; set TMPDIR", path, std::strerror(errno)));
    return path;
  }

 private:
  std::string path_;
  std::vector<std::string> files_;
};

/// The ELF that was run; empty if the image is of another kind.
Bytes recorded_elf(const std::string& path) {
  const auto reader = storage::Reader::open(path);
  replay::Meta meta = replay::decode_meta(reader->meta(), path);
  if (!replay::load_files(*reader, meta, path)) return {};
  for (const char* role : {"kernel", "bios"})
    for (MachineFile& file : meta.config.files)
      if (file.role == role && file.data.size() > 4 &&
          std::memcmp(file.data.data(),
                      "\x7f"
                      "ELF",
                      4) == 0)
        return std::move(file.data);
  return {};
}

void check_is_recording(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && !S_ISDIR(status.st_mode))
    throw Fatal(fmt::format(
        "{} is not a recording; record the image first (hindcast record -o REC {}), then hindcast debug REC",
        printable(path), printable(path)));
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

  std::signal(SIGINT, SIG_IGN);  // Ctrl-C on the terminal is gdb's
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
  gdb::serve(session, listener, g_stop_fd);
  waiter.join();
  return status;
}

}  // namespace

Command add_debug(CLI::App& app) {
  struct State {
    std::string path, listen = "127.0.0.1:1234";
    bool gdb = false;
    EngineText engine;
  };
  auto state = std::make_shared<State>();
  CLI::App* command = app.add_subcommand("debug", "a gdb server on a recording, forwards and backwards");
  command->add_option("REC", state->path, "folder of the recording")->required();
  auto* listen = command->add_option("--listen", state->listen, "where gdb connects; port 0: a free one")
                     ->type_name("HOST:PORT")
                     ->capture_default_str();
  command->add_flag("--gdb", state->gdb, "start gdb, connected; what follows are arguments for it")
      ->excludes(listen);
  state->engine.add_to(*command);
  auto run = [state](const std::vector<std::string>& gdb_args) {
    if (!gdb_args.empty() && !state->gdb) throw Fatal("debug takes gdb's arguments only after --gdb");
    check_is_recording(state->path);
    const Bytes elf = recorded_elf(state->path);
    const auto navigator = replay::Navigator::open(state->path, state->engine.options());
    gdb::Session session(*navigator, {state->path, elf});
    session.on_notice([](const std::string& line) { complain(printable(line)); });
    g_stop_fd = ::eventfd(0, EFD_CLOEXEC);
    if (g_stop_fd < 0) throw Fatal(fmt::format("no event descriptor: {}", std::strerror(errno)));
    std::signal(SIGTERM, on_signal);
    if (state->gdb) return run_gdb(session, elf, gdb_args);
    std::signal(SIGINT, on_signal);
    gdb::Listener listener(state->listen);
    complain(fmt::format("gdb may connect: target remote {}", listener.address()));
    gdb::serve(session, listener, g_stop_fd);
    return 0;
  };
  return {command, true, run};
}

}  // namespace hindcast::cli
