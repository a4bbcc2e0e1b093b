#include "daemon/admin/snapshot.h"

#include <algorithm>

#include "lib/base/json.h"

namespace lmcd::admin {
namespace {

// Room left for what is small and comes after a list that was cut.
constexpr std::size_t kTailBytes = 64 * 1024;

std::string hex(std::span<const uint8_t> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

class Writer {
 public:
  Writer(core::Store& store, std::size_t most_bytes)
      : store_(store), list_bytes_(most_bytes - std::min(most_bytes, kTailBytes)) {}

  std::string write(const DaemonFacts& daemon, const Moment& moment) {
    json_.begin_object();
    write_daemon(daemon, moment);
    write_metrics();
    write_verbs(moment);
    write_sessions(moment);
    write_segments(moment);
    write_spaces();
    write_tenants();
    write_tiers(moment);
    json_.end_object();
    return json_.document();
  }

 private:
  void write_daemon(const DaemonFacts& daemon, const Moment& moment) {
    json_.key("daemon").begin_object();
    json_.key("version").text(daemon.version);
    json_.key("protocol").number(daemon.protocol);
    json_.key("pid").number(daemon.pid);
    json_.key("uptime_ms").number(moment.now_ms - daemon.started_ms);
    json_.key("instance_id").text(daemon.instance_id);
    json_.key("identity").text(daemon.identity);
    json_.key("socket").text(daemon.socket);
    json_.key("policy").text(daemon.policy);
    json_.key("backing").text(daemon.backing);
    json_.key("incarnation").text(hex(daemon.incarnation));
    json_.key("waiting_acquires").number(moment.waiting);
    json_.key("start").begin_object();
    json_.key("warm").boolean(daemon.warm);
    json_.key("objects").number(daemon.adopted.objects);
    json_.key("parts").number(daemon.adopted.parts);
    json_.key("bytes").number(daemon.adopted.bytes);
    json_.key("quarantined").number(daemon.adopted.quarantined);
    json_.key("rejected").number(daemon.adopted.rejected);
    json_.end_object();
    json_.end_object();
  }

  void write_metrics() {
    json_.key("metrics").begin_object();
    core::visit(store_.snapshot(), [&](const char* name, const char*, const char*, uint64_t value) {
      json_.key(name).number(value);
    });
    json_.end_object();
  }

  // Upper bounds in nanoseconds and how many took less, each bucket by itself.
  void write_verbs(const Moment& moment) {
    json_.key("verbs").begin_array();
    for (const VerbFacts& verb : moment.verbs) {
      json_.begin_object();
      json_.key("verb").text(verb.name);
      json_.key("count").number(verb.count);
      json_.key("nanoseconds").number(verb.nanoseconds);
      json_.key("least_bound_ns").number(uint64_t{1} << VerbFacts::kLeastPower);
      json_.key("buckets").begin_array();
      for (uint64_t count : verb.buckets) json_.number(count);
      json_.end_array();
      json_.end_object();
    }
    json_.end_array();
  }

  void write_sessions(const Moment& moment) {
    json_.key("sessions_total").number(moment.sessions.size());
    json_.key("sessions").begin_array();
    for (const SessionFacts& session : moment.sessions) {
      if (!room()) break;
      const core::SessionUse use = store_.use_of(session.id);
      json_.begin_object();
      json_.key("id").text(std::to_string(session.id));  // past 2^53, where JSON readers round
      json_.key("name").text(session.name);
      json_.key("pid").number(static_cast<uint64_t>(session.pid));
      json_.key("uid").number(session.uid);
      json_.key("slot").number(session.slot);
      json_.key("age_ms").number(session.age_ms);
      json_.key("requests").number(session.requests);
      json_.key("queued_bytes").number(session.queued_bytes);
      json_.key("leases").number(use.leases);
      json_.key("held_bytes").number(use.held_bytes);
      json_.key("admin").boolean(session.admin);
      json_.key("subscribed").boolean(session.subscribed);
      json_.end_object();
    }
    json_.end_array();
  }

  void write_segments(const Moment& moment) {
    json_.key("segments").begin_array();
    for (const mover::SegmentFacts& segment : moment.segments) {
      if (!room()) break;
      json_.begin_object();
      json_.key("session").text(std::to_string(segment.session));
      json_.key("segment").number(segment.segment);
      json_.key("rank").number(segment.rank);
      json_.key("bytes").number(segment.length);
      json_.key("transfers").number(segment.transfers);
      json_.key("name").text(segment.name);
      json_.end_object();
    }
    json_.end_array();
  }

  void write_spaces() {
    const core::Spaces& spaces = store_.spaces();
    json_.key("namespaces_total").number(spaces.count());
    json_.key("namespaces").begin_array();
    for (uint32_t place = 0; place < spaces.count() && room(); ++place) {
      if (spaces.at(place) == nullptr) continue;
      const ledger::SpaceEntry& space = store_.ledger().space(place);
      const std::size_t length =
          std::min<std::size_t>(space.description_bytes, ledger::SpaceEntry::kDescriptionBytes);
      json_.begin_object();
      json_.key("space").number(spaces.at(place)->number);
      json_.key("fingerprint").text(hex(space.fingerprint));
      json_.key("ranks").number(space.rank_count);
      json_.key("groups").number(space.group_count);
      json_.key("sessions").number(spaces.at(place)->sessions);
      json_.key("parts").number(spaces.at(place)->parts);
      json_.key("hot_bytes").number(spaces.at(place)->hot_bytes);
      json_.key("description").text({space.description, length});
      json_.key("cold_bytes").number(
          store_.cold().use_of_meaning(spaces.at(place)->fingerprint).bytes);
      json_.end_object();
    }
    json_.end_array();
  }

  void write_tenants() {
    core::Accounts& accounts = store_.accounts();
    json_.key("tenants").begin_array();
    for (uint32_t number = 0; number < accounts.count() && room(); ++number) {
      const core::Accounts::Account& account = accounts.at(static_cast<core::TenantId>(number));
      if (!account.open) continue;
      json_.begin_object();
      json_.key("tenant").text(account.salt);
      json_.key("used_bytes").number(account.used_bytes);
      json_.key("cold_bytes").number(store_.cold().use_of_tenant(account.salt).bytes);
      json_.key("limited").boolean(account.limited);
      if (account.limited) json_.key("limit_bytes").number(account.limit_bytes);
      json_.end_object();
    }
    json_.end_array();
  }

  void write_tiers(const Moment& moment) {
    constexpr const char* kStates[] = {"up", "degraded", "down"};
    json_.key("tiers").begin_array();
    for (const mover::TierFacts& tier : moment.tiers) {
      json_.begin_object();
      json_.key("tier").number(tier.number);
      json_.key("type").text(tier.type);
      json_.key("health").text(tier.paused ? "paused" : kStates[std::min(tier.health.state, 2u)]);
      json_.key("reason").text(tier.health.text);
      json_.key("durable").boolean((tier.traits & LMCD_TIER_DURABLE) != 0);
      json_.key("shared").boolean((tier.traits & LMCD_TIER_SHARED) != 0);
      json_.key("capacity_bytes").number(tier.usage.capacity_bytes);
      json_.key("used_bytes").number(tier.usage.used_bytes);
      json_.key("records").number(tier.usage.records);
      json_.key("evicted_records").number(tier.usage.evicted_records);
      json_.key("evicted_bytes").number(tier.usage.evicted_bytes);
      json_.key("faults").number(tier.health.faults);
      json_.key("in_flight").number(tier.usage.in_flight);
      json_.key("spills_in_flight").number(tier.spills);
      json_.key("prefetches_in_flight").number(tier.prefetches);
      json_.key("spilled_bytes").number(tier.spilled_bytes);
      json_.key("prefetched_bytes").number(tier.prefetched_bytes);
      json_.key("measured_bytes_per_second").number(tier.measured_bytes_per_second);
      json_.end_object();
    }
    json_.end_array();
  }

  bool room() const { return json_.document().size() < list_bytes_; }

  core::Store& store_;
  const std::size_t list_bytes_;
  JsonWriter json_;
};

}  // namespace

std::string describe(const DaemonFacts& daemon, core::Store& store, const Moment& moment,
                     std::size_t most_bytes) {
  return Writer(store, most_bytes).write(daemon, moment);
}

}  // namespace lmcd::admin
