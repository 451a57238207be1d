#include "targets/arm/features.h"

#include <fmt/format.h>

namespace hindcast::arm {
namespace {

using namespace ext;

constexpr u64 kV6m = Thumb;
constexpr u64 kV7m = kV6m | Main | Div | Base8 | VtorWritable | Unprivileged;
constexpr u64 kV8Base = kV6m | Div | Base8 | V8 | VtorWritable | Unprivileged | Mpu | Sec;
constexpr u64 kV8Main = kV7m | V8 | Mpu | Sec;

constexpr Model kModels[] = {
    {"cortex-m0", "Armv6-M", 0x410cc200, kV6m, 2, 0, 6},
    {"cortex-m0plus", "Armv6-M with MPU and vector table offset", 0x410cc601,
     kV6m | VtorWritable | Unprivileged | Mpu, 2, 8, 6},
    {"cortex-m3", "Armv7-M", 0x412fc231, kV7m | Mpu | BitBand, 8, 8, 7},
    {"cortex-m4", "Armv7E-M with single-precision floating point", 0x410fc241,
     kV7m | Mpu | BitBand | Dsp | Vfp, 8, 8, 7},
    {"cortex-m7", "Armv7E-M with double-precision floating point", 0x411fc272,
     kV7m | Mpu | Dsp | Vfp | VfpD | Vfp5, 8, 8, 7},
    {"cortex-m23", "Armv8-M Baseline with security extension", 0x411cd200, kV8Base, 2, 16, 8},
    {"cortex-m33", "Armv8-M Mainline with security extension, DSP and single-precision floating point",
     0x410fd213, kV8Main | Dsp | Vfp | Vfp5, 8, 16, 8},
    {"cortex-m55",
     "Armv8.1-M Mainline with security extension, DSP and half- to double-precision floating point",
     0x410fd221, kV8Main | V81 | Lob | Dsp | Vfp | VfpD | Vfp5 | Fp16, 8, 16, 8},
};

struct Feature {
  const char* name;
  u64 bit;
  u64 needs;
  u64 with = 0;  // what the model has goes and comes with it
};
constexpr Feature kFeatures[] = {
    {"dsp", Dsp, Main}, {"vfp", Vfp, Main, Vfp5 | Fp16}, {"vfp-d", VfpD, Vfp},
    {"mpu", Mpu, 0},    {"bitband", BitBand, 0},         {"security", Sec, V8},
};

}  // namespace

std::span<const Model> models() { return kModels; }

std::string known_features() {
  std::string list;
  for (const Feature& f : kFeatures) list += fmt::format("{}{}", list.empty() ? "" : ", ", f.name);
  return list;
}

std::string Features::description() const {
  std::string text = model->name;
  for (const Feature& f : kFeatures) {
    const bool on = (set & f.bit) != 0;
    if (on != ((model->features & f.bit) != 0)) text += fmt::format(",{}={}", f.name, on ? "on" : "off");
  }
  return text;
}

std::string cpu_of_compatible(std::string_view compatible) {
  constexpr std::string_view kVendor = "arm,";
  if (!compatible.starts_with("arm,cortex-m")) return {};
  std::string model(compatible.substr(kVendor.size()));
  if (model.ends_with('f')) model.pop_back();
  if (model.ends_with('+')) model.replace(model.size() - 1, 1, "plus");
  return model;
}

Features parse_cpu(std::string_view text, std::string_view default_model) {
  Features cpu;
  const auto choose = [&cpu](std::string_view name) {
    std::string known;
    for (const Model& m : kModels) {
      if (m.name == name) cpu = {&m, m.features};
      known += fmt::format("{}{}", known.empty() ? "" : ", ", m.name);
    }
    if (cpu.model == nullptr) throw Fatal(fmt::format("unknown Arm CPU '{}': known are {}", name, known));
  };
  for (bool first = true; first || !text.empty(); first = false) {
    const std::size_t comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    const std::size_t equals = item.find('=');
    if (first) {
      const bool named = !item.empty() && equals == std::string_view::npos;
      choose(named ? item : default_model);
      if (!named && !item.empty()) continue;  // the item is a feature: once more
    } else {
      const Feature* feature = nullptr;
      for (const Feature& f : kFeatures)
        if (f.name == item.substr(0, equals)) feature = &f;
      const std::string_view value = equals == std::string_view::npos ? "" : item.substr(equals + 1);
      if (feature == nullptr)
        throw Fatal(fmt::format("unknown Arm CPU feature '{}': known are {}", item.substr(0, equals),
                                known_features()));
      if (value != "on" && value != "off")
        throw Fatal(
            fmt::format("CPU feature '{}': write {}=on or {}=off", item, feature->name, feature->name));
      if (value == "off") {
        cpu.set &= ~(feature->bit | feature->with);
        for (const Feature& f : kFeatures)
          if ((f.needs & feature->bit) != 0) cpu.set &= ~f.bit;
      } else if ((cpu.set & feature->needs) != feature->needs) {
        throw Fatal(fmt::format("CPU feature {}=on: {} does not have what it builds on", feature->name,
                                cpu.model->name));
      } else {
        cpu.set |= feature->bit | (feature->with & cpu.model->features);
      }
    }
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  }
  return cpu;
}

}  // namespace hindcast::arm
