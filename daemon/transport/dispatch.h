// From a frame to its handler, by a table that follows from lib/wire/messages.def.
#pragma once

#include "daemon/transport/handlers.h"

namespace lmcd::transport {

// Decodes the frame and runs its handler. Whatever went wrong is dealt with: answered with a Fault,
// told by a REFUSED event, or the end of the session. Counts the message.
void dispatch(Desk& desk, Session& session, Frame& frame);

}  // namespace lmcd::transport
