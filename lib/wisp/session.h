/*
 * One Wisp connection over one WebSocket, either side of it, without I/O: the caller feeds received bytes in, is told
 * of events by callbacks, and pulls the bytes to send. Upload is pulled too: when there is room in the send buffer, the
 * session asks a stream to read its data straight into it.
 *
 * A callback may open, accept, close and mark ready any stream, but may not feed, pull or free the session.
 */
#ifndef WISP_SESSION_H
#define WISP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wisp/export.h>
#include <wisp/frame.h>
#include <wisp/handshake.h>
#include <wisp/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

struct wisp_session;
struct wisp_stream;

struct wisp_session_callbacks {
	/* The handshake is done; only now may streams be opened. A server that speaks v1 has none, and is not called.
	 */
	void (*ready)(void *session_arg);
	/* There is something to pull, after a time when there was nothing. */
	void (*wake)(void *session_arg);
	/* Client: the server's message of the day, n bytes of who knows what. May be NULL. */
	void (*motd)(void *session_arg, const uint8_t *p, size_t n);
	/* The other side answered the last wisp_session_ping(). May be NULL. */
	void (*pong)(void *session_arg);
	/* Server: a client opens a stream. Take it with wisp_stream_accept(), or close it. */
	void (*open)(void *session_arg, struct wisp_stream *stream, const struct wisp_destination *destination);
};

struct wisp_stream_callbacks {
	/*
	 * n bytes arrived for the stream; `last` says that a packet ends with them. They are valid during the call. For
	 * a UDP stream they are one datagram, and `last` is true.
	 */
	void (*data)(void *stream_arg, uint8_t *p, size_t n, bool last);
	/*
	 * The stream is over, for this reason: the other side closed it, it broke a rule (NETWORK_ERROR), or both
	 * directions have ended (VOLUNTARY). The stream is freed when this returns.
	 */
	void (*closed)(void *stream_arg, uint8_t reason);
	/*
	 * Read up to n bytes of the stream's data into p. 0 means none for now; say wisp_stream_ready() when there is.
	 * For a UDP stream they are one datagram: WISP_EMPTY_DATAGRAM stands for one without any bytes. One that fills
	 * the n bytes, and is not known from `available` to be that long, is taken for one that was cut, and lost.
	 */
	size_t (*read)(void *stream_arg, uint8_t *p, size_t n);
	/* How many bytes a read would find, as far as is known: for a UDP stream, those of the next datagram. */
	size_t (*available)(void *stream_arg);
	/* Client: the server confirmed that the stream is open, or said again how much it takes. May be NULL. */
	void (*granted)(void *stream_arg);
	/*
	 * The other side's data has ended; this side may go on sending. Comes at most once, and only when end of data
	 * was agreed on. May be NULL.
	 */
	void (*ended)(void *stream_arg);
};

/* The longest payload of the DATA packets that are sent: with its header, a packet's length still fits in 16 bits. */
#define WISP_DATA_MAX (65535 - WISP_PACKET_HEADER_SIZE)

/* What `read` returns for a datagram of no bytes. */
#define WISP_EMPTY_DATAGRAM SIZE_MAX

/* The longest datagram: a longer one that arrives is dropped. */
#define WISP_DATAGRAM_MAX 65535

/* A pull with less room than this yields nothing. */
#define WISP_PULL_MIN 1024

/* A pull with this much room can take anything that there is to send: the longest datagram, or a handshake's packet. */
#define WISP_PULL_ROOM (WISP_DATAGRAM_MAX + WISP_PACKET_HEADER_SIZE + WISP_FRAME_HEADER_MAX)

/* How long a stream that is short of credit gathers data before it sends a small packet all the same. */
#define WISP_GATHER_MS 20

/* A session for the client's end. NULL without memory. `options` and `callbacks` must outlive the session. */
WISP_API struct wisp_session *wisp_session_new_client(
	const struct wisp_client_options *options, const struct wisp_session_callbacks *callbacks, void *arg);

/*
 * A session for the server's end, as above. `version` is what this client gets; `max_streams` how many streams may be
 * open at once: more are refused with THROTTLED, and so is one for which there is no memory. The session may have an
 * error right away, when clients have to show credentials and this one cannot.
 */
WISP_API struct wisp_session *wisp_session_new_server(const struct wisp_server_options *options, uint8_t version,
	size_t max_streams, const struct wisp_session_callbacks *callbacks, void *arg);

/* End the session. Each stream that was opened or accepted is told `closed` with NETWORK_ERROR first. NULL is allowed.
 */
WISP_API void wisp_session_free(struct wisp_session *session);

/*
 * Take n received bytes, which are changed (unmasked) in place. Returns false when the connection is over: by a
 * protocol error, a refusal or the other side's wish. Then wisp_session_error() says why, one last pull gives the close
 * frame, and nothing may be fed any more.
 */
WISP_API bool wisp_session_feed(struct wisp_session *session, uint8_t *p, size_t n);

