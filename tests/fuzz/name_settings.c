/* Fuzz target: the system's files about names. The hosts file is the same in whatever pieces it is read. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "hosts.h"
#include "nsswitch.h"
#include "resolv_conf.h"

static void
complete_names(const struct resolv_conf *conf)
{
	static const char *const names[] = {"host", "a.host.test", "host."};
	char complete[RESOLV_CONF_NAME_SIZE];

	for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
		bool more = true;
		size_t i;

		for (i = 0; more; i++)
			if (resolv_conf_complete(conf, names[k], i, complete, &more))
				must(strlen(complete) < sizeof complete);
		must(i <= RESOLV_CONF_DOMAINS_MAX + 1);
	}
}

static struct hosts *
read_pieces(const uint8_t *p, size_t n, size_t piece)
{
	struct hosts *hosts = hosts_new(0);

	must(hosts != NULL);
	for (size_t at = 0; at < n; at += piece)
		must(hosts_add(hosts, (const char *)p + at, n - at < piece ? n - at : piece));
	must(hosts_add(hosts, "", 0));
	return hosts;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t *const copy = exact_copy(p, n);
	struct hosts *const one = read_pieces(copy, n, n + 1), *const other =
								       read_pieces(copy, n, n > 0 ? 1 + p[0] % 16 : 1);
	struct addresses v6 = {.count = 0}, v4 = {.count = 0}, other6 = {.count = 0}, other4 = {.count = 0};
	struct resolv_conf conf;
	struct nsswitch nsswitch;

	resolv_conf_parse(&conf, (const char *)copy, n, "machine.test");
	must(conf.server_count >= 1 && conf.server_count <= RESOLV_CONF_SERVERS_MAX);
	complete_names(&conf);
	nsswitch_parse(&nsswitch, (const char *)copy, n);
	must(nsswitch.count >= 1 && nsswitch.count <= NAME_SOURCES_MAX);
	free(copy);
	must(hosts_find(one, "a", 80, &v6, &v4) == hosts_find(other, "a", 80, &other6, &other4));
	must(v6.count == other6.count && v4.count == other4.count);
	hosts_free(one);
	hosts_free(other);
	return 0;
}
