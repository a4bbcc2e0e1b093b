// What every backing of arena and ledger promises, run on each of them: POSIX shared memory (in a
// directory of the test's own, on a tmpfs), memfd with a stand-in for the supervisor, and a file.
//
// A restart is a new Backing of the same options; a daemon's death is the destruction of all it
// had, with or without discard(). What only one kind promises follows at the end.
#include "daemon/memory/backing.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <memory>

#include "daemon/memory/shm_sweep.h"
#include "lib/base/bytes.h"
#include "lib/base/guarded.h"
#include "lib/ledger/layout.h"
#include "tests/scratch_directory.h"

namespace lmcd::memory {
namespace {

constexpr uint64_t kArena = 4 * kMiB;
constexpr uint64_t kLedger = 64 * kKiB;

// Keeps descriptors as a service manager does.
class FakeStore final : public DescriptorStore {
 public:
  bool keeps() const override { return true; }
  FileDescriptor take(std::string_view name) override {
    auto found = kept.find(name);
    return found == kept.end() ? FileDescriptor() : std::move(found->second.duplicate().value());
  }
  Status store(std::string_view name, int descriptor) override {
    kept[std::string(name)] = FileDescriptor(fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
    return {};
  }
  Status forget(std::string_view name) override {
    if (auto found = kept.find(name); found != kept.end()) kept.erase(found);
    return {};
  }

  std::map<std::string, FileDescriptor, std::less<>> kept;
};

struct BackingTest : testing::TestWithParam<BackingKind> {
  BackingTest() : shm("/dev/shm") {
    options.kind = GetParam();
    options.identity = "0123456789abcdef";
    options.shm_directory = shm.path();
    if (options.kind == BackingKind::kFile) options.path = disk / "arena";
  }
  std::unique_ptr<Backing> open() { return std::move(make_backing(options, store).value()); }
  static std::byte* map(const FileDescriptor& file, uint64_t length) {
    void* address = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    EXPECT_NE(address, MAP_FAILED);
    return static_cast<std::byte*>(address);
  }

