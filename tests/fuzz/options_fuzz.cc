// Any YAML file and any flags yield options or one line of refusal.
//
// The input is the file, then a zero byte, then flags each ended by a zero byte.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/describe.h"
#include "daemon/config/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::size_t end = text.find('\0');
  std::vector<const char*> flags = {"--l1-size-gb", "1"};
  for (std::size_t at = end; at < text.size() && flags.size() < 64; at = text.find('\0', at + 1))
    flags.push_back(text.c_str() + at + 1);

  // A file that is named but not given would be opened.
  for (std::string_view flag : flags)
    if (flag.starts_with("--config") || flag.starts_with("--CONFIG")) return 0;

  lmcd::config::Input input{flags, {}, std::string_view(text).substr(0, end)};
  lmcd::Result<lmcd::config::Invocation> out = lmcd::config::parse(input);
  if (out.ok()) {
    if (lmcd::config::effective_config(out.value().options).empty()) std::abort();
  } else if (std::string(out.status().text()).find('\n') != std::string::npos) {
    std::abort();
  }
  return 0;
}
