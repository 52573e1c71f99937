#include "version.h"

#include <stdio.h>

#include <event2/event.h>
#include <libwebsockets.h>
#include <openssl/crypto.h>

void
version_print(const char *program)
{
	printf("%s %s (libwebsockets %s, libevent %s, %s)\n", program, PACKAGE_VERSION, lws_get_library_version(),
		event_get_version(), OpenSSL_version(OPENSSL_VERSION));
}
