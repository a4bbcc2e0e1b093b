// What JsonWriter writes is JSON, whatever bytes and numbers went in.
#include "lib/base/json.h"

#include <gtest/gtest.h>

#include <limits>

namespace lmcd {
namespace {

TEST(JsonWriter, commas_stand_between_values_only) {
  JsonWriter json;
  json.begin_object().key("a").number(1).key("b").begin_array();
  json.boolean(true).null().begin_object().end_object().real(0.25);
  json.end_array().key("c").text("x").end_object();
  EXPECT_EQ(json.document(), R"({"a":1,"b":[true,null,{},0.25],"c":"x"})");
}

TEST(JsonWriter, text_is_escaped) {
  JsonWriter json;
  json.text("\"\\\n\x01é");
  EXPECT_EQ(json.document(), "\"\\\"\\\\\\u000a\\u0001é\"");
}

TEST(JsonWriter, bytes_that_are_no_utf8_are_replaced) {
  JsonWriter json;
  json.begin_array().text("\xff").text("\xc3").text("\xc0\x80").text("\xed\xa0\x80").end_array();
  EXPECT_EQ(json.document(), R"(["\ufffd","\ufffd","\ufffd\ufffd","\ufffd\ufffd\ufffd"])");
}

TEST(JsonWriter, a_number_that_is_not_finite_is_null) {
  JsonWriter json;
  json.begin_array().real(std::numeric_limits<double>::infinity()).real(1e300).end_array();
  EXPECT_EQ(json.document(), "[null,1e+300]");
}

}  // namespace
}  // namespace lmcd
