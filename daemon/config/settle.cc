#include "daemon/config/settle.h"

#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "daemon/config/spelling.h"
#include "lib/base/bytes.h"
#include "lib/base/huge_pages.h"

namespace lmcd::config {
namespace {

constexpr std::size_t kInstanceIdBytes = 63;
constexpr uint64_t kDefaultInitBytes = 20 * kGiB;

bool given(const Options& options, Item item) { return options.source(item) != Source::kDefault; }

Result<std::string> absolute(const std::string& path, const char* option) {
  std::error_code error;
  std::string out = std::filesystem::absolute(path, error).lexically_normal().string();
  if (error || path.empty())
    return fault(LMCD_E_INVALID, "option \"%s\": %s is not a path", option,
                 in_quotes(path).c_str());
  return out;
}

Status settle_socket(Options& options, const Environment& environment) {
  if (!given(options, Item::socket)) {
    std::string_view runtime = environment.value("XDG_RUNTIME_DIR");
    options.socket = runtime.empty() ? "/run" : std::string(runtime);
    options.socket += "/lmcd/lmcd.sock";
  }
  LMCD_ASSIGN(options.socket, absolute(options.socket, "socket"));
  constexpr std::size_t longest = sizeof(sockaddr_un::sun_path) - 1;
  if (options.socket.size() > longest)
    return fault(LMCD_E_INVALID,
                 "option \"socket\": %s has %zu bytes; a Unix socket's path has at most %zu",
                 in_quotes(options.socket).c_str(), options.socket.size(), longest);
  return {};
}

bool names_a_file(std::string_view text) {
  return text.size() <= kInstanceIdBytes && !text.starts_with('.') &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

// Without an id the socket's path stands for the daemon, whose state directory has a name for it.
Status check_instance_id(const Options& options) {
  if (names_a_file(options.instance_id)) return {};
  return fault(LMCD_E_INVALID,
               "option \"instance-id\": %s is not valid; takes up to %zu letters, digits, "
               "'.', '_' and '-', not '.' first",
               in_quotes(options.instance_id).c_str(), kInstanceIdBytes);
}

Status settle_state_dir(Options& options, const Environment& environment) {
  if (!given(options, Item::state_dir)) {
    std::string_view service = environment.value("STATE_DIRECTORY");  // systemd.exec(5)
    std::string_view state = environment.value("XDG_STATE_HOME");
    std::string_view home = environment.value("HOME");
    if (!service.empty())
      options.state_dir = service.substr(0, service.find(':'));
    else if (!state.empty())
      options.state_dir = std::string(state) + "/lmcd";
    else if (geteuid() == 0 || home.empty())
      options.state_dir = "/var/lib/lmcd";
    else
      options.state_dir = std::string(home) + "/.local/state/lmcd";
  }
  LMCD_ASSIGN(options.state_dir, absolute(options.state_dir, "state-dir"));
  return {};
}

Status settle_arena(Options& options, std::vector<std::string>& warnings) {
  if (!is_power_of_two(options.l1_align_bytes))
    return fault(
        LMCD_E_INVALID,
        "option \"l1-align-bytes\": %zu is not valid; takes a power of two, 4096 to 2097152",
        std::size_t{options.l1_align_bytes});
  uint64_t unit =
      std::max(options.l1_align_bytes, options.l1_use_hugepages ? kHugePageBytes : uint64_t{4096});
  options.l1_size_bytes = round_down(options.l1_size_bytes, unit);
  if (options.l1_size_bytes == 0)
    return fault(LMCD_E_INVALID, "option \"l1-size-gb\": holds not one unit of %zu bytes",
                 std::size_t{unit});
  if (!given(options, Item::l1_init_size_bytes))
    options.l1_init_size_bytes = std::min(kDefaultInitBytes, options.l1_size_bytes);
  else if (!options.l1_use_lazy)
    warnings.push_back(
        "option \"l1-init-size-gb\" has no effect: without l1-use-lazy all of the "
        "arena is populated at the start");
  if (options.l1_init_size_bytes > round_up(options.l1_size_bytes, kGiB))
    return fault(LMCD_E_INVALID, "option \"l1-init-size-gb\": is more than l1-size-gb");
  options.l1_init_size_bytes = std::min(options.l1_init_size_bytes, options.l1_size_bytes);

  const bool file = options.l1_backing == Backing::kFile;
  if (file && options.l1_path.empty())
    return fault(LMCD_E_INVALID, "option \"l1-backing\": \"file\" needs l1-path");
  if (!file && !options.l1_path.empty())
    return fault(LMCD_E_INVALID, "option \"l1-path\": goes with l1-backing \"file\" only");
  if (!file) return {};
  LMCD_ASSIGN(options.l1_path, absolute(options.l1_path, "l1-path"));
  return {};
}

void settle_limits(Options& options) {
  if (!given(options, Item::max_cpu_workers)) options.max_cpu_workers = options.max_workers;
  if (!given(options, Item::max_gpu_workers)) options.max_gpu_workers = options.max_workers;
  if (!given(options, Item::max_session_bytes)) options.max_session_bytes = options.l1_size_bytes;
  if (!given(options, Item::max_objects))
    options.max_objects = std::clamp<uint64_t>(options.l1_size_bytes / (64 * kKiB), 65536, 4194304);
  if (!given(options, Item::admin_uids)) options.admin_uids = {geteuid()};
}

// Python's own hash() is seeded at random in every process, so two engines would derive
// different keys from the same tokens and never share an object.
Status check_hash(const Options& options, const Environment& environment) {
  if (options.hash_algorithm != HashAlgorithm::kBuiltin) return {};
  std::string_view seed = environment.value("PYTHONHASHSEED");
  uint32_t number = 0;
  auto end = std::from_chars(seed.data(), seed.data() + seed.size(), number);
  if (!seed.empty() && end.ec == std::errc() && end.ptr == seed.data() + seed.size()) return {};
  return fault(
      LMCD_E_INVALID,
      "option \"hash-algorithm\": \"builtin\" is Python's hash(), which differs from process "
      "to process unless PYTHONHASHSEED is a fixed number; set it for the daemon and every "
      "engine, or use blake3");
}

constexpr std::size_t kTiers = 8;

Status check_tiers(const Options& options, std::vector<std::string>& warnings) {
  if (options.l2_adapters.size() > kTiers)
    return fault(LMCD_E_INVALID,
                 "option \"l2-adapter\": %zu tiers are given; at most %zu are valid",
                 options.l2_adapters.size(), kTiers);
  const bool policies = given(options, Item::l2_store_policy) ||
                        given(options, Item::l2_prefetch_policy) ||
                        given(options, Item::l2_prefetch_min_bandwidth_gb);
  if (options.l2_adapters.empty() && policies)
    warnings.push_back("options \"l2-...\" have no effect: no tier is given by l2-adapter");
  return {};
}

Status check_later(const Options& options) {
  if (options.isolation == Isolation::kUid)
    return fault(
        LMCD_E_UNSUPPORTED,
        "option \"isolation\": this version does not have \"uid\"; it comes later; takes none");
  if (options.engine_type == EngineType::kBlend)
    return fault(
        LMCD_E_UNSUPPORTED,
        "option \"engine-type\": this version does not have \"blend\"; it comes later; takes "
        "default");
  return {};
}

}  // namespace

Status settle(Options& options, const Environment& environment,
              std::vector<std::string>& warnings) {
  LMCD_TRY(settle_socket(options, environment));
  LMCD_TRY(check_instance_id(options));
  LMCD_TRY(settle_state_dir(options, environment));
  LMCD_TRY(settle_arena(options, warnings));
  settle_limits(options);
  LMCD_TRY(check_hash(options, environment));
  LMCD_TRY(check_later(options));
  LMCD_TRY(check_tiers(options, warnings));
  if (given(options, Item::host) || given(options, Item::port))
    warnings.push_back(
        "options \"host\" and \"port\" have no effect: the network endpoint comes "
        "later, clients use the socket " +
        options.socket);
  return {};
}

}  // namespace lmcd::config
