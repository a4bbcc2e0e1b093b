// The kinds of option values: how each is read from text, what it becomes, how it is printed.
//
// A kind is a type with
//   Value                          what struct Options holds
//   read(text, valid, value)       takes `text`, or says what would be valid
//   print(value, valid, json)      the value as JSON
//   takes(valid)                   "1 to 65536": what is valid, for people
// and three facts: its name, whether it may be given several times, and whether a message may
// repeat its text (one that may hold a secret is never repeated). Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/adapter.h"
#include "lib/base/json.h"
#include "lib/base/status.h"

namespace lmcd::config {

// Enumerators stand in the order of the words in options.def.
enum class Isolation : uint8_t { kNone, kUid };
enum class HashAlgorithm : uint8_t { kBlake3, kSha256Cbor, kBuiltin };
enum class TransferMode : uint8_t { kAuto, kEngineDriven, kDaemonDriven };
enum class EngineType : uint8_t { kDefault, kBlend };
enum class Verify : uint8_t { kOff, kCold, kAlways };
enum class Backing : uint8_t { kPosixShm, kMemfd, kFile };
enum class StorePolicy : uint8_t { kDefault, kSkipL1, kOnEvict, kReused };
enum class PrefetchPolicy : uint8_t { kDefault, kRetain };
enum class LogFormat : uint8_t { kLogfmt, kJson };

struct Once {
  static constexpr bool kRepeatable = false;
  static constexpr bool kMayEcho = true;
};

struct Text : Once {
  using Value = std::string;
  static constexpr const char* kName = "text";
  static Status read(std::string_view text, std::string_view valid, Value& value);
  static void print(const Value& value, std::string_view valid, JsonWriter& json);
  static std::string takes(std::string_view valid);
};

struct Switch : Once {
  using Value = bool;
  static constexpr const char* kName = "switch";
  static Status read(std::string_view text, std::string_view valid, Value& value);
  static void print(const Value& value, std::string_view valid, JsonWriter& json);
  static std::string takes(std::string_view valid);
};

struct Number : Once {
  using Value = uint64_t;
  static constexpr const char* kName = "number";
  static Status read(std::string_view text, std::string_view valid, Value& value);
  static void print(const Value& value, std::string_view valid, JsonWriter& json);
  static std::string takes(std::string_view valid);
};

struct Real : Once {
  using Value = double;
  static constexpr const char* kName = "real";
  static Status read(std::string_view text, std::string_view valid, Value& value);
  static void print(const Value& value, std::string_view valid, JsonWriter& json);
  static std::string takes(std::string_view valid);
};

// Written in GiB, fractions allowed; kept in bytes.
struct Gigabytes : Once {
  using Value = uint64_t;
  static constexpr const char* kName = "real";
  static Status read(std::string_view text, std::string_view valid, Value& value);
  static void print(const Value& value, std::string_view valid, JsonWriter& json);
  static std::string takes(std::string_view valid) { return Real::takes(valid); }
};

// Written in seconds, fractions allowed; kept in milliseconds.
struct Seconds : Once {
  using Value = uint64_t;
  static constexpr const char* kName = "real";
  static Status read(std::string_view text, std::string_view valid, Value& value);
  static void print(const Value& value, std::string_view valid, JsonWriter& json);
  static std::string takes(std::string_view valid) { return Real::takes(valid); }
};

// One of several words, compared without case; kept as the word of options.def.
struct Name : Once {
  using Value = std::string;
  static constexpr const char* kName = "choice";
  static Status read(std::string_view text, std::string_view valid, Value& value);
  static void print(const Value& value, std::string_view valid, JsonWriter& json);
  static std::string takes(std::string_view valid);
};

// The place of `text` among the words of `valid`, or -1; an alias has the place of its word.
int choice_index(std::string_view text, std::string_view valid);
// The word at a place of `valid`, without its aliases.
std::string_view choice_word(int index, std::string_view valid);

// One of several words, kept as an enumerator.
template <typename Enum>
struct Choice : Once {
  using Value = Enum;
  static constexpr const char* kName = "choice";
  static Status read(std::string_view text, std::string_view valid, Value& value) {
    int index = choice_index(text, valid);
    if (index < 0) return fault(LMCD_E_INVALID, "takes %s", takes(valid).c_str());
    value = static_cast<Enum>(index);
    return {};
  }
  static void print(const Value& value, std::string_view valid, JsonWriter& json) {
    json.text(choice_word(static_cast<int>(value), valid));
  }
  static std::string takes(std::string_view valid) { return Name::takes(valid); }
};

// User ids, separated by commas.
struct Uids {
  using Value = std::vector<uint32_t>;
  static constexpr const char* kName = "list";
  static constexpr bool kRepeatable = true;
  static constexpr bool kMayEcho = true;
  static Status read(std::string_view text, std::string_view valid, Value& value);
  static void print(const Value& value, std::string_view valid, JsonWriter& json);
  static std::string takes(std::string_view valid);
};

// One tier's JSON object. It may hold credentials, so its text is never repeated.
struct Adapters {
  using Value = std::vector<Adapter>;
  static constexpr const char* kName = "list";
  static constexpr bool kRepeatable = true;
  static constexpr bool kMayEcho = false;
  static Status read(std::string_view text, std::string_view valid, Value& value);
  static void print(const Value& value, std::string_view valid, JsonWriter& json);
  static std::string takes(std::string_view valid);
};

}  // namespace lmcd::config
