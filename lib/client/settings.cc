#include "lib/client/settings.h"

#include <cerrno>
#include <cstdlib>

#include "lib/client/arguments.h"
#include "lib/wire/limits.h"

namespace lmcd::client {
namespace {

constexpr uint32_t kTimeoutMs = 5000;
constexpr uint32_t kTimeoutMostMs = 600'000;

std::string default_socket() {
  const char* socket = std::getenv("LMCD_SOCKET");
  if (socket != nullptr && *socket != '\0') return socket;
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime != '\0') return std::string(runtime) + "/lmcd/lmcd.sock";
  return "/run/lmcd/lmcd.sock";
}

}  // namespace

Result<Settings> make_settings(const lmcd_session_options_t* options) {
  lmcd_session_options_t given{};
  if (options != nullptr) {
    LMCD_ASSIGN(given, take_struct(options, "options"));
  }
  if (given.timeout_ms > kTimeoutMostMs) {
    return fault(LMCD_E_INVALID, "options.timeout_ms is %u; at most %u is valid, 0 means %u",
                 given.timeout_ms, kTimeoutMostMs, kTimeoutMs);
  }
  if (given.socket != nullptr && *given.socket == '\0')
    return fault(LMCD_E_INVALID, "options.socket is empty; NULL means the default");
  LMCD_TRY(check_text(given.name, wire::kNameBytes, "options.name"));
  Settings settings;
  settings.socket = given.socket ? given.socket : default_socket();
  settings.name = given.name ? given.name : program_invocation_short_name;
  settings.name.resize(std::min<std::size_t>(settings.name.size(), wire::kNameBytes));
  settings.timeout_ms = given.timeout_ms ? given.timeout_ms : kTimeoutMs;
  return settings;
}

}  // namespace lmcd::client
