// The edge between C callers and C++: turns a Status into a code and a text, and lets no
// exception through. Every entry point that can fail is one guard() around one lambda.
#pragma once

#include <exception>
#include <new>
#include <string_view>
#include <utility>

#include "include/lmcd.h"
#include "lib/base/status.h"

namespace lmcd::client {

// Fills `err`, if there is one. A text that does not fit is cut at a whole character.
lmcd_code_t report(lmcd_error_t* err, lmcd_code_t code, std::string_view text);

template <typename Work>
lmcd_code_t guard(lmcd_error_t* err, Work&& work) {
  try {
    const Status status = std::forward<Work>(work)();
    return report(err, status.code(), status.text());
  } catch (const std::bad_alloc&) {
    return report(err, LMCD_E_NO_MEMORY, "the process has no memory left");
  } catch (const std::exception& exception) {
    return report(err, LMCD_E_IO, exception.what());  // of the standard library: threads, locks
  }
}

// The same for functions that return something else than a code; `otherwise` on an exception.
template <typename Value, typename Work>
Value guard_value(Value otherwise, Work&& work) {
  try {
    return std::forward<Work>(work)();
  } catch (const std::exception&) {
    return otherwise;
  }
}

}  // namespace lmcd::client
