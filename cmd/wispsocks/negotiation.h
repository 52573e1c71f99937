/* The SOCKS handshake of a program: which method, who it is, and what it asks for. */
#ifndef NEGOTIATION_H
#define NEGOTIATION_H

#include <stdint.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include <wisp/socks5.h>

struct client;

struct negotiation {
	uint8_t message[WISP_SOCKS5_MESSAGE_MAX];
	size_t size; /* of what has been read of the message */
	struct wisp_socks5_request request;
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} from; /* where the program is, for the log; of a Unix socket, only the family */
};

/* For a program whose connection was accepted from there. NULL without memory. */
struct negotiation *negotiation_new(const struct sockaddr *from);

/* Wipe it, for there may be a password in it, and free it. NULL is allowed. */
void negotiation_free(struct negotiation *negotiation);

/*
 * Go on with the handshake as far as what has arrived allows. In the end, client_request() is called, or the client is
 * refused, or gone.
 */
void negotiation_advance(struct client *client);

#endif
