// A Status carries its code and text through Result and LMCD_TRY unchanged.
#include "lib/base/status.h"

#include <cerrno>

#include <gtest/gtest.h>

namespace lmcd {
namespace {

Result<int> halve(int n) {
  if (n % 2) return fault(LMCD_E_INVALID, "%d is odd", n);
  return n / 2;
}

Status quarter(int n, int* out) {
  LMCD_ASSIGN(int half, halve(n));
  LMCD_ASSIGN(*out, halve(half));
  return {};
}

TEST(Status, success_is_silent) {
  int out = 0;
  EXPECT_TRUE(quarter(8, &out).ok());
  EXPECT_EQ(out, 2);
}

TEST(Status, a_fault_arrives_unchanged) {
  int out = 0;
  Status status = quarter(6, &out);
  EXPECT_EQ(status.code(), LMCD_E_INVALID);
  EXPECT_EQ(status.text(), "3 is odd");
}

TEST(Status, errno_text_is_appended) {
  Status status = errno_fault(LMCD_E_IO, ENOENT, "open %s", "/x");
  EXPECT_EQ(status.text(), "open /x: No such file or directory");
}

}  // namespace
}  // namespace lmcd
