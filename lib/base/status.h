// A fault: a code from include/lmcd.h and a sentence that says what, where and what would
// be valid. Success carries no text and costs one pointer.
//
// Faults are passed up unchanged with LMCD_TRY until a boundary turns them into a reply, a
// metric and one log line. Outcomes (absent, exists, no space) are values, never a Status.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "include/lmcd.h"

namespace lmcd {

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(lmcd_code_t code, std::string text);

  bool ok() const { return fault_ == nullptr; }
  lmcd_code_t code() const { return fault_ ? fault_->code : LMCD_OK; }
  std::string_view text() const { return fault_ ? std::string_view(fault_->text) : ""; }

 private:
  struct Fault {
    lmcd_code_t code;
    std::string text;
  };
  std::unique_ptr<Fault> fault_;
};

// Makes a fault; `format` is printf's.
[[gnu::format(printf, 2, 3)]] Status fault(lmcd_code_t code, const char* format, ...);

// A fault that ends with the text of `error_number` (errno): "shm_open /x: Permission denied".
[[gnu::format(printf, 3, 4)]] Status errno_fault(lmcd_code_t code, int error_number,
                                                 const char* format, ...);

// A value or the fault that prevented it.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::move(value)) {}
  Result(Status status) : content_(std::move(status)) {}

  bool ok() const { return std::holds_alternative<T>(content_); }
  // Requires: ok().
  T& value() { return std::get<T>(content_); }
  const T& value() const { return std::get<T>(content_); }
  // Requires: !ok(). Leaves the result without its fault.
  Status status() { return std::move(std::get<Status>(content_)); }

 private:
  std::variant<T, Status> content_;
};

}  // namespace lmcd

// Leaves the function with the fault of `expression`, if it has one.
#define LMCD_TRY(expression)                                              \
  do {                                                                    \
    if (auto lmcd_status_ = (expression); !lmcd_status_.ok()) return lmcd_status_; \
  } while (0)

#define LMCD_JOIN_(a, b) a##b
#define LMCD_JOIN(a, b) LMCD_JOIN_(a, b)

// Declares `target` with the value of `expression`, or leaves the function with its fault.
#define LMCD_ASSIGN(target, expression)                                  \
  auto LMCD_JOIN(lmcd_result_, __LINE__) = (expression);                  \
  if (!LMCD_JOIN(lmcd_result_, __LINE__).ok())                            \
    return LMCD_JOIN(lmcd_result_, __LINE__).status();                    \
  target = std::move(LMCD_JOIN(lmcd_result_, __LINE__).value())
