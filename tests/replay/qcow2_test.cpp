// qcow2 images: every kind of cluster, what is refused, damage, and what qemu-img makes of the same images.
#include "replay/qcow2.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdio>
#include <fstream>

#include "replay/event_format.h"
#include "replay/host_drives.h"
#include "tests/replay/world.h"

namespace hindcast::replay::test {
namespace {

constexpr u64 kCluster = 4096, kSize = 6 * kCluster + 1024;

void put_be(Bytes& to, std::size_t at, u64 value, unsigned size) {
  if (to.size() < at + size) to.resize(at + size);
  for (unsigned i = 0; i < size; ++i) to[at + i] = static_cast<u8>(value >> (8 * (size - 1 - i)));
}

Bytes noise(std::size_t size, u64 seed) {
  std::mt19937_64 random(seed);
  Bytes out(size);
  for (u8& byte : out) byte = static_cast<u8>(random() % 7);
  return out;
}

Bytes deflated(const Bytes& data) {
  Bytes out(data.size() * 2 + 100);
  z_stream stream{};
  EXPECT_EQ(::deflateInit2(&stream, 9, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = const_cast<u8*>(data.data());
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

/// Clusters of 4 KiB: the header, the directory, a table, then data. On the disk: bytes, nothing, a zero with
/// bytes behind it, two that are compressed, nothing, and bytes to the end, which the file has not all of.
Bytes image(Bytes* disk = nullptr) {
  Bytes out = {'Q', 'F', 'I', 0xfb};
  put_be(out, 4, 3, 4);
  put_be(out, 20, 12, 4);
  put_be(out, 24, kSize, 8);
  put_be(out, 36, 1, 4);
  put_be(out, 40, kCluster, 8);
  put_be(out, 100, 104, 4);
  constexpr u64 kCopied = u64{1} << 63;
  const std::size_t table = 2 * kCluster;
  put_be(out, kCluster, table | kCopied, 8);
  out.resize(3 * kCluster);
  const Bytes bytes = noise(kCluster, 1);
  put_be(out, table, out.size() | kCopied, 8);
  out.insert(out.end(), bytes.begin(), bytes.end());
  put_be(out, table + 16, out.size() | kCopied | 1, 8);
  out.insert(out.end(), bytes.begin(), bytes.end());
  Bytes all = bytes;
  all.resize(3 * kCluster);
  const std::size_t last = out.size();
  put_be(out, table + 48, last | kCopied, 8);
  Bytes rest = noise(1024, 9);
  out.insert(out.end(), rest.begin(), rest.end());
  out.resize(last + kCluster);
  for (u64 cluster : {3, 4}) {
    const Bytes content = noise(kCluster, cluster), packed = deflated(content);
    const u64 more = (out.size() % 512 + packed.size() - 1) / 512;
    put_be(out, table + 8 * cluster, u64{1} << 62 | more << (62 - 4) | out.size(), 8);
    out.insert(out.end(), packed.begin(), packed.end());
    all.insert(all.end(), content.begin(), content.end());
  }
  all.resize(6 * kCluster);
  all.insert(all.end(), rest.begin(), rest.end());
  if (disk != nullptr) *disk = std::move(all);
  return out;
}

/// A file with these bytes, open.
class Image {
 public:
  explicit Image(const Bytes& bytes) : file_(std::tmpfile()) {
    std::fwrite(bytes.data(), 1, bytes.size(), file_);
    std::fflush(file_);
  }
  ~Image() { std::fclose(file_); }
  int fd() const { return ::fileno(file_); }

 private:
  std::FILE* file_;
};

std::string refused(const Bytes& bytes) {
  const Image file(bytes);
  try {
    Qcow2 image(file.fd());
  } catch (const Fatal& problem) {
    return problem.what();
  }
  return {};
}

Bytes changed(std::size_t at, u64 value, unsigned size) {
  Bytes bytes = image();
  put_be(bytes, at, value, size);
  return bytes;
}

TEST(Qcow2, EveryKindOfCluster) {
  Bytes disk;
  const Image file(image(&disk));
  EXPECT_TRUE(Qcow2::begins_like_one(file.fd()));
  Qcow2 qcow(file.fd());
  ASSERT_EQ(qcow.bytes(), kSize);
  Bytes all(kSize);
  ASSERT_TRUE(qcow.read(0, all));
  EXPECT_TRUE(all == disk);
  std::mt19937_64 random(4);
  for (int i = 0; i < 500; ++i) {
    const u64 at = random() % kSize, size = random() % (kSize - at + 1);
    Bytes part(size, 0xee);
    ASSERT_TRUE(qcow.read(at, part));
    ASSERT_TRUE(std::equal(part.begin(), part.end(), disk.begin() + static_cast<std::ptrdiff_t>(at)));
  }
}

TEST(Qcow2, WhatIsNotSupportedIsSaid) {
  EXPECT_EQ(refused(image()), "");
  EXPECT_EQ(refused(changed(72, 1, 8)), "") << "counts of references are not looked at";
  const std::tuple<std::size_t, u64, unsigned, const char*> kCases[] = {
      {0, 0, 4, "no qcow2 image"},
      {4, 4, 4, "version 4"},
      {8, 4096, 8, "backing file"},
      {20, 8, 4, "clusters of 2^8"},
      {20, 22, 4, "clusters of 2^22"},
      {24, u64{1} << 40, 8, "smaller than its disk"},
      {24, ~u64{0}, 8, "smaller than its disk"},
      {32, 1, 4, "encrypted"},
      {36, 0, 4, "smaller than its disk"},
      {40, 4097, 8, "cut short"},
      {40, u64{1} << 40, 8, "cut short"},
      {40, ~u64{0} << 12, 8, "cut short"},
      {72, 2, 8, "marked as damaged"},
      {72, 4, 8, "another file"},
      {72, 8, 8, "zlib"},
      {72, 16, 8, "subclusters"},
      {72, 32, 8, "not known"},
  };
  for (const auto& [at, value, size, says] : kCases)
    EXPECT_NE(refused(changed(at, value, size)).find(says), std::string::npos)
        << at << ' ' << value << ": " << refused(changed(at, value, size));
  Bytes many = changed(24, u64{1} << 45, 8);
  put_be(many, 36, 0xffffffff, 4);
  EXPECT_NE(refused(many).find("too small clusters"), std::string::npos) << refused(many);
  Bytes brief = image();
  brief.resize(90);
  EXPECT_NE(refused(brief).find("cut short"), std::string::npos);
  brief.resize(50);
  EXPECT_NE(refused(brief).find("no qcow2"), std::string::npos);
}

TEST(Qcow2, DamageIsAnErrorWhereItIs) {
  const std::size_t table = 2 * kCluster;
  for (const auto& [at, value] : {std::pair<std::size_t, u64>{table, u64{1} << 40},  // beyond the file
                                  {table, 3 * kCluster + 512},                       // askew
                                  {table, u64{1} << 62 | 512}}) {                    // no compressed data
    Bytes disk;
    Bytes bytes = image(&disk);
    put_be(bytes, at, value, 8);
    const Image file(bytes);
    Qcow2 qcow(file.fd());
    Bytes part(kCluster);
    EXPECT_FALSE(qcow.read(0, part)) << value;
    EXPECT_TRUE(qcow.read(3 * kCluster, part));
    EXPECT_TRUE(std::equal(part.begin(), part.end(), disk.begin() + 3 * kCluster));
  }
}

TEST(Qcow2, AnyBytesDoNoHarm) {
  const Bytes good = image();
  std::mt19937_64 random(5);
  unsigned opened = 0;
  for (int i = 0; i < 3000; ++i) {
    Bytes bytes = good;
    for (u64 n = 1 + random() % 4; n != 0; --n) {
      // Mostly where it matters: the header and the tables.
      const std::size_t area[] = {0, kCluster, 2 * kCluster, random() % bytes.size()};
      bytes[(area[random() % 4] + random() % 104) % bytes.size()] = static_cast<u8>(random());
    }
    if (random() % 8 == 0) bytes.resize(random() % bytes.size());
    const Image file(bytes);
    try {
      Qcow2 qcow(file.fd());
      ++opened;
      Bytes part(3 * kCluster);
      for (int k = 0; k < 4; ++k) {
        const u64 least = std::min<u64>(part.size(), qcow.bytes());
        const u64 at = qcow.bytes() == least ? 0 : random() % (qcow.bytes() - least);
        qcow.read(at, std::span(part).first(least));
      }
    } catch (const Fatal&) {
    }
  }
  EXPECT_GT(opened, 500u);
}

TEST(Qcow2, AsQemuReadsIt) {
  if (std::system("command -v qemu-img qemu-io >/dev/null") != 0) GTEST_SKIP() << "no qemu-img (qemu-utils)";
  const TempFolder folder;
  const std::string raw = folder / "raw", path = folder / "image", back = folder / "back";
  Bytes content = noise(1 << 20, 11);
  std::fill_n(content.begin() + (256 << 10), 256 << 10, u8{0});
  std::ofstream(raw, std::ios::binary)
      .write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
  const auto run = [](const std::string& command) {
    ASSERT_EQ(std::system((command + " >/dev/null").c_str()), 0) << command;
  };
  run("truncate -s 3M " + raw);
  for (const char* options :
       {"-c", "-c -o cluster_size=512", "-o compat=0.10,cluster_size=4k", "-o cluster_size=2M"}) {
    run("qemu-img convert -f raw -O qcow2 " + std::string(options) + " " + raw + " " + path);
    for (const bool more : {false, true}) {
      if (more)
        run("qemu-img snapshot -c one " + path +
            " && qemu-io -f qcow2 -c 'write -z 64k 70k' -c 'write -P 9 100k 5k' " +
            "-c 'discard 512k 128k' -c 'write -P 7 2M 300k' " + path);
      run("qemu-img convert -f qcow2 -O raw " + path + " " + back);
      std::ifstream in(back, std::ios::binary);
      const Bytes expected{std::istreambuf_iterator<char>(in), {}};
      HostDrives drives;
      ASSERT_EQ(drives.add(path, HostDrives::Format::Detect, false), expected.size()) << options;
      const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
      Qcow2 qcow(fd);
      Bytes all(expected.size());
      EXPECT_TRUE(qcow.read(0, all)) << options;
      EXPECT_TRUE(all == expected) << options << ' ' << more;
      ::close(fd);
    }
  }
}

TEST(Qcow2, ADriveIsOne) {
  const TempFolder folder;
  Bytes disk;
  const Bytes bytes = image(&disk);
  std::ofstream(folder / "image", std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  Bytes request{kDiskRead};
  for (const auto& [value, size] : {std::pair<u64, unsigned>{0, 4}, {kCluster - 512, 8}, {1024, 4}})
    put_le(request, value, size);
  using Format = HostDrives::Format;
  for (const Format format : {Format::Detect, Format::Qcow2}) {
    HostDrives drives;
    EXPECT_EQ(drives.add(folder / "image", format, false), kSize);
    const auto from = disk.begin() + kCluster - 512;
    EXPECT_TRUE(drives.serve(request) == Bytes(from, from + 1024));
  }
  EXPECT_EQ(HostDrives().add(folder / "image", Format::Raw, false), (bytes.size() + 511) / 512 * 512);
  const auto message = [&](const std::string& path, Format format, bool writable) -> std::string {
    try {
      HostDrives().add(path, format, writable);
    } catch (const Fatal& problem) {
      return problem.what();
    }
    return {};
  };
  EXPECT_NE(message(folder / "image", Format::Detect, true).find("write=on needs a raw one"),
            std::string::npos);
  std::ofstream(folder / "plain") << std::string(1024, 'x');
  EXPECT_NE(message(folder / "plain", Format::Qcow2, false).find("no qcow2 image"), std::string::npos);
}

}  // namespace
}  // namespace hindcast::replay::test
