/*
 * Encodes internationalized host names in URLs. It is called before a URL is parsed, so that parsers see only ASCII
 * hosts.
 */
#ifndef IDN_H
#define IDN_H

#include <stddef.h>

/*
 * Copy a URL, with its host encoded in ASCII as browsers do ("xn--...": UTS 46, nontransitional). Text that does not
 * have the form SCHEME://[USER@]HOST... is copied unchanged. Returns NULL, or what is wrong.
 */
const char *idn_encode_url(const char *url, char *encoded, size_t size);

#endif
