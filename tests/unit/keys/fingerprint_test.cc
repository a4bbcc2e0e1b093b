// A fingerprint is the same for ever, and text that operators could not read is refused. The
// digests were computed by another implementation (the blake3 package of Python, 1.0).
#include "lib/keys/fingerprint.h"

#include <gtest/gtest.h>

#include "tests/unit/keys/hex.h"

namespace lmcd::keys {
namespace {

std::string digest(std::string_view text) {
  auto result = fingerprint(text);
  return result.ok() ? hex(result.value()) : std::string(result.status().text());
}

TEST(Fingerprint, is_what_another_implementation_computes) {
  EXPECT_EQ(digest("a"), "5c02dbd9b15d9f08d6ebf736d4a809031e3eb57bb70412cff481ecda212650f5");
  EXPECT_EQ(digest("engine=test\ndtype=float32"),
            "ad4e91a82cab4ccd8863b82c6809b2988a6aa64b98831f0cbbe8e5858e2f73a1");
  EXPECT_EQ(digest("gr\xc3\xb6\xc3\x9f"
                   "e=\xe9\x8d\xb5"),
            "f8043a4bfa4348507606711dd991d7c9a7f9bae2aa4ab9178f4fe5006757046c");
  EXPECT_EQ(digest(std::string(kMaxDescriptionBytes, 'x')),
            "88368e8aca710764d901f90e75b6d00aba528ae0a55d4f5c2ec6f22796171e7a");
}

TEST(Fingerprint, of_no_text_or_too_much_is_refused) {
  EXPECT_EQ(digest(""), "description of 0 bytes: must be 1 to 3072");
  EXPECT_EQ(digest(std::string(3073, 'x')), "description of 3073 bytes: must be 1 to 3072");
}

TEST(Fingerprint, of_control_characters_is_refused) {
  EXPECT_EQ(digest("a\tb"), "description: byte 1 (0x09) is not printable UTF-8");
  EXPECT_EQ(digest(std::string_view("a\0b", 3)),
            "description: byte 1 (0x00) is not printable UTF-8");
  EXPECT_EQ(digest("\x7f"), "description: byte 0 (0x7f) is not printable UTF-8");
  EXPECT_EQ(digest("\xc2\x9b"), "description: byte 0 (0xc2) is not printable UTF-8");
}

TEST(Fingerprint, of_malformed_utf8_is_refused) {
  for (std::string_view bad :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf",      // a lone continuation, overlong forms
        "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",          // overlong
        "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5",  // a surrogate, past the end of Unicode
        "\xc3", "\xe9\x8d", "\xf0\x9f\x98",          // cut short
        "\xe9\x8d\x20", "\xf0\x9f\x98\x20", "\xc3\x20"}) {
    EXPECT_FALSE(fingerprint(bad).ok()) << bad;
  }
  for (std::string_view good : {"\xc2\xa0", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                                "\xef\xbf\xbd", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(fingerprint(good).ok()) << good;
  }
}

}  // namespace
}  // namespace lmcd::keys
