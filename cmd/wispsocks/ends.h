/*
 * What a CLOSE with reason 0x01, unknown, means after data: an end of it, or a cut. The protocol says neither, and
 * there are servers that end every stream so. It is judged by what the server has said on this connection, or by
 * --ends. Clients ask about the streams that the server closes.
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
	bool warned;          /* once is enough */
};

/* There is a new connection to a server. */
void ends_begin(struct ends *ends);

/*
 * The server has closed a stream. Returns the reason as it is to be understood: VOLUNTARY for an end. `after_data` says
 * whether the stream has brought data.
 */
uint8_t ends_judge(struct ends *ends, enum ends_mode mode, uint8_t reason, bool after_data);

#endif
