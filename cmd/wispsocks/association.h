/*
 * A UDP association (RFC 1928 section 7): a socket to which a program sends datagrams with a header that names their
 * destination, and a Wisp stream for each destination. It lives as long as the program's connection.
 */
#ifndef ASSOCIATION_H
#define ASSOCIATION_H

#include <wisp/socks5.h>

/* How many streams all associations together may have; one has 256 at the most. */
#define ASSOCIATION_STREAMS_MAX 4096

struct association;
struct client;

/*
 * Open one, on the address at which the program reached us. `from` is from where it says that it will send. Sets
 * *address, for the reply, which is valid as long as the association. Returns NULL when that cannot be: logged.
 */
struct association *association_new(
	struct client *client, const struct wisp_socks5_destination *from, struct wisp_socks5_address *address);

/* Close it, with its streams. NULL is allowed. */
void association_free(struct association *association);

#endif
