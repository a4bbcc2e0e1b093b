#include "daemon/memory/identity.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

#include "daemon/memory/state_file.h"

namespace lmcd::memory {
namespace {

constexpr std::size_t kInstanceIdBytes = 63;

// FNV-1a of 64 bits: names a directory; remember() notices when two names share one.
std::string digest_of(const std::string& name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : name) hash = (hash ^ c) * 0x100000001b3;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

// A UUID of version 4 (RFC 9562).
Result<std::string> make_uuid() {
  uint8_t bytes[16];
  if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
    return errno_fault(LMCD_E_IO, errno, "getrandom");
  bytes[6] = static_cast<uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<uint8_t>((bytes[8] & 0x3f) | 0x80);
  std::string text;
  for (int i = 0; i < 16; ++i) {
    char pair[3];
    std::snprintf(pair, sizeof pair, "%02x", bytes[i]);
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += pair;
  }
  return text;
}

Status make_directories(const std::string& path) {
  std::error_code error;
  const std::filesystem::path full(path);
  if (full.has_parent_path()) std::filesystem::create_directories(full.parent_path(), error);
  if (!error && mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    error.assign(errno, std::generic_category());
  if (!error) return {};
  return errno_fault(error.value() == EACCES ? LMCD_E_DENIED : LMCD_E_IO, error.value(),
                     "make the state directory %s (choose another with --state-dir)", path.c_str());
}

// The lines of an identity file.
struct Remembered {
  std::string name;  // what the digest stands for
  std::string uuid;
};

bool is_uuid(const std::string& text) {
  constexpr std::string_view kForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  return std::equal(text.begin(), text.end(), kForm.begin(), kForm.end(), [](char c, char form) {
    return form == 'x' ? std::isxdigit(static_cast<unsigned char>(c)) != 0 : c == form;
  });
}

// Nothing when the text is no identity file's.
std::optional<Remembered> parse_identity(const std::string& text) {
  if (text.size() < 2 || text.back() != '\n') return std::nullopt;
  const std::size_t end = text.rfind('\n', text.size() - 2);
  if (end == std::string::npos) return std::nullopt;
  Remembered found{text.substr(0, end), text.substr(end + 1, text.size() - end - 2)};
  const bool named = found.name.starts_with("socket /") || found.name.starts_with("instance ");
  if (!named || !is_uuid(found.uuid)) return std::nullopt;
  return found;
}

Status check_instance_id(const std::string& id) {
  const bool printable =
      std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (id.size() <= kInstanceIdBytes && printable) return {};
  return fault(LMCD_E_INVALID, "--instance-id \"%.80s\": want up to %zu printable ASCII bytes",
               id.c_str(), kInstanceIdBytes);
}

}  // namespace

std::string state_base(const StatePlaces& places) {
  if (!places.state_dir.empty()) return places.state_dir;
  if (!places.state_directory.empty())
    return places.state_directory.substr(0, places.state_directory.find(':'));
  if (!places.xdg_state_home.empty()) return places.xdg_state_home + "/lmcd";
  if (!places.system_user && !places.home.empty()) return places.home + "/.local/state/lmcd";
  return "/var/lib/lmcd";
}

Result<Identity> Identity::take(const Options& options) {
  LMCD_TRY(check_instance_id(options.instance_id));
  if (options.instance_id.empty() && !options.socket_path.starts_with('/'))
    return fault(LMCD_E_INVALID, "--socket \"%s\": want an absolute path",
                 options.socket_path.c_str());
  Identity identity;
  identity.digest_ =
      digest_of(options.instance_id.empty() ? options.socket_path : options.instance_id);
  LMCD_TRY(make_directories(options.state_base));
  identity.directory_ = options.state_base + "/" + identity.digest_;
  LMCD_TRY(make_directories(identity.directory_));
  LMCD_TRY(identity.lock());
  LMCD_TRY(identity.remember(options));
  return identity;
}

Status Identity::lock() {
  const std::string path = path_of("lock");
  FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid())
    return errno_fault(errno == EACCES ? LMCD_E_DENIED : LMCD_E_IO, errno, "open %s", path.c_str());
  char pid[16] = {};
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error != EWOULDBLOCK) return errno_fault(LMCD_E_IO, error, "lock %s", path.c_str());
    if (pread(file.get(), pid, sizeof pid - 1, 0) <= 0) pid[0] = '?';
    return fault(LMCD_E_LIMIT,
                 "another daemon (pid %.*s) has this identity, by %s: stop it, or give this one "
                 "another --socket or --instance-id",
                 static_cast<int>(std::find(pid, pid + sizeof pid - 1, '\n') - pid), pid,
                 path.c_str());
  }
  const int length = std::snprintf(pid, sizeof pid, "%d\n", getpid());
  if (ftruncate(file.get(), 0) != 0 || pwrite(file.get(), pid, length, 0) != length)
    return errno_fault(LMCD_E_IO, errno, "write %s", path.c_str());
  lock_ = std::move(file);
  return {};
}

Status Identity::remember(const Options& options) {
  const std::string name = options.instance_id.empty() ? "socket " + options.socket_path
                                                       : "instance " + options.instance_id;
  LMCD_ASSIGN(const auto known, read_state_file(path_of("identity")));
  if (known) {
    std::optional<Remembered> found = parse_identity(*known);
    if (!found) {
      return fault(LMCD_E_CORRUPT,
                   "%s is damaged: want a line \"%s\" and one with a UUID. Move it away to begin "
                   "with a new identity, and an empty arena",
                   path_of("identity").c_str(), name.c_str());
    }
    if (found->name != name) {
      return fault(LMCD_E_INVALID,
                   "%s is the state of another daemon (%.200s): choose another "
                   "--state-dir or --instance-id",
                   directory_.c_str(), found->name.c_str());
    }
    uuid_ = std::move(found->uuid);
  } else {
    LMCD_ASSIGN(uuid_, make_uuid());
    LMCD_TRY(write_state_file(path_of("identity"), name + "\n" + uuid_ + "\n"));
  }
  instance_id_ = options.instance_id.empty() ? uuid_ : options.instance_id;
  return {};
}

Result<std::array<uint8_t, 16>> boot_id() {
  constexpr const char* kPath = "/proc/sys/kernel/random/boot_id";
  std::ifstream file(kPath);
  std::string text;
  std::getline(file, text);
  std::erase(text, '-');
  std::array<uint8_t, 16> id{};
  const bool good =
      text.size() == 2 * id.size() &&
      std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c); });
  if (!good) return fault(LMCD_E_IO, "%s says \"%.80s\": want a UUID", kPath, text.c_str());
  for (std::size_t i = 0; i < id.size(); ++i)
    id[i] = static_cast<uint8_t>(std::stoi(text.substr(2 * i, 2), nullptr, 16));
  return id;
}

}  // namespace lmcd::memory
