/*
 * Decides what a CLOSE with reason 0x01 (unknown) means after data: a complete transfer, or a cut one. The protocol
 * does not say, and some servers end every stream with it. The decision depends on --ends, or on what the server has
 * sent on this connection. Clients ask when the server closes a stream.
 */
#ifndef ENDS_H
#define ENDS_H

#include <stdbool.h>
#include <stdint.h>

/* In the order of the words that --ends takes. */
enum ends_mode {
	ENDS_AUTO,    /* an end, as long as the server has not said 0x02 on this connection */
	ENDS_STRICT,  /* a cut */
	ENDS_LENIENT, /* an end */
};

#define ENDS_MODES "auto|strict|lenient"

struct ends {
	bool heard_voluntary; /* on this connection */
	bool warned;          /* the warning was given, once */
};

/* There is a new connection to a server. */
void ends_begin(struct ends *ends);

/*
 * The server has closed a stream. Returns the reason to act on: VOLUNTARY for a complete transfer. `after_data` says
 * whether the stream has brought data.
 */
uint8_t ends_judge(struct ends *ends, enum ends_mode mode, uint8_t reason, bool after_data);

#endif