/*
 * Server: when this many CLOSE packets wait to be pulled, nothing more is taken from the client. Otherwise a client
 * that does not read could have any number of streams refused, each of which takes memory.
 */
#define WISP_CLOSES_MAX 512

/*
 * Server: how many bytes at the end of the last wisp_session_feed() were not taken, because WISP_CLOSES_MAX packets
 * wait. Keep them, and feed them again when wisp_session_takes() is true.
 */
WISP_API size_t wisp_session_untaken(const struct wisp_session *session);

/*
 * Whether a feed would be taken. After a stop, this is so when half of WISP_CLOSES_MAX packets have been pulled. Always
 * true for a client.
 */
WISP_API bool wisp_session_takes(const struct wisp_session *session);

/* Why the connection is over: a text without a final full stop. NULL as long as it is not. */
WISP_API const char *wisp_session_error(const struct wisp_session *session);

/*
 * How the handshake went: what was agreed on, and why it failed if it did. Some
 * servers refuse credentials only after it: that `reason` stands there too.
 */
WISP_API const struct wisp_handshake *wisp_session_handshake(const struct wisp_session *session);

/* The status code of the other side's close frame, or 0 when none came. */
WISP_API unsigned wisp_session_close_status(const struct wisp_session *session);

/*
 * Write what there is to send to p, where there is room for n bytes. Nothing more is begun once `goal` bytes, at most
 * n, have been written, and TCP streams keep to it. Returns how many bytes were written; 0 when there is nothing to
 * send, or n or `goal` is below WISP_PULL_MIN. With less room than WISP_PULL_ROOM, packets of the handshake may not
 * fit, for which everything else waits, and datagrams that do not fit are lost. `now_ms` is any clock that does not go
 * back.
 */
WISP_API size_t wisp_session_pull(struct wisp_session *session, uint8_t *p, size_t n, size_t goal, uint64_t now_ms);

/* Whether a pull could give something. */
WISP_API bool wisp_session_pending(const struct wisp_session *session);

/* When to pull again even if nothing happens, by the clock of wisp_session_pull(); 0 for never. */
WISP_API uint64_t wisp_session_deadline_ms(const struct wisp_session *session);

/* The version that the two sides agreed on; 0 before the handshake is done. */
WISP_API unsigned wisp_session_version(const struct wisp_session *session);

/* How many streams there are, with those whose CLOSE has yet to be pulled. */
WISP_API size_t wisp_session_stream_count(const struct wisp_session *session);

/* Send a WebSocket ping with the next pull. `pong` is called for the answer to the last one only. */
WISP_API void wisp_session_ping(struct wisp_session *session);

/* End the WebSocket with this status: the next pull gives the close frame, and nothing else comes after it. */
WISP_API void wisp_session_shutdown(struct wisp_session *session, enum wisp_ws_status status);

/*
 * Client: open a stream. CONNECT leaves with the next pull, and DATA right behind it. `callbacks` must outlive the
 * stream. NULL without memory, when the handshake is not done, or when the stream is UDP and the server has none.
 */
WISP_API struct wisp_stream *wisp_stream_open(struct wisp_session *session, const struct wisp_destination *destination,
	const struct wisp_stream_callbacks *callbacks, void *stream_arg);

/* Server: take a stream that a client opened. */
WISP_API void wisp_stream_accept(
	struct wisp_stream *stream, const struct wisp_stream_callbacks *callbacks, void *stream_arg);

/*
 * The stream may have data to read. Returns whether it is going to be read with the next pulls; false when it has to
 * wait for credit, so that the caller has to look for itself whether the source has failed.
 */
WISP_API bool wisp_stream_ready(struct wisp_stream *stream);

/*
 * End this side's data. Call it when `read` finds the end. `read` is not called any more; the other side is told after
 * all data that `read` returned, and may go on sending. When the other side's data has ended too, a server's stream is
 * over: `closed` is called with VOLUNTARY. A client's stream is over when the server closes it. Returns false, and does
 * nothing, for UDP streams and when end of data was not agreed on.
 */
WISP_API bool wisp_stream_end(struct wisp_stream *stream);

/* Close the stream. There are no more callbacks for it, and the pointer may no longer be used. */
WISP_API void wisp_stream_close(struct wisp_stream *stream, uint8_t reason);

/*
 * Server: say how many bytes the stream's receiver has not yet taken. The client is sent new credit accordingly. To be
 * called after each change, at the latest when the callback `data` returns.
 */
WISP_API void wisp_stream_set_backlog(struct wisp_stream *stream, size_t bytes);

/*
 * Server: the stream's connection stands. The client is told, if it wants to know; until then it is given no new
 * credit, since that would say the same.
 */
WISP_API void wisp_stream_confirm(struct wisp_stream *stream);

/* The id that stands in the stream's packets. */
WISP_API uint32_t wisp_stream_id(const struct wisp_stream *stream);

#ifdef __cplusplus
}
#endif

#endif
