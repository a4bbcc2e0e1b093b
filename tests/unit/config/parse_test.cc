// What an operator may write and in what order it counts; that all else is refused with one line
// which names option, value and what would be valid.
#include "daemon/config/parse.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "tests/unit/config/parsed.h"

namespace lmcd::config {
namespace {

TEST(Parse, a_size_is_all_that_must_be_given) {
  Result<Invocation> out = parsed({});
  ASSERT_TRUE(out.ok());
  const Options& options = out.value().options;
  EXPECT_EQ(out.value().action, Action::kServe);
  EXPECT_EQ(options.l1_size_bytes, 2 * kGiB);
  EXPECT_EQ(options.l1_init_size_bytes, 2 * kGiB);
  EXPECT_EQ(options.chunk_tokens, 256u);
  EXPECT_EQ(options.socket, "/run/lmcd/lmcd.sock");
  EXPECT_EQ(options.eviction_policy, "ARC");
  EXPECT_EQ(options.l1_write_ttl_ms, 600'000u);
  EXPECT_EQ(options.max_session_bytes, 2 * kGiB);
  EXPECT_EQ(options.max_objects, 65536u);
  EXPECT_EQ(options.admin_uids, std::vector<uint32_t>{geteuid()});
  EXPECT_EQ(options.instance_id, "");  // the state directory has one
  EXPECT_TRUE(out.value().warnings.empty());
}

TEST(Parse, a_missing_size_is_named) {
  EXPECT_EQ(refusal({.flags = {}}),
            "option \"l1-size-gb\": must be given; takes 0.001 to 1048576 (GiB)");
}

TEST(Parse, a_flag_goes_before_the_environment_and_it_before_the_file) {
  Given given;
  given.file = "chunk_size: 1\nmax-sessions: 2\nverify: always\n";
  given.environment = {"LMCD_CHUNK_SIZE=3", "LMCD_MAX_SESSIONS=4"};
  given.flags.insert(given.flags.end(), {"--chunk-size", "5"});
  Result<Invocation> out = parsed(given);
  ASSERT_TRUE(out.ok());
  const Options& options = out.value().options;
  EXPECT_EQ(options.chunk_tokens, 5u);
  EXPECT_EQ(options.max_sessions, 4u);
  EXPECT_EQ(options.verify, Verify::kAlways);
  EXPECT_EQ(options.source(Item::chunk_tokens), Source::kFlag);
  EXPECT_EQ(options.source(Item::max_sessions), Source::kEnvironment);
  EXPECT_EQ(options.source(Item::verify), Source::kFile);
  EXPECT_EQ(options.source(Item::cold), Source::kDefault);
}

TEST(Parse, a_value_that_another_goes_before_is_checked_too) {
  Given given = flags({"--chunk-size", "5"});
  given.environment = {"LMCD_CHUNK_SIZE=many"};
  EXPECT_EQ(refusal(given),
            "environment \"LMCD_CHUNK_SIZE\": \"many\" is not valid; takes 1 to 65536");
}

TEST(Parse, an_unknown_name_is_refused_with_the_closest) {
  EXPECT_EQ(refusal(flags({"--chunksize", "5"})),
            "option \"chunksize\": no such option; did you mean \"chunk-size\"?");
  EXPECT_EQ(refusal({.file = "\nl1_sise_gb: 4\n"}),
            "config:2: \"l1_sise_gb\": no such option; did you mean \"l1-size-gb\"?");
  EXPECT_EQ(refusal({.environment = {"LMCD_VERIFI=cold"}}),
            "environment \"LMCD_VERIFI\": no such option; did you mean \"verify\"?");
  EXPECT_EQ(refusal(flags({"--zzzzzzzzzzzz"})),
            "option \"zzzzzzzzzzzz\": no such option; --help lists the options");
}

TEST(Parse, a_value_out_of_range_is_refused_with_the_range) {
  EXPECT_EQ(refusal(flags({"--chunk-size=0"})),
            "option \"chunk-size\": \"0\" is not valid; takes 1 to 65536");
  EXPECT_EQ(refusal(flags({"--verify", "sometimes"})),
            "option \"verify\": \"sometimes\" is not valid; takes off, cold or always");
  EXPECT_EQ(refusal(flags({"--eviction-ratio", "1.5"})),
            "option \"eviction-ratio\": \"1.5\" is not valid; takes 0.001 to 1.0");
  EXPECT_EQ(refusal(flags({"--supported-transfer-mode", "x"})),
            "option \"supported-transfer-mode\": \"x\" is not valid; takes auto, engine_driven or "
            "daemon_driven (lmcache_driven)");
}

TEST(Parse, a_message_is_one_line_whatever_the_value) {
  std::string text = refusal(flags({"--verify", "a\nb\x1b[31m"}));
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  std::string wide(100'000, 'x');
  EXPECT_LT(refusal(flags({"--verify", wide.c_str()})).size(), 300u);
}

TEST(Parse, what_comes_later_is_refused_and_says_so) {
  EXPECT_EQ(refusal(flags({"--otlp-endpoint", "x"})),
            "option \"otlp-endpoint\": this version does not have it; it comes with traces");
  Result<Invocation> out = parsed({.environment = {"LMCD_OTLP_ENDPOINT=x"}});
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.status().code(), LMCD_E_UNSUPPORTED);
  EXPECT_NE(refusal(flags({"--isolation", "uid"})).find("comes later"), std::string::npos);
  EXPECT_NE(refusal(flags({"--engine-type", "blend"})).find("comes later"), std::string::npos);
}

TEST(Parse, switches_have_a_negative_form) {
  Result<Invocation> out = parsed(flags({"--no-l1-use-lazy", "--cold"}));
  ASSERT_TRUE(out.ok());
  EXPECT_FALSE(out.value().options.l1_use_lazy);
  EXPECT_TRUE(out.value().options.cold);
  EXPECT_EQ(refusal(flags({"--no-chunk-size"})),
            "option \"no-chunk-size\": \"chunk-size\" is not a switch");
  EXPECT_EQ(refusal(flags({"--cold", "--no-cold"})), "option \"no-cold\": given twice");
}

TEST(Parse, an_option_given_twice_is_refused_also_by_its_alias) {
  EXPECT_EQ(refusal(flags({"--instance-id", "a", "--service-instance-id", "b"})),
            "option \"service-instance-id\": given twice");
  EXPECT_EQ(refusal({.file = "verify: off\nverify: cold\n"}), "config:2: \"verify\": given twice");
}

TEST(Parse, a_value_must_follow_its_flag) {
  EXPECT_EQ(refusal(flags({"--chunk-size"})),
            "option \"chunk-size\": a value is missing; takes 1 to 65536");
  EXPECT_EQ(refusal(flags({"stray"})),
            "argument \"stray\": options begin with --; --help lists them");
}

TEST(Parse, user_ids_are_a_list_in_every_form) {
  Given given;
  given.file = "admin-uids: [1, 2]\n";
  EXPECT_EQ(parsed(given).value().options.admin_uids, (std::vector<uint32_t>{1, 2}));
  given.environment = {"LMCD_ADMIN_UIDS=3,4"};
  EXPECT_EQ(parsed(given).value().options.admin_uids, (std::vector<uint32_t>{3, 4}));
  EXPECT_NE(refusal(flags({"--admin-uids", "root"})), "taken");
}

TEST(Parse, sizes_are_fractions_of_gibibytes_in_whole_units) {
  EXPECT_EQ(parsed({.flags = {"--l1-size-gb", "0.5"}}).value().options.l1_size_bytes, kGiB / 2);
  EXPECT_EQ(parsed({.flags = {"--l1-size-gb", "0.0011"}}).value().options.l1_size_bytes % 4096, 0u);
  EXPECT_EQ(parsed({.flags = {"--l1-size-gb", "0.001", "--l1-use-hugepages"}}).ok(), false);
  EXPECT_NE(refusal(flags({"--l1-align-bytes", "5000"})), "taken");
  EXPECT_NE(refusal(flags({"--l1-init-size-gb", "3"})), "taken");
  EXPECT_EQ(parsed(flags({"--l1-read-ttl-seconds", "0.25"})).value().options.l1_read_ttl_ms, 250u);
}

TEST(Parse, a_file_backing_and_its_path_go_together) {
  EXPECT_EQ(refusal(flags({"--l1-backing", "file"})),
            "option \"l1-backing\": \"file\" needs l1-path");
  EXPECT_EQ(refusal(flags({"--l1-path", "/x"})),
            "option \"l1-path\": goes with l1-backing \"file\" only");
  EXPECT_EQ(refusal(flags({"--l1-backing", "file", "--l1-path", "/x"})), "taken");
}

TEST(Parse, pythons_hash_is_refused_without_a_fixed_seed) {
  Given given = flags({"--hash-algorithm", "builtin"});
  EXPECT_NE(refusal(given).find("PYTHONHASHSEED"), std::string::npos);
  given.environment = {"PYTHONHASHSEED=random"};
  EXPECT_NE(refusal(given).find("PYTHONHASHSEED"), std::string::npos);
  given.environment = {"PYTHONHASHSEED=0"};
  EXPECT_EQ(refusal(given), "taken");
}

TEST(Parse, a_network_endpoint_is_taken_with_one_warning) {
  Result<Invocation> out = parsed(flags({"--host", "0.0.0.0", "--port", "6555"}));
  ASSERT_TRUE(out.ok());
  ASSERT_EQ(out.value().warnings.size(), 1u);
  EXPECT_NE(out.value().warnings[0].find("/run/lmcd/lmcd.sock"), std::string::npos);
}

TEST(Parse, an_instance_id_is_a_name) {
  EXPECT_EQ(parsed(flags({"--instance-id", "blue"})).value().options.instance_id, "blue");
  EXPECT_EQ(parsed(flags({"--socket", "/tmp/./a"})).value().options.socket, "/tmp/a");
  EXPECT_NE(refusal(flags({"--instance-id", "../x"})), "taken");
}

TEST(Parse, places_follow_the_users_directories) {
  Given given;
  given.environment = {"XDG_RUNTIME_DIR=/run/user/7", "XDG_STATE_HOME=/s"};
  Options options = parsed(given).value().options;
  EXPECT_EQ(options.socket, "/run/user/7/lmcd/lmcd.sock");
  EXPECT_EQ(options.state_dir, "/s/lmcd");
  given.environment.push_back("STATE_DIRECTORY=/var/lib/lmcd:/other");
  EXPECT_EQ(parsed(given).value().options.state_dir, "/var/lib/lmcd");
  std::string deep = "/" + std::string(120, 'd');
  EXPECT_NE(refusal(flags({"--socket", deep.c_str()})).find("at most 107"), std::string::npos);
}

TEST(Parse, variables_that_are_no_options_are_left_alone) {
  EXPECT_EQ(refusal({.environment = {"LMCD_DAEMON=/x", "LMCD_RUNTIME_PLUGIN_CONFIG={}", "HOME=/"}}),
            "taken");
}

TEST(Parse, what_kubernetes_says_of_a_service_called_lmcd_is_no_option) {
  Given given;
  given.environment = {"LMCD_SERVICE_HOST=10.0.0.1",
                       "LMCD_SERVICE_PORT=80",
                       "LMCD_SERVICE_PORT_HTTP=80",
                       "LMCD_PORT=tcp://10.0.0.1:80",
                       "LMCD_PORT_80_TCP=tcp://10.0.0.1:80",
                       "LMCD_PORT_80_TCP_PROTO=tcp",
                       "LMCD_PORT_80_TCP_PORT=80",
                       "LMCD_PORT_80_TCP_ADDR=10.0.0.1",
                       "LMCD_HTTP_SERVICE_HOST=10.0.0.2",
                       "LMCD_HTTP_PORT=tcp://10.0.0.2:81",
                       "LMCD_HTTP_PORT_81_TCP=tcp://10.0.0.2:81"};
  EXPECT_EQ(refusal(given), "taken");
}

TEST(Parse, a_port_is_an_option_beside_a_service_and_an_address_none_without) {
  Given beside;
  beside.environment = {"LMCD_SERVICE_HOST=10.0.0.1", "LMCD_PORT=many"};
  EXPECT_EQ(refusal(beside), "environment \"LMCD_PORT\": \"many\" is not valid; takes 0 to 65535");
  Given without;
  without.environment = {"LMCD_PORT=tcp://10.0.0.1:80"};
  EXPECT_NE(refusal(without), "taken");
}

TEST(Parse, a_file_that_is_no_mapping_is_refused_with_its_line) {
  EXPECT_EQ(refusal({.file = ""}), "taken");
  EXPECT_EQ(refusal({.file = "- a\n"}), "config: line 1: is not a mapping of names to values");
  EXPECT_NE(refusal({.file = "verify: {a: [1]}\n"}), "taken");
  EXPECT_NE(refusal({.file = "verify: [off, cold]\n"}), "taken");
  EXPECT_NE(refusal({.file = "verify:\n"}), "taken");
  EXPECT_NE(refusal({.file = "verify: [\n"}).find("config: line 2"), std::string::npos);
  EXPECT_NE(refusal({.file = "config: other.yaml\n"}), "taken");
  EXPECT_NE(refusal(flags({"--config", "/nonexistent"})).find("No such file"), std::string::npos);
}

TEST(Parse, other_actions_need_no_valid_options) {
  EXPECT_EQ(parsed({.flags = {"--help"}}).value().action, Action::kHelp);
  EXPECT_EQ(parsed({.flags = {"--version"}}).value().action, Action::kVersion);
  EXPECT_EQ(parsed({.flags = {"--describe-options"}}).value().action, Action::kDescribeOptions);
  EXPECT_EQ(parsed(flags({"--print-config"})).value().action, Action::kPrintConfig);
  EXPECT_NE(refusal({.flags = {"--print-config"}}), "taken");
}

}  // namespace
}  // namespace lmcd::config
