#include "version.h"

#include <stdio.h>

#include <ares.h>
#include <event2/event.h>
#include <libwebsockets.h>
#include <openssl/crypto.h>

void
version_print(const char *program)
{
	printf("%s %s (libwebsockets %s, libevent %s, c-ares %s, %s)\n", program, PACKAGE_VERSION,
		lws_get_library_version(), event_get_version(), ares_version(NULL), OpenSSL_version(OPENSSL_VERSION));
}
