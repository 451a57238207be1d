// The folder that the guest cannot leave.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "semihost/host_files.h"
#include "tests/semihost/world.h"

namespace hindcast::semihost::test {
namespace {

namespace fs = std::filesystem;

class HostFilesTest : public ::testing::Test {
 protected:
  HostFilesTest() {
    std::string pattern = (fs::temp_directory_path() / "hindcast-files-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    top = pattern;
    fs::create_directory(top / "root");
    fs::create_directory(top / "root/sub");
    write_file(top / "secret", "secret");
    write_file(top / "root/file", "content");
    files = std::make_unique<HostFiles>((top / "root").string());
  }
  ~HostFilesTest() override { fs::remove_all(top); }

  static void write_file(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }
  static std::string read_file(const fs::path& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static Bytes bytes(const std::string& text) { return {text.begin(), text.end()}; }
  Reply serve(const Request& request) {
    auto reply = decode_reply(files->serve(encode(request)));
    EXPECT_TRUE(reply);
    return reply.value_or(Reply{});
  }
  Errno open(const std::string& name, u8 mode, u16 handle = 1) {
    return serve({.op = FileOp::Open, .mode = mode, .handle = handle, .data = bytes(name), .data2 = {}})
        .error;
  }
  Errno close(u16 handle = 1) {
    return serve({.op = FileOp::Close, .handle = handle, .data = {}, .data2 = {}}).error;
  }
  Reply read(u64 offset, u32 count, u16 handle = 1) {
    return serve(
        {.op = FileOp::Read, .handle = handle, .offset = offset, .count = count, .data = {}, .data2 = {}});
  }
  Reply write(u64 offset, const std::string& text, u16 handle = 1) {
    return serve({.op = FileOp::Write, .handle = handle, .offset = offset, .data = bytes(text), .data2 = {}});
  }

  fs::path top;
  std::unique_ptr<HostFiles> files;
};

TEST_F(HostFilesTest, ReadsAndEndsAtTheEnd) {
  ASSERT_EQ(open("file", 0), Errno::None);
  EXPECT_EQ(read(0, 4).data, bytes("cont"));
  EXPECT_EQ(read(4, 100).data, bytes("ent"));
  EXPECT_TRUE(read(7, 100).data.empty());
  EXPECT_TRUE(read(1u << 30, 1).data.empty());
  EXPECT_EQ(serve({.op = FileOp::Length, .handle = 1, .data = {}, .data2 = {}}).value, 7u);
  EXPECT_EQ(write(0, "x").error, Errno::BadHandle);
  EXPECT_EQ(close(), Errno::None);
  EXPECT_EQ(close(), Errno::BadHandle);
  EXPECT_EQ(read(0, 1).error, Errno::BadHandle);
}

TEST_F(HostFilesTest, TheTwelveModes) {
  for (u8 mode = 0; mode < 12; ++mode) {
    fs::remove(top / "root/new");
    EXPECT_EQ(open("new", mode), mode < 4 ? Errno::NoEntry : Errno::None) << int{mode};
    close();
    write_file(top / "root/new", "12345");
    ASSERT_EQ(open("new", mode), Errno::None);
    bool truncates = mode / 4 == 1, appends = mode / 4 == 2, reads = mode < 2 || (mode & 2) != 0,
         writes = mode > 1;
    EXPECT_EQ(fs::file_size(top / "root/new"), truncates ? 0u : 5u);
    EXPECT_EQ(read(0, 5).error, reads ? Errno::None : Errno::BadHandle) << int{mode};
    Reply written = write(0, "ab");
    EXPECT_EQ(written.error, writes ? Errno::None : Errno::BadHandle) << int{mode};
    if (writes) {
      EXPECT_EQ(written.value, appends ? 7u : 2u);
    }
    close();
    EXPECT_EQ(read_file(top / "root/new"), !writes     ? "12345"
                                           : truncates ? "ab"
                                           : appends   ? "12345ab"
                                                       : "ab345");
  }
}

TEST_F(HostFilesTest, NothingOutsideTheFolder) {
  fs::create_symlink("../secret", top / "root/out");
  fs::create_symlink("/etc/passwd", top / "root/absolute");
  fs::create_symlink("/proc/self/root", top / "root/magic");
  fs::create_symlink("loop", top / "root/loop");
  fs::create_symlink("sub/../file", top / "root/inside");
  const std::string outside[] = {"../secret",
                                 "/etc/passwd",
                                 "sub/../../secret",
                                 (top / "secret").string(),
                                 "out",
                                 "absolute",
                                 "..",
                                 "sub/../..",
                                 "magic/etc/passwd",
                                 "/",
                                 "./../root/file",
                                 "//file",
                                 "loop"};
  for (const std::string& name : outside) {
    for (u8 mode : {0, 2, 4, 8}) {
      Errno error = open(name, mode);
      EXPECT_TRUE(error == Errno::Access || error == Errno::IsDirectory || error == Errno::Loop)
          << name << " " << static_cast<int>(error);
      close();
    }
    EXPECT_NE(serve({.op = FileOp::Rename, .data = bytes("file"), .data2 = bytes("../stolen")}).error,
              Errno::None);
    EXPECT_NE(serve({.op = FileOp::Rename, .data = bytes("../secret"), .data2 = bytes("got")}).error,
              Errno::None);
  }
  for (const char* name : {"../secret", "/etc/passwd", "sub/../../secret", "..", ".", "sub/.."})
    EXPECT_NE(serve({.op = FileOp::Remove, .data = bytes(name), .data2 = {}}).error, Errno::None) << name;
  EXPECT_EQ(read_file(top / "secret"), "secret");
  EXPECT_FALSE(fs::exists(top / "stolen"));
  EXPECT_EQ(open("inside", 0), Errno::None);  // a link that stays inside is a file like any other
  EXPECT_EQ(read(0, 7).data, bytes("content"));
}

TEST_F(HostFilesTest, OnlyRegularFiles) {
  ASSERT_EQ(::mkfifo((top / "root/fifo").c_str(), 0600), 0);
  for (u8 mode = 0; mode < 12; ++mode) {
    EXPECT_EQ(open("fifo", mode), Errno::Access) << int{mode};  // and does not wait for the other end
    EXPECT_EQ(open("sub", mode), Errno::IsDirectory) << int{mode};
  }
}

TEST_F(HostFilesTest, StrangeNames) {
  EXPECT_EQ(open("", 0), Errno::NoEntry);
  EXPECT_EQ(open(std::string("file\0x", 6), 0), Errno::NoEntry);
  EXPECT_EQ(open(std::string(kMaxName, 'a'), 4), Errno::NameTooLong);
  EXPECT_EQ(open("file/", 0), Errno::NotDirectory);
  EXPECT_EQ(open("missing/file", 4), Errno::NoEntry);
}

TEST_F(HostFilesTest, RemoveAndRename) {
  EXPECT_EQ(serve({.op = FileOp::Rename, .data = bytes("file"), .data2 = bytes("sub/moved")}).error,
            Errno::None);
  EXPECT_EQ(read_file(top / "root/sub/moved"), "content");
  EXPECT_EQ(serve({.op = FileOp::Remove, .data = bytes("sub"), .data2 = {}}).error, Errno::IsDirectory);
  EXPECT_EQ(serve({.op = FileOp::Remove, .data = bytes("sub/moved"), .data2 = {}}).error, Errno::None);
  EXPECT_EQ(serve({.op = FileOp::Remove, .data = bytes("sub/moved"), .data2 = {}}).error, Errno::NoEntry);
}

TEST_F(HostFilesTest, CloseAllFreesEveryHandle) {
  for (u16 handle = 0; handle < kMaxHandles; ++handle) ASSERT_EQ(open("file", 0, handle), Errno::None);
  EXPECT_EQ(open("file", 0, 5), Errno::Busy);
  EXPECT_EQ(serve({.op = FileOp::CloseAll, .data = {}, .data2 = {}}).error, Errno::None);
  EXPECT_EQ(open("file", 0, 5), Errno::None);
}

TEST_F(HostFilesTest, AFullDiskIsAShortWrite) {
  struct sigaction ignore {
  }, before{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGXFSZ, &ignore, &before);
  rlimit old{}, small{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  small = {4096, old.rlim_max};
  ASSERT_EQ(open("big", 4), Errno::None);
  ::setrlimit(RLIMIT_FSIZE, &small);
  Reply reply = write(0, std::string(6000, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &old);
  ::sigaction(SIGXFSZ, &before, nullptr);
  EXPECT_EQ(reply.error, Errno::FileTooBig);
  EXPECT_EQ(reply.data, (Bytes{0, 16, 0, 0}));
  EXPECT_EQ(reply.value, 4096u);
}

TEST_F(HostFilesTest, WithoutARootThereIsNothing) {
  files = std::make_unique<HostFiles>("");
  EXPECT_EQ(open("file", 0), Errno::Access);
  EXPECT_EQ(open("/etc/passwd", 0), Errno::Access);
  EXPECT_EQ(serve({.op = FileOp::Remove, .data = bytes("file"), .data2 = {}}).error, Errno::Access);
  EXPECT_EQ(read(0, 1).error, Errno::Access);
}

TEST_F(HostFilesTest, ARootThatIsNoFolderIsRefused) {
  EXPECT_THROW(HostFiles((top / "missing").string()), Fatal);
  EXPECT_THROW(HostFiles((top / "secret").string()), Fatal);
}

TEST_F(HostFilesTest, MalformedRequestsAreAnswered) {
  auto reply = decode_reply(files->serve(Bytes{1, 2, 3}));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->error, Errno::Invalid);
}

TEST_F(HostFilesTest, EffectsAreAnnounced) {
  auto effects = [](Request request) { return HostFiles::has_effects(encode(request)); };
  EXPECT_FALSE(effects({.op = FileOp::Open, .mode = 3, .data = {}, .data2 = {}}));
  EXPECT_TRUE(effects({.op = FileOp::Open, .mode = 4, .data = {}, .data2 = {}}));
  EXPECT_TRUE(effects({.op = FileOp::Write, .data = {}, .data2 = {}}));
  EXPECT_TRUE(effects({.op = FileOp::Remove, .data = {}, .data2 = {}}));
  EXPECT_TRUE(effects({.op = FileOp::Rename, .data = {}, .data2 = {}}));
  EXPECT_FALSE(effects({.op = FileOp::Read, .data = {}, .data2 = {}}));
  EXPECT_FALSE(HostFiles::has_effects(Bytes{9}));
}

}  // namespace
}  // namespace hindcast::semihost::test
