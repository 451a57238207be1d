#include "cli/plugin_options.h"

#include <algorithm>
#include <cstdlib>

#include "cli/values.h"
#include "replay/meta.h"
#include "storage/event_store.h"
#include "targets/loader/image.h"

namespace hindcast::cli {
namespace {

/// The ELF files among a machine's files, parsed when the first symbol is asked for.
class Symbols {
 public:
  explicit Symbols(std::vector<MachineFile> files) : files_(std::move(files)) {}
  std::string at(GuestAddr address) {
    for (const MachineFile& file : std::exchange(files_, {})) {
      if (loader::detect_format(file.data) != loader::Format::Elf) continue;
      try {
        images_.push_back(loader::parse_image(file.name, file.data, 0));
      } catch (const Fatal&) {
        continue;  // the board may have taken it for raw bytes
      }
    }
    for (const loader::Image& image : images_) {
      // Labels without a size reach to the next one, and beyond the image's end without this.
      const bool inside = std::any_of(image.segments.begin(), image.segments.end(),
                                      [&](const auto& s) { return address - s.address < s.memory_size; });
      const loader::Symbol* symbol = inside ? image.symbol_at(address) : nullptr;
      if (symbol != nullptr) return symbol->name;
    }
    return {};
  }

 private:
  std::vector<MachineFile> files_;
  std::vector<loader::Image> images_;
};

}  // namespace

void PluginText::add_to(CLI::App& command) {
  command.add_option("-p,--plugin", plugins, "NAME_OR_PATH[,k=v...]: a bundled plugin, or a shared object")
      ->take_all()
      ->allow_extra_args(false);
}

std::vector<plugins::PluginSpec> PluginText::specs() const {
  std::vector<plugins::PluginSpec> out;
  for (const std::string& text : plugins) out.push_back(plugins::parse_plugin(text));
  if (!out.empty()) return out;
  for (const char* name : {"HINDCAST_PLUGIN", "QEMU_PLUGIN"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    out.push_back(plugins::parse_plugin(value));
    break;
  }
  return out;
}

std::unique_ptr<plugins::PluginHost> PluginText::host(Log& log, const std::vector<MachineFile>& files,
                                                      bool more_later) const {
  plugins::HostSetup setup;
  setup.plugins = specs();
  if (setup.plugins.empty() && !more_later) return nullptr;
  setup.output = [&log](std::string_view text) { log.text(text); };
  setup.flush_output = [&log] { log.flush_text(); };
  setup.symbol = [symbols = std::make_shared<Symbols>(files)](GuestAddr address) {
    return symbols->at(address);
  };
  return std::make_unique<plugins::PluginHost>(std::move(setup));
}

std::vector<MachineFile> recorded_files(const std::string& path) {
  const auto reader = storage::Reader::open(path);
  replay::Meta meta = replay::decode_meta(reader->meta(), path);
  if (!replay::load_files(*reader, meta, path)) return {};
  return std::move(meta.config.files);
}

int status_with_plugins(const plugins::PluginHost* host, int status, Log& log) {
  if (host == nullptr || !host->exit_status()) return status;
  if (!host->message().empty()) log.line(host->message());
  return *host->exit_status();
}

}  // namespace hindcast::cli
