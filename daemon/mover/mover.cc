#include "daemon/mover/mover.h"

namespace lmcd::mover {

Result<std::unique_ptr<Mover>> Mover::make(const Parts& parts,
                                           const std::vector<config::Adapter>& adapters,
                                           const Options& options, std::function<void()> landed) {
  std::unique_ptr<Mover> mover(new Mover());
  LMCD_ASSIGN(mover->cascade_, Cascade::open({parts.loop, parts.store, parts.log}, adapters,
                                             options.threads, options.align_bytes));
  mover->spills_ = std::make_unique<Spills>(parts.loop, parts.store, *mover->cascade_, parts.arena,
                                            options.spills);
  mover->prefetches_ =
      std::make_unique<Prefetches>(parts.loop, parts.store, *mover->cascade_, parts.arena,
                                   options.prefetches, std::move(landed));
  return mover;
}

std::vector<TierFacts> Mover::tiers() const {
  std::vector<TierFacts> facts;
  for (const std::unique_ptr<Stage>& stage : cascade_->stages()) {
    TierFacts& one = facts.emplace_back();
    one.number = stage->number();
    one.type = stage->tier().type();
    one.usage = stage->tier().usage();
    one.health = stage->tier().health();
    one.traits = stage->tier().capabilities().traits;
    one.paused = cascade_->now_ms() < stage->paused_until_ms();
    one.spills = stage->spills;
    one.prefetches = stage->prefetches;
    one.spilled_bytes = stage->spilled_bytes;
    one.prefetched_bytes = stage->prefetched_bytes;
    one.measured_bytes_per_second = static_cast<uint64_t>(1000 * stage->bytes_per_ms().value_or(0));
  }
  return facts;
}

void Mover::stop() {
  spills_->stop();
  prefetches_->stop();
  cascade_->cancel();
}

}  // namespace lmcd::mover
