#include "lib/base/status.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace lmcd {
namespace {

std::string vprint(const char* format, va_list arguments) {
  char text[1024];
  int length = std::vsnprintf(text, sizeof text, format, arguments);
  if (length < 0) return format;
  return {text, std::min(static_cast<std::size_t>(length), sizeof text - 1)};
}

}  // namespace

Status::Status(lmcd_code_t code, std::string text)
    : fault_(std::make_unique<Fault>(Fault{code, std::move(text)})) {}

Status fault(lmcd_code_t code, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::string text = vprint(format, arguments);
  va_end(arguments);
  return {code, std::move(text)};
}

Status errno_fault(lmcd_code_t code, int error_number, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::string text = vprint(format, arguments);
  va_end(arguments);
  char reason[128];
  text += ": ";
  text += strerror_r(error_number, reason, sizeof reason);
  return {code, std::move(text)};
}

}  // namespace lmcd
