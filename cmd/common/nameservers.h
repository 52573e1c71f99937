/*
 * The name servers of one resolv.conf: which to ask, in which order, how often. Servers that do not answer are
 * remembered and asked last, so that they cost a delay only once. New settings make a new object; the old one finishes
 * its questions.
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

/* Drops the questions that are under way: their callbacks are not called. */
void nameservers_free(struct nameservers *servers);

const struct resolv_conf *nameservers_conf(const struct nameservers *servers);

/* A question without any answer fails after this time. */
#define NAMESERVERS_TIMEOUT_MS 10000

/*
 * Ask for the addresses of an absolute name. The callback is called later, never from within this call, and the
 * question is freed then. When all servers fail, the answer is the most specific failure. Returns NULL without memory;
 * the callback is not called then.
 */
struct question *nameservers_ask(
	struct nameservers *servers, const char *name, enum dns_type type, dns_callback *callback, void *arg);

/* Drop a question: its callback is not called. */
void question_drop(struct question *question);

#endif
