#include "plugins/attachment.h"

#include <fmt/format.h>

namespace hindcast::plugins {
namespace {

/// Short enough that an interrupt is noticed.
constexpr Icount kSlice = 1'000'000;

}  // namespace

Attachment::Attachment(PluginHost& host, replay::Timeline& timeline, EngineOptions engine)
    : host_(host),
      timeline_(timeline),
      engine_(std::move(engine)),
      path_(timeline.path()),
      live_(timeline.has_present()) {
  engine_.note = {};  // said by the machine that the debugger sees
  if (!live_ && !host_.plugins().empty()) watch_recording(timeline_.begin());
}

Attachment::~Attachment() {
  if (player_) host_.end();
}

void Attachment::watch_recording(Icount from) {
  player_ = std::make_unique<replay::Player>(path_, engine_);
  if (player_->empty()) throw Fatal(fmt::format("recording {} holds no instruction to watch", path_));
  player_->port().keep_output(false);
  if (from > player_->icount()) {
    player_->restore_before(from);
    player_->run(from, kNever);
  }
  host_.begin(player_->machine(), false);
}

std::string Attachment::load(const std::string& text) {
  if (timeline_.path() != path_)
    throw Fatal("plugins watch what the command began with, not a branch; analyze its recording");
  PluginSpec spec = parse_plugin(text);
  try {
    if (!live_ && !player_) watch_recording(timeline_.position());
    host_.load(std::move(spec));
  } catch (...) {
    stop_watching();
    throw;
  }
  const Plugin& plugin = *host_.plugins().back();
  return fmt::format("plugin {} '{}' sees what is executed from icount {} on\n", plugin.number(),
                     plugin.name(), host_.machine().icount());
}

std::string Attachment::unload(unsigned number) {
  const Plugin* plugin = host_.numbered(number);
  if (plugin == nullptr) throw Fatal(fmt::format("there is no plugin {}", number));
  const std::string name = plugin->name();
  host_.unload(number);
  stop_watching();
  return fmt::format("plugin {} '{}' has been unloaded\n", number, name);
}

/// Nobody watches: no second execution is needed, and the next plugin sees from where the debugger is then.
void Attachment::stop_watching() {
  if (!player_ || !host_.plugins().empty()) return;
  host_.end();
  player_.reset();
}

std::string Attachment::list() const {
  std::string out;
  for (const auto& plugin : host_.plugins()) out += fmt::format("{}: {}\n", plugin->number(), plugin->text());
  if (out.empty()) return "no plugins\n";
  if (player_) out += fmt::format("they have seen the recording up to icount {}\n", player_->icount());
  return out;
}

void Attachment::follow() {
  interrupted_ = false;
  if (!player_ || timeline_.path() != path_) return;
  const Icount to = timeline_.position();
  while (player_->icount() < to && !host_.ended() && !interrupted_ && !player_->machine().exited())
    if (!player_->run(to, kSlice)) break;
}

}  // namespace hindcast::plugins
