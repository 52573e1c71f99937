#include "ends.h"

#include <wisp/packet.h>

#include "log.h"

void
ends_begin(struct ends *ends)
{
	ends->heard_voluntary = false;
}

static bool
is_end(struct ends *ends, enum ends_mode mode)
{
	if (mode != ENDS_AUTO)
		return mode == ENDS_LENIENT;
	if (ends->heard_voluntary)
		return false;
	if (!ends->warned)
		log_warning("the server ends streams with the reason 'unknown' (0x01), which does not tell success "
			    "from failure: cut transfers may look complete; with --ends strict, all look cut");
	ends->warned = true;
	return true;
}

uint8_t
ends_judge(struct ends *ends, enum ends_mode mode, uint8_t reason, bool after_data)
{
	ends->heard_voluntary |= reason == WISP_REASON_VOLUNTARY;
	if (reason == WISP_REASON_UNKNOWN && after_data && is_end(ends, mode))
		return WISP_REASON_VOLUNTARY;
	return reason;
}
