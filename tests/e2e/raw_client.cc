#include "tests/e2e/raw_client.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>

namespace lmcd::e2e {
namespace {

// The liveness file of this process: opened once, never closed (daemon/memory/liveness.h).
struct LivenessFile {
  int descriptor = -1;
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t slot = 0;
  pid_t owner = 0;
};
std::vector<LivenessFile>& liveness_files() {
  static auto* files = new std::vector<LivenessFile>;  // its descriptors outlive every client
  return *files;
}

uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

std::byte pattern_at(const lmcd_key_t& key, std::size_t i) {
  return std::byte(key.bytes[i % 32] + i / 32);
}

}  // namespace

lmcd_key_t key_of(uint64_t number) {
  lmcd_key_t key;
  for (uint64_t i = 0; i < 4; ++i) {
    const uint64_t word = mix(number * 4 + i + 1);
    std::memcpy(key.bytes + 8 * i, &word, 8);
  }
  return key;
}

std::optional<RawClient> RawClient::connect(const std::string& path) {
  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return std::nullopt;
  ::fcntl(socket.get(), F_SETFL, O_RDWR | O_NONBLOCK);
  return RawClient(std::move(socket));
}

std::optional<RawClient> RawClient::open(const std::string& path) {
  std::optional<RawClient> client = connect(path);
  if (!client || !client->greet() || !client->take_lock()) return std::nullopt;
  client->post(wire::Alive{client->welcome_.liveness_slot});
  return client;
}

RawClient::RawClient(RawClient&& other) noexcept
    : socket_(std::move(other.socket_)),
      received_(std::move(other.received_)),
      descriptors_(std::move(other.descriptors_)),
      last_request_(other.last_request_),
      welcome_(other.welcome_),
      arena_(std::exchange(other.arena_, nullptr)),
      ledger_memory_(std::exchange(other.ledger_memory_, nullptr)),
      ledger_(other.ledger_),
      events_(std::move(other.events_)),
      last_fault_(std::move(other.last_fault_)) {}

RawClient::~RawClient() {
  if (arena_ != nullptr) ::munmap(arena_, welcome_.arena_bytes);
  if (ledger_memory_ != nullptr) ::munmap(ledger_memory_, welcome_.ledger_bytes);
}

wire::Hello RawClient::hello() const {
  wire::Hello hello;
  hello.protocol_min = wire::kProtocolMin;
  hello.protocol_max = wire::kProtocolMax;
  hello.pid = static_cast<uint64_t>(::getpid());
  hello.name = "raw";
  for (const LivenessFile& file : liveness_files()) {
    // The last is the one of the daemon this test talks to.
    if (file.owner != ::getpid()) continue;
    hello.liveness_device = file.device;
    hello.liveness_inode = file.inode;
    hello.liveness_slot = file.slot;
  }
  return hello;
}

bool RawClient::greet() {
  Reply reply = ask(hello());
  if (!reply.is(wire::Welcome::kOpcode) || descriptors_.count < 2) return false;
  welcome_ = reply.as<wire::Welcome>();
  welcome_.hash_algorithm = welcome_.daemon_version = welcome_.instance_id = {};
  ledger_memory_ =
      ::mmap(nullptr, welcome_.ledger_bytes, PROT_READ, MAP_SHARED, descriptors_.items[0].get(), 0);
  void* arena = ::mmap(nullptr, welcome_.arena_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                       descriptors_.items[1].get(), 0);
  if (ledger_memory_ == MAP_FAILED || arena == MAP_FAILED) return false;
  arena_ = static_cast<std::byte*>(arena);
  Result<ledger::Reader> reader = ledger::Reader::open(ledger_memory_, welcome_.ledger_bytes);
  if (!reader.ok()) return false;
  ledger_ = reader.value();
  if (descriptors_.count > 2) {
    struct stat facts;
    ::fstat(descriptors_.items[2].get(), &facts);
    liveness_files().push_back({descriptors_.items[2].release(), facts.st_dev, facts.st_ino,
                                welcome_.liveness_slot, ::getpid()});
  }
  descriptors_ = {};
  return true;
}

bool RawClient::squat() {
  bool locked = true;
  for (LivenessFile& file : liveness_files()) {
    if (file.owner != ::getpid()) continue;
    struct flock all {};
    all.l_type = F_WRLCK;
    all.l_whence = SEEK_SET;
    locked = ::fcntl(file.descriptor, F_SETLK, &all) == 0 && locked;
  }
  return locked;
}

bool RawClient::take_lock() {
  for (LivenessFile& file : liveness_files()) {
    if (file.owner != ::getpid() || file.slot != welcome_.liveness_slot) continue;
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(file.slot);
    lock.l_len = 1;
    if (::fcntl(file.descriptor, F_SETLK, &lock) != 0) return false;
  }
  return true;
}

bool RawClient::send_bytes(std::span<const std::byte> bytes, std::span<const int> descriptors) {
  while (!bytes.empty()) {
    Result<Passage> sent = send_with_descriptors(socket_.get(), bytes, descriptors);
    if (!sent.ok() || sent.value().outcome == Passage::Outcome::kClosed) return false;
    if (sent.value().outcome == Passage::Outcome::kWouldBlock) {
      pollfd ready{socket_.get(), POLLOUT, 0};
      if (::poll(&ready, 1, kAnswerMs) <= 0) return false;
      continue;
    }
    bytes = bytes.subspan(sent.value().bytes);
    descriptors = {};
  }
  return true;
}

std::optional<Reply> RawClient::receive() {
  for (;;) {
    if (received_.size() >= sizeof(wire::Header)) {
      Reply reply;
      std::memcpy(&reply.header, received_.data(), sizeof reply.header);
      if (received_.size() >= reply.header.bytes) {
        auto end = received_.begin() + reply.header.bytes;
        reply.payload.assign(received_.begin() + sizeof reply.header, end);
        received_.erase(received_.begin(), end);
        return reply;
      }
    }
    pollfd ready{socket_.get(), POLLIN, 0};
    if (::poll(&ready, 1, kAnswerMs) <= 0) return std::nullopt;
    std::byte room[65536];
    Result<Passage> passage = receive_with_descriptors(socket_.get(), room, descriptors_);
    if (!passage.ok() || passage.value().outcome == Passage::Outcome::kClosed) return std::nullopt;
    received_.insert(received_.end(), room, room + passage.value().bytes);
  }
}

bool RawClient::closed() {
  for (;;) {
    std::optional<Reply> reply = receive();
    if (reply) {
      if (reply->is(wire::Fault::kOpcode)) last_fault_ = *reply;
      continue;
    }
    char byte;
    return ::recv(socket_.get(), &byte, 1, MSG_DONTWAIT) >= 0 || errno == ECONNRESET;
  }
}

Reply RawClient::answer_to(uint64_t request) {
  while (std::optional<Reply> reply = receive()) {
    if (reply->header.request == request) return std::move(*reply);
    for (const lmcd_event_t& event : reply->as<wire::Events>().events) events_.push_back(event);
  }
  return {};
}

std::vector<lmcd_event_t> RawClient::take_events() { return std::exchange(events_, {}); }

uint32_t RawClient::open_space(const std::string& description) {
  const lmcd_group_t group{LMCD_GROUP_FULL, 0};
  return static_cast<uint32_t>(ask(wire::NamespaceOpen{1, std::span(&group, 1), description})
                                   .as<wire::NamespaceOpened>()
                                   .space);
}

wire::Grant RawClient::reserve(uint32_t space, const lmcd_key_t& key, uint64_t bytes,
                               uint64_t lease) {
  wire::Reserve message;
  message.lease = lease;
  message.space = space;
  message.length = bytes;
  message.keys = std::span(&key, 1);
  Reply reply = ask(message);
  std::span<const wire::Grant> grants = reply.as<wire::Granted>().grants;
  return grants.size() == 1 ? grants[0] : wire::Grant{};
}

void RawClient::write(const wire::Grant& grant, const lmcd_key_t& key) {
  for (std::size_t i = 0; i < grant.length; ++i) arena_[grant.offset + i] = pattern_at(key, i);
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

wire::Grant RawClient::acquire(uint32_t space, const lmcd_key_t& key, uint64_t lease,
                               uint64_t timeout_ms) {
  wire::Acquire message;
  message.lease = lease;
  message.space = space;
  message.timeout_ms = timeout_ms;
  message.keys = std::span(&key, 1);
  Reply reply = ask(message);
  std::span<const wire::Grant> grants = reply.as<wire::Granted>().grants;
  return grants.size() == 1 ? grants[0] : wire::Grant{};
}

bool RawClient::whole(const wire::Grant& grant, const lmcd_key_t& key) const {
  for (std::size_t i = 0; i < grant.length; ++i) {
    if (arena_[grant.offset + i] != pattern_at(key, i)) return false;
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return ledger_->holds(grant.record, grant.word);
}

}  // namespace lmcd::e2e
