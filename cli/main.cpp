// The hindcast command: reads the arguments, runs one command, turns every failure into one line and a
// status.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <new>
#include <sstream>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/values.h"
#include "replay/session.h"
#include "storage/store_types.h"
#include "targets/targets.h"

namespace hindcast::cli {
namespace {

/// Files opened later must not land on the numbers of the standard streams, or the guest's console would be
/// written into the recording's database.
void fill_standard_streams() {
  for (int fd = 0; fd <= 2; ++fd)
    if (::fcntl(fd, F_GETFD) == -1) {
      int opened = ::open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
      if (opened != fd) ::_exit(kStatusFailed);
    }
}

constexpr const char* kStatusHelp =
    "Exit status: the guest's own where a guest has run, and\n"
    "  0, 1    compare, verify: same or sound, differs or damaged\n"
    "  N       run, record, replay and analyze: what a plugin ended the run with (stoptrigger)\n"
    "  124     stopped by --max-icount or --until, or the guest waits for ever, or its recorder was killed\n"
    "  125     hindcast itself failed, or could not tell; one line on stderr says why\n"
    "  128+N   run, record and replay: ended by signal N (130: Ctrl-C, 141: nobody reads the console)";

/// Options as QEMU's users have them in their fingers. "-d plugin" asks for what is shown here anyway.
void take_qemu_spelling(std::vector<std::string>& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "-plugin" || words[i] == "-smp" || words[i].starts_with("-semihosting")) {
      words[i].insert(0, 1, '-');
    } else if (words[i] == "-d" && i + 1 < words.size() &&
               (words[i + 1] == "plugin" || words[i + 1] == "plugin,nochain")) {
      const auto at = words.begin() + static_cast<std::ptrdiff_t>(i);
      words.erase(at, at + 2);
      --i;
    }
  }
}

/// "--semihosting" may stand alone, and must not take the image for its value: only what can be one.
void join_semihosting(std::vector<std::string>& words) {
  const auto is_value = [](const std::string& word) {
    const std::string key = word.substr(0, word.find_first_of(",="));
    return key == "on" || key == "off" ||
           (word.find('=') != std::string::npos &&
            (key == "enable" || key == "target" || key == "chardev" || key == "arg" || key == "userspace"));
  };
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] != "--semihosting") continue;
    const bool valued = i + 1 < words.size() && is_value(words[i + 1]);
    words[i] += '=' + (valued ? words[i + 1] : "on");
    if (valued) words.erase(words.begin() + static_cast<std::ptrdiff_t>(i) + 1);
  }
}

int usage_error(const std::string& message) {
  std::string line = message.substr(0, message.find('\n'));
  complain(fmt::format("{}; see hindcast --help", printable(line)));
  return kStatusFailed;
}

int run(const std::vector<std::string>& arguments) {
  CLI::App app("hindcast runs a guest program deterministically, records it, and runs it again, exactly",
               "hindcast");
  app.require_subcommand(1);
  app.footer(kStatusHelp);  // the commands take it over
  app.set_version_flag("--version",
                       fmt::format("hindcast {} (recordings: schema {}, model {})", HINDCAST_VERSION,
                                   storage::kSchemaVersion, replay::kModelVersion));
  const std::array commands = {add_run(app),     add_record(app), add_replay(app), add_info(app),
                               add_events(app),  add_verify(app), add_list(app),   add_debug(app),
                               add_compare(app), add_index(app),  add_state(app),  add_export(app),
                               add_import(app),  add_analyze(app)};
  auto known = [&](const std::string& name) {
    return std::any_of(commands.begin(), commands.end(),
                       [&](const Command& command) { return command.app->get_name() == name; });
  };
  if (!arguments.empty() && !arguments.front().starts_with('-') && !known(arguments.front()))
    return usage_error(fmt::format("'{}' is not a command", arguments.front()));
  auto separator = std::find(arguments.begin(), arguments.end(), "--");
  std::vector<std::string> own(arguments.begin(), separator), guest_args;
  if (separator != arguments.end()) guest_args.assign(separator + 1, arguments.end());
  // What follows --gdb is gdb's.
  if (!own.empty() && own.front() == "debug")
    if (auto gdb = std::find(own.begin(), own.end(), "--gdb"); gdb != own.end()) {
      guest_args.insert(guest_args.begin(), gdb + 1, own.end());
      own.erase(gdb + 1, own.end());
    }
  take_qemu_spelling(own);
  join_semihosting(own);
  std::reverse(own.begin(), own.end());  // CLI11 takes them from the back
  try {
    app.parse(own);
  } catch (const CLI::Success& success) {  // --help, --version
    std::ostringstream text;
    const int status = app.exit(success, text, text);
    put_out(text.str());
    finish_out();
    return status;
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what());
  }
  targets::register_all();
  for (const Command& command : commands) {
    if (!command.app->parsed()) continue;
    if (separator != arguments.end() && !command.takes_guest_args)
      return usage_error(fmt::format("{} takes no guest arguments", command.app->get_name()));
    return command.run(guest_args);
  }
  return usage_error("no command");
}

int guarded(int argc, char** argv) {
  auto fail = [](const std::string& message) {
    complain(printable(message));
    return kStatusFailed;
  };
  try {
    return run({argv + std::min(argc, 1), argv + argc});
  } catch (const std::bad_alloc&) {
    return fail("out of memory; try less --memory");
  } catch (const std::exception& error) {
    return fail(error.what());
  }
}

}  // namespace
}  // namespace hindcast::cli

int main(int argc, char** argv) {
  hindcast::cli::fill_standard_streams();
  std::signal(SIGXFSZ, SIG_IGN);  // a file size limit is then an error like a full disk
  std::signal(SIGPIPE, SIG_IGN);  // and a reader that has gone away one of write()
  return hindcast::cli::guarded(argc, argv);
}
