/* Time that never goes back. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>
#include <sys/time.h>
#include <time.h>

/* Milliseconds since some moment in the past, to within the kernel's tick: cheap enough for each packet. */
static inline uint64_t
clock_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Microseconds since some moment in the past, for what is measured. */
static inline uint64_t
clock_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* How many milliseconds the machine has been suspended since it booted. The clock above does not count them. */
static inline uint64_t
clock_suspended_ms(void)
{
	struct timespec all, awake;

	clock_gettime(CLOCK_BOOTTIME, &all);
	clock_gettime(CLOCK_MONOTONIC, &awake);
	return ((uint64_t)all.tv_sec - (uint64_t)awake.tv_sec) * 1000 + (uint64_t)(all.tv_nsec / 1000000) -
	       (uint64_t)(awake.tv_nsec / 1000000);
}

static inline struct timeval
clock_timeval(uint64_t ms)
{
	return (struct timeval){.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
}

#endif
