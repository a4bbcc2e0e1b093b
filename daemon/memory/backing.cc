#include "daemon/memory/backing.h"

#include <algorithm>

#include "daemon/memory/memfd_backing.h"
#include "daemon/memory/named_backing.h"

namespace lmcd::memory {
namespace {

Status check(const BackingOptions& options) {
  const bool plain = std::all_of(options.identity.begin(), options.identity.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
  });
  if (options.identity.empty() || options.identity.size() > 64 || !plain)
    return fault(LMCD_E_INVALID, "identity \"%s\": want 1 to 64 of 0-9 and a-z",
                 options.identity.c_str());
  if (options.kind == BackingKind::kFile && options.path.empty())
    return fault(LMCD_E_INVALID, "--l1-backing file needs --l1-path, the file or DAX device");
  if (options.kind != BackingKind::kFile && !options.path.empty())
    return fault(LMCD_E_INVALID, "--l1-path %s counts with --l1-backing file only",
                 options.path.c_str());
  return {};
}

}  // namespace

Result<std::unique_ptr<Backing>> make_backing(const BackingOptions& options,
                                              DescriptorStore& store) {
  LMCD_TRY(check(options));
  if (options.kind == BackingKind::kMemfd)
    return std::unique_ptr<Backing>(std::make_unique<MemfdBacking>(options, store));
  return std::unique_ptr<Backing>(std::make_unique<NamedBacking>(options));
}

}  // namespace lmcd::memory
