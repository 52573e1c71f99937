/* Internationalized host names in URLs. The URLs' readers call it first, and see ASCII alone. */
#ifndef IDN_H
#define IDN_H

#include <stddef.h>

/*
 * Copy a URL, with its host in ASCII ("xn--...", UTS 46 without the transitional deviations, as browsers do) when it is
 * not so already. What is not of the form SCHEME://[USER@]HOST... is copied as it is. Returns NULL, or what is wrong.
 */
const char *idn_encode_url(const char *url, char *encoded, size_t size);

#endif
