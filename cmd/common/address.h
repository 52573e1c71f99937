/* Socket addresses as people write them: PORT, HOST:PORT, [V6]:PORT and unix:PATH[,mode=MODE]. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/socket.h>
#include <sys/types.h>

/* The longest text that address_format() writes: a socket's path, with "unix:" and the final NUL. */
#define ADDRESS_TEXT_SIZE 128

struct address {
	struct sockaddr_storage storage;
	socklen_t size;
	mode_t mode; /* of a Unix socket's file, when it is made */
};

/* What is wrong with the form of an address to listen on, or NULL. */
const char *address_check(const char *text);

/*
 * Read an address to listen on. A host name is resolved by the system. Returns NULL, or what is wrong with the text.
 */
const char *address_parse(const char *text, struct address *address);

/* Write an address in the form that address_parse() takes, without the mode. An abstract Unix socket is unix:@NAME. */
void address_format(const struct sockaddr *sa, char text[ADDRESS_TEXT_SIZE]);

/* Whether only programs of this machine can reach it: loopback, or a Unix socket. */
bool address_is_local(const struct sockaddr *sa);

/* The longest text that address_join() writes: a name of the DNS, brackets, a port, and the final NUL. */
#define ADDRESS_JOINED_SIZE (255 + sizeof "[]:65535")

/* Write HOST:PORT, or [HOST]:PORT for an IPv6 address. Returns `text`. */
const char *address_join(const char *host, uint16_t port, char text[ADDRESS_JOINED_SIZE]);

/* The longest text of an IPv6 address, with the final NUL. */
#define ADDRESS_V6_SIZE 46

/*
 * Some programs send an IPv6 address as "[ADDRESS]" where a host belongs. Write such an address to `copy`, without its
 * brackets, and return `copy`. Return any other `host` as it is.
 */
const char *address_without_brackets(const char *host, char copy[ADDRESS_V6_SIZE]);

/*
 * Split "HOST", "HOST:PORT", "[V6]" or "[V6]:PORT" of n characters. The host is copied without brackets; *port keeps
 * its value where there is none. Returns false when it is none of these, or the port not from 0 to 65535.
 */
bool address_split(const char *text, size_t n, char *host, size_t host_size, uint16_t *port);

#endif