  ScratchDirectory shm;
  ScratchDirectory disk;
  FakeStore store;
  BackingOptions options;
};

TEST_P(BackingTest, nothing_is_found_where_nothing_was_left) {
  auto found = open()->attach();
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found.value().has_value());
}

TEST_P(BackingTest, what_is_made_has_its_sizes_and_an_empty_ledger) {
  auto backing = open();
  auto made = backing->create(kArena, kLedger);
  ASSERT_TRUE(made.ok()) << made.status().text();
  const SharedMemory& memory = made.value();
  EXPECT_EQ(memory.arena_bytes, kArena);
  EXPECT_EQ(memory.ledger_bytes, kLedger);
  std::byte* ledger = map(memory.ledger, kLedger);
  for (uint64_t i = 0; i < kLedger; ++i) ASSERT_EQ(ledger[i], std::byte{0});
  std::memset(map(memory.arena, kArena), 1, kArena);
  struct stat facts;
  for (const FileDescriptor* file : {&memory.arena, &memory.ledger}) {
    ASSERT_EQ(fstat(file->get(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777, 0600u);
    EXPECT_EQ(fcntl(file->get(), F_GETFD), FD_CLOEXEC);
  }
}

TEST_P(BackingTest, a_restart_finds_every_byte) {
  {
    auto backing = open();
    SharedMemory memory = std::move(backing->create(kArena, kLedger).value());
    std::memset(map(memory.arena, kArena), 0x5a, kArena);
    std::memcpy(map(memory.ledger, kLedger), &ledger::kMagic, sizeof ledger::kMagic);
    ASSERT_TRUE(backing->sync(memory).ok());
  }
  auto found = open()->attach();
  ASSERT_TRUE(found.ok()) << found.status().text();
  ASSERT_TRUE(found.value().has_value());
  const SharedMemory& memory = *found.value();
  EXPECT_EQ(memory.arena_bytes, kArena);
  EXPECT_EQ(memory.ledger_bytes, kLedger);
  std::byte* arena = map(memory.arena, kArena);
  for (uint64_t i = 0; i < kArena; ++i) ASSERT_EQ(arena[i], std::byte{0x5a});
  EXPECT_EQ(std::memcmp(map(memory.ledger, kLedger), &ledger::kMagic, 8), 0);
}

TEST_P(BackingTest, made_anew_the_old_stays_whole_for_who_maps_it) {
  auto backing = open();
  SharedMemory old = std::move(backing->create(kArena, kLedger).value());
  std::byte* bytes = map(old.arena, kArena);
  std::memset(bytes, 1, kArena);
  auto fresh = backing->create(2 * kArena, kLedger);
  ASSERT_TRUE(fresh.ok()) << fresh.status().text();
  EXPECT_EQ(fresh.value().arena_bytes, 2 * kArena);
  std::memset(map(fresh.value().arena, 2 * kArena), 2, 2 * kArena);
  for (uint64_t i = 0; i < kArena; ++i) ASSERT_EQ(bytes[i], std::byte{1});
  // And it is the new that a restart finds.
  backing.reset();
  EXPECT_EQ(open()->attach().value()->arena_bytes, 2 * kArena);
}

TEST_P(BackingTest, what_is_discarded_is_not_found) {
  {
    auto backing = open();
    SharedMemory memory = std::move(backing->create(kArena, kLedger).value());
    ASSERT_TRUE(backing->discard().ok());
    ASSERT_TRUE(backing->discard().ok());  // again
  }
  EXPECT_FALSE(open()->attach().value().has_value());
  EXPECT_TRUE(std::filesystem::is_empty(shm.path()));
  EXPECT_TRUE(std::filesystem::is_empty(disk.path()));
  EXPECT_TRUE(store.kept.empty());
}

TEST_P(BackingTest, clients_cannot_map_the_ledger_writable) {
  auto backing = open();
  SharedMemory memory = std::move(backing->create(kArena, kLedger).value());
  FileDescriptor ledger = std::move(memory.ledger_for_clients().value());
  EXPECT_EQ(mmap(nullptr, kLedger, PROT_WRITE, MAP_SHARED, ledger.get(), 0), MAP_FAILED);
  EXPECT_NE(mmap(nullptr, kLedger, PROT_READ, MAP_SHARED, ledger.get(), 0), MAP_FAILED);
  FileDescriptor arena = std::move(memory.arena_for_clients().value());
  map(arena, kArena)[5] = std::byte{7};
  EXPECT_EQ(map(memory.arena, kArena)[5], std::byte{7});
}

TEST_P(BackingTest, a_size_that_cannot_be_had_is_refused_and_leaves_nothing) {
  auto made = open()->create(uint64_t{1} << 50, kLedger);
  ASSERT_FALSE(made.ok());
  Status status = made.status();
  EXPECT_EQ(status.code(), LMCD_E_NO_MEMORY) << status.text();
  EXPECT_NE(status.text().find("--l1-size-gb"), std::string_view::npos) << status.text();
  EXPECT_TRUE(std::filesystem::is_empty(shm.path()));
  EXPECT_TRUE(std::filesystem::is_empty(disk.path()));
  EXPECT_TRUE(store.kept.empty());
}

TEST_P(BackingTest, half_of_a_pair_is_nothing_and_makes_way) {
  auto lose = [&](const char* half) {
    { (void)open()->create(kArena, kLedger); }
    const std::string name = "lmcd_" + options.identity + "_" + half;
    if (options.kind == BackingKind::kMemfd) store.kept.erase(name);
    if (options.kind == BackingKind::kPosixShm) std::filesystem::remove(shm / name);
    if (options.kind == BackingKind::kFile && half == std::string("arena"))
      std::filesystem::remove(options.path);
    auto backing = open();
    auto found = backing->attach();
    ASSERT_TRUE(found.ok()) << found.status().text();
    EXPECT_FALSE(found.value().has_value());
    EXPECT_TRUE(backing->create(kArena, kLedger).ok());
  };
  lose("arena");
  if (options.kind != BackingKind::kFile) lose("ledger");
}

std::string print_kind(const testing::TestParamInfo<BackingKind>& instance) {
  switch (instance.param) {
    case BackingKind::kPosixShm:
      return "posix_shm";
    case BackingKind::kMemfd:
      return "memfd";
    case BackingKind::kFile:
      return "file";
  }
  return "";
}

INSTANTIATE_TEST_SUITE_P(Kinds, BackingTest,
                         testing::Values(BackingKind::kPosixShm, BackingKind::kMemfd,
                                         BackingKind::kFile),
                         print_kind);

// -- Named memory ----------------------------------------------------------------------------

struct NamedBackingTest : BackingTest {};

TEST_P(NamedBackingTest, memory_in_use_is_refused_and_stays) {
  auto first = open();
  SharedMemory memory = std::move(first->create(kArena, kLedger).value());
  auto second = open();
  EXPECT_EQ(second->attach().status().code(), LMCD_E_LIMIT);
  EXPECT_EQ(second->create(kArena, kLedger).status().code(), LMCD_E_LIMIT);
  EXPECT_EQ(second->discard().code(), LMCD_E_LIMIT);
  first.reset();
  EXPECT_TRUE(second->attach().value().has_value());
}

TEST_P(NamedBackingTest, a_client_s_descriptor_does_not_hold_the_name) {
  FileDescriptor client;
  {
    auto backing = open();
    SharedMemory memory = std::move(backing->create(kArena, kLedger).value());
    client = std::move(memory.arena_for_clients().value());
  }
  EXPECT_TRUE(open()->attach().value().has_value());
}

INSTANTIATE_TEST_SUITE_P(Kinds, NamedBackingTest,
                         testing::Values(BackingKind::kPosixShm, BackingKind::kFile));

struct FileBackingTest : BackingTest {};

TEST_P(FileBackingTest, a_file_that_is_not_ours_is_never_touched) {
  auto put = [](const std::string& path, const char* content) {
    FileDescriptor file(::open(path.c_str(), O_CREAT | O_RDWR | O_TRUNC, 0600));
    ASSERT_GT(write(file.get(), content, std::strlen(content)), 0);
  };
  put(options.path, "holiday pictures");
  EXPECT_EQ(open()->attach().status().code(), LMCD_E_INVALID);
  EXPECT_EQ(open()->create(kArena, kLedger).status().code(), LMCD_E_INVALID);
  EXPECT_EQ(open()->discard().code(), LMCD_E_INVALID);
  put(options.path + ".ledger", "of a bookkeeper");
  EXPECT_EQ(open()->create(kArena, kLedger).status().code(), LMCD_E_INVALID);
  EXPECT_EQ(std::filesystem::file_size(options.path), 16u);
}

TEST_P(FileBackingTest, its_blocks_are_there_before_they_are_used) {
  SharedMemory memory = std::move(open()->create(kArena, kLedger).value());
  struct stat facts;
  ASSERT_EQ(fstat(memory.arena.get(), &facts), 0);
  EXPECT_GE(facts.st_blocks * 512, static_cast<int64_t>(kArena));
  EXPECT_TRUE(open()->outlives_boot());
}

TEST_P(FileBackingTest, a_device_that_is_no_dax_device_is_refused) {
  options.path = "/dev/null";
  options.ledger_path = disk / "ledger";
  Status status = open()->create(kArena, kLedger).status();
  EXPECT_EQ(status.text(), "--l1-path /dev/null is a device, but no DAX device");
  EXPECT_TRUE(std::filesystem::exists("/dev/null"));
  EXPECT_FALSE(std::filesystem::exists(options.ledger_path));
}

INSTANTIATE_TEST_SUITE_P(Kinds, FileBackingTest, testing::Values(BackingKind::kFile));

// -- memfd -----------------------------------------------------------------------------------

struct MemfdBackingTest : BackingTest {};

TEST_P(MemfdBackingTest, no_holder_of_a_descriptor_can_change_its_size) {
  SharedMemory memory = std::move(open()->create(kArena, kLedger).value());
  FileDescriptor client = std::move(memory.arena_for_clients().value());
  EXPECT_NE(ftruncate(client.get(), 0), 0);
  EXPECT_NE(ftruncate(client.get(), 2 * kArena), 0);
  EXPECT_NE(ftruncate(memory.ledger.get(), 0), 0);
}

TEST_P(MemfdBackingTest, memory_that_is_not_sealed_is_not_taken_back) {
  const std::string stem = "lmcd_" + options.identity;
  for (const char* half : {"_arena", "_ledger"}) {
    FileDescriptor loose(memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    ASSERT_EQ(ftruncate(loose.get(), kLedger), 0);
    ASSERT_TRUE(store.store(stem + half, loose.get()).ok());
  }
  EXPECT_FALSE(open()->attach().value().has_value());
  EXPECT_TRUE(store.kept.empty());
}

INSTANTIATE_TEST_SUITE_P(Kinds, MemfdBackingTest, testing::Values(BackingKind::kMemfd));

// -- Options and sweeping --------------------------------------------------------------------

TEST(BackingOptions, that_make_no_sense_are_named) {
  Supervisor nobody;
  auto refusal = [&](BackingOptions options) {
    auto made = make_backing(options, nobody);
    return made.ok() ? std::string("accepted") : std::string(made.status().text());
  };
  EXPECT_EQ(refusal({.identity = "../etc"}), "identity \"../etc\": want 1 to 64 of 0-9 and a-z");
  EXPECT_EQ(refusal({.kind = BackingKind::kFile, .identity = "a"}),
            "--l1-backing file needs --l1-path, the file or DAX device");
  EXPECT_EQ(refusal({.identity = "a", .path = "/x"}),
            "--l1-path /x counts with --l1-backing file only");
}

TEST(BackingOptions, huge_pages_are_given_or_refused_with_advice) {
  Supervisor nobody;
  ScratchDirectory disk;
  for (BackingKind kind : {BackingKind::kPosixShm, BackingKind::kMemfd, BackingKind::kFile}) {
    BackingOptions options{.kind = kind, .identity = "hugetest", .huge_pages = true};
    if (kind == BackingKind::kFile) options.path = disk / "arena";
    auto backing = std::move(make_backing(options, nobody).value());
    auto made = backing->create(kArena, kLedger);
    if (made.ok()) {
      // Given: then mapping and advice work.
      EXPECT_TRUE(
          GuardedRegion::map(made.value().arena.get(), made.value().arena_bytes, Access::kReadWrite)
              .ok());
      ASSERT_TRUE(backing->discard().ok());
      continue;
    }
    Status status = made.status();
    EXPECT_EQ(status.text().substr(0, 18), "--l1-use-hugepages");
    EXPECT_TRUE(status.code() == LMCD_E_NO_MEMORY || status.code() == LMCD_E_UNSUPPORTED);
  }
}

struct SweepTest : testing::Test {
  SweepTest() : shm("/dev/shm") {}
  std::unique_ptr<Backing> open(const char* identity) {
    return std::move(
        make_backing({.identity = identity, .shm_directory = shm.path()}, nobody).value());
  }
  void leave(const char* identity) { ASSERT_TRUE(open(identity)->create(kArena, kLedger).ok()); }
  uint32_t sweep(int64_t now_s) { return sweep_shm(shm.path(), now_s).value().files; }

  ScratchDirectory shm;
  Supervisor nobody;
};

TEST_F(SweepTest, memory_goes_when_seen_unheld_twice_an_hour_apart) {
  leave("gone");
  EXPECT_EQ(sweep(1000000), 0u);
  EXPECT_EQ(sweep(1003599), 0u);
  EXPECT_EQ(sweep(1003600), 2u);
  EXPECT_TRUE(std::filesystem::is_empty(shm.path()));
}

TEST_F(SweepTest, memory_in_use_stays_however_long) {
  auto alive = open("alive");
  ASSERT_TRUE(alive->create(kArena, kLedger).ok());
  EXPECT_EQ(sweep(1000000), 0u);
  EXPECT_EQ(sweep(9000000), 0u);
}

TEST_F(SweepTest, memory_adopted_in_between_begins_anew) {
  leave("paused");
  EXPECT_EQ(sweep(1000000), 0u);
  EXPECT_TRUE(open("paused")->attach().value().has_value());
  EXPECT_EQ(sweep(1003600), 0u);
  EXPECT_TRUE(open("paused")->attach().value().has_value());
}

TEST_F(SweepTest, a_ledger_alone_goes_when_it_is_old_and_strangers_stay) {
  leave("half");
  std::filesystem::remove(shm / "lmcd_half_arena");
  for (const char* stranger : {"lmcd_kv_7_0", "other_arena"})
    FileDescriptor(::open((shm / stranger).c_str(), O_CREAT | O_RDWR, 0600));
  const int64_t now_s = time(nullptr);
  EXPECT_EQ(sweep(now_s), 0u);
  EXPECT_EQ(sweep(now_s + 4000), 1u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(shm.path()), {}), 2);
}

}  // namespace
}  // namespace lmcd::memory
