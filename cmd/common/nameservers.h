/*
 * The name servers of one resolv.conf: who is asked, in which order, how often. Who answered is remembered, so that a
 * server which does not costs its time once. New settings are a new object, while the old one serves its questions.
 */
#ifndef NAMESERVERS_H
#define NAMESERVERS_H

#include <event2/event.h>

#include "dns_channel.h"
#include "resolv_conf.h"

struct nameservers;
struct question;

/* NULL without memory. */
struct nameservers *nameservers_new(struct event_base *base, const struct resolv_conf *conf);

/* Questions that are under way are dropped: their callbacks are not called. */
void nameservers_free(struct nameservers *servers);

const struct resolv_conf *nameservers_conf(const struct nameservers *servers);

/* How long a question takes when nobody answers. */
#define NAMESERVERS_TIMEOUT_MS 10000

/*
 * Ask for the addresses of an absolute name. The answer comes later, never from within this call; then the question is
 * gone. When all servers have failed, it is the failure that says the most. NULL without memory; there is no answer
 * then.
 */
struct question *nameservers_ask(
	struct nameservers *servers, const char *name, enum dns_type type, dns_callback *callback, void *arg);

/* Drop a question: its callback is not called. */
void question_drop(struct question *question);

#endif
