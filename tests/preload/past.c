/*
 * To be preloaded into one of the programs, whose clock then shows a time long past, as that of a machine without a
 * battery does: PAST_EPOCH, in seconds since 1970. Only time() is, by which OpenSSL judges certificates.
 */
#include <stdlib.h>
#include <time.h>

time_t
time(time_t *timer)
{
	const char *text = getenv("PAST_EPOCH");
	const time_t now = text != NULL ? (time_t)strtoll(text, NULL, 10) : 0;

	if (timer != NULL)
		*timer = now;
	return now;
}
