/* How the program has been built. */
#ifndef BUILD_H
#define BUILD_H

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

/* Sanitizers look at the process from outside and read its files: what forbids that is left out with them. */
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define BUILD_SANITIZED 1
#else
#define BUILD_SANITIZED 0
#endif

#endif
