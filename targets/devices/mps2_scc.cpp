// The serial configuration controller of the MPS2 and MPS3 boards (DAI 0385, 0505, 0547: "SCC register memory
// map"): which image is loaded, lights and switches of the board's controller, and the oscillators, which are
// read and set by commands. A command is over at once.
#include <array>

#include "targets/devices/model_registry.h"
#include "targets/devices/word_registers.h"

namespace hindcast::devices {
namespace {

constexpr unsigned kMostOscillators = 6;

/// An image of the FPGA's.
struct Image {
  u32 identification;
  unsigned oscillators;
  std::array<u32, kMostOscillators> hz;
};
constexpr std::array<u32, kMostOscillators> kMps2 = {50'000'000, 24'576'000, 25'000'000};
constexpr std::array<u32, kMostOscillators> kIotKit = {40'000'000, 24'580'000, 25'000'000};
constexpr Image kImages[] = {
    {0x41043850, 3, kMps2},                                                                     // AN385
    {0x41043860, 3, kMps2},                                                                     // AN386
    {0x41045000, 3, kMps2},                                                                     // AN500
    {0x41045050, 3, kIotKit},                                                                   // AN505
    {0x41045210, 3, kIotKit},                                                                   // AN521
    {0x41055470, 6, {24'000'000, 32'000'000, 50'000'000, 50'000'000, 24'576'000, 23'750'000}},  // AN547
};

class Scc final : public Device, public WordRegisters {
 public:
  Scc(std::string name, const Image& image) : Device(std::move(name)), image_(image) {}

  void reset() override {
    remap_ = lights_ = returned_ = data_ = status_ = 0;
    command_ = kFunctionOscillator << kFunctionShift;
    hz_ = image_.hz;
  }
  void state(Archive& ar) override {
    for (u32* field : {&remap_, &lights_, &returned_, &data_, &command_, &status_}) ar.field("scc", *field);
    ar.field("oscillators", hz_);
  }

 private:
  static constexpr u32 kRemap = 0x000, kLights = 0x004, kRevision = 0x010, kReturned = 0x0a0, kData = 0x0a4,
                       kCommand = 0x0a8, kStatus = 0x0ac, kLocked = 0x100, kAid = 0xff8,
                       kIdentification = 0xffc;
  static constexpr u32 kStart = u32{1} << 31, kWrite = u32{1} << 30, kFunctionShift = 20,
                       kFunctionBits = 0x3f, kDeviceBits = 0xfff, kFunctionOscillator = 1;
  static constexpr u32 kDone = 1, kError = 2;

  u32 read_word(u32 at) override {
    switch (at) {
      case kRemap: return remap_;
      case kLights: return lights_;
      case kRevision: return 2;
      case kReturned: return returned_;
      case kData: return data_;
      case kCommand: return command_;
      case kStatus: return status_;
      case kLocked: return 0xffff0001;  // all clocks are
      case kAid: return 0x00200008;
      case kIdentification: return image_.identification;
      default: return 0;
    }
  }
  void write_word(u32 at, u32 value) override {
    switch (at) {
      case kRemap: remap_ = value & 1; break;
      case kLights: lights_ = value & 0xff; break;
      case kData: data_ = value; break;
      case kCommand:
        command_ = value & (kWrite | kFunctionBits << kFunctionShift | kDeviceBits);
        status_ = 0;
        if ((value & kStart) != 0) run();
        break;
      default: break;
    }
  }
  void run() {
    const u32 device = command_ & kDeviceBits;
    const bool known =
        (command_ >> kFunctionShift & kFunctionBits) == kFunctionOscillator && device < image_.oscillators;
    if (known && (command_ & kWrite) != 0)
      hz_[device] = data_;
    else if (known)
      returned_ = hz_[device];
    status_ = known ? kDone : kDone | kError;
  }

  const Image& image_;
  u32 remap_ = 0, lights_ = 0, returned_ = 0, data_ = 0, command_ = 0, status_ = 0;
  std::array<u32, kMostOscillators> hz_{};
};

}  // namespace

IrqSink* build_mps2_scc(const DeviceSite& site) {
  const u32 wanted = site.cell("hindcast,identification", kImages[0].identification);
  for (const Image& image : kImages) {
    if (image.identification == wanted) return add<Scc>(site, 0x1000, image);
  }
  site.fail("has a hindcast,identification that is no known image's");
}

}  // namespace hindcast::devices
