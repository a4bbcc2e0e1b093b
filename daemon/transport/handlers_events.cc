// The event stream: EventsSubscribe.

#include "daemon/transport/handlers.h"

namespace lmcd::transport {

Status answer(Question& question, const wire::EventsSubscribe&) {
  question.desk.events.subscribe(question.session);
  return question.answer(wire::Done{});
}

}  // namespace lmcd::transport
