/* What resolv.conf and nsswitch.conf say about names. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nsswitch.h"
#include "resolv_conf.h"

static void
parse_conf(struct resolv_conf *conf, const char *text)
{
	resolv_conf_parse(conf, text, strlen(text), "machine.local.test");
}

static void
expect_servers(const char *text, const char *expected)
{
	struct resolv_conf conf;
	char servers[512] = "", one[ADDRESS_TEXT_SIZE];

	parse_conf(&conf, text);
	for (size_t i = 0; i < conf.server_count; i++) {
		address_format((const struct sockaddr *)&conf.servers[i].storage, one);
		snprintf(servers + strlen(servers), sizeof servers - strlen(servers), "%s%s", i > 0 ? " " : "", one);
	}
	assert_string_equal(servers, expected);
}

static void
servers_are_read(void **state)
{
	(void)state;
	expect_servers("", "127.0.0.1:53");
	expect_servers("nameserver nonsense\nnameserver\nnameserverx 1.1.1.1\n", "127.0.0.1:53");
	expect_servers("nameserver 1.1.1.1\n#nameserver 2.2.2.2\n; nameserver 2.2.2.2\nnameserver\t::1 x\n",
		"1.1.1.1:53 [::1]:53");
	expect_servers("nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\nnameserver 4.4.4.4",
		"1.1.1.1:53 2.2.2.2:53 3.3.3.3:53");
	expect_servers("nameserver fe80::1%lo", "[fe80::1]:53");
	expect_servers("nameserver fe80::1%2", "[fe80::1]:53");
}

static void
expect_options(const char *text, unsigned ndots, bool use_tcp, bool no_aaaa)
{
	struct resolv_conf conf;

	parse_conf(&conf, text);
	assert_int_equal(conf.ndots, ndots);
	assert_int_equal(conf.use_tcp, use_tcp);
	assert_int_equal(conf.no_aaaa, no_aaaa);
}

static void
options_are_read(void **state)
{
	(void)state;
	expect_options("", 1, false, false);
	expect_options("options ndots:2 use-vc no-aaaa timeout:1", 2, true, true);
	expect_options("options ndots:99\noptions rotate", 15, false, false);
	expect_options("options ndots:0\n", 0, false, false);
}

/* `expected` are the names in order, separated by spaces. */
static void
expect_names(const char *text, const char *name, const char *expected)
{
	struct resolv_conf conf;
	char names[1024] = "", complete[RESOLV_CONF_NAME_SIZE];
	bool more = true;

	parse_conf(&conf, text);
	for (size_t i = 0; more; i++)
		if (resolv_conf_complete(&conf, name, i, complete, &more))
			snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i > 0 ? " " : "",
				complete);
	assert_string_equal(names, expected);
}

static void
names_are_completed(void **state)
{
	char name[RESOLV_CONF_NAME_SIZE + 1];

	(void)state;
	expect_names("", "host", "host.local.test host");
	expect_names("", "a.host", "a.host a.host.local.test");
	expect_names("domain one.test", "host", "host.one.test host");
	expect_names("search one.test two.test.\ndomain three.test", "host", "host.three.test host");
	expect_names("search one.test\nsearch two.test .", "host", "host.two.test host host");
	expect_names("search", "host", "host");
	expect_names("search one.test\noptions ndots:2", "a.host", "a.host.one.test a.host");
	expect_names("search one.test\noptions ndots:2", "a.host.", "a.host");
	expect_names("search one.test\noptions ndots:0", "host", "host host.one.test");
	memset(name, 'a', sizeof name - 1);
	name[0] = ' ';
	name[sizeof name - 1] = '\0';
	expect_names("search one.test", name + 1, name); /* completed, it would be too long */
}

static void
expect_sources(const char *text, const char *expected, const char *others)
{
	struct nsswitch nsswitch;
	char sources[64] = "";

	nsswitch_parse(&nsswitch, text, strlen(text));
	for (size_t i = 0; i < nsswitch.count; i++)
		snprintf(sources + strlen(sources), sizeof sources - strlen(sources), "%s%s%s", i > 0 ? " " : "",
			nsswitch.sources[i].source == NAME_SOURCE_DNS ? "dns" : "files",
			nsswitch.sources[i].final ? "!" : "");
	assert_string_equal(sources, expected);
	assert_string_equal(nsswitch.others, others);
}

static void
sources_are_read(void **state)
{
	(void)state;
	expect_sources("", "files dns", "");
	expect_sources("passwd: files\nhosts: dns files # mdns\n", "dns files", "");
	expect_sources("hosts:files dns", "files dns", "");
	expect_sources("hosts: files", "files", "");
	expect_sources("#hosts: dns\n\thosts: files dns dns", "files dns", "");
	expect_sources("hosts: files mdns4_minimal [NOTFOUND=return] dns mdns4", "files dns", "mdns4_minimal mdns4");
	expect_sources("hosts: files [NOTFOUND=return] dns", "files! dns", "");
	expect_sources("hosts: files[SUCCESS=merge] dns [ !UNAVAIL=return ] sss", "files dns!", "sss");
	expect_sources("hosts: files dns [!notfound=return]", "files dns", "");
	expect_sources(
		"hosts: mymachines resolve [!UNAVAIL=return] files myhostname", "dns! files", "mymachines myhostname");
	expect_sources("hosts: files resolve dns", "files dns", "resolve");
	expect_sources("hosts: sss nis", "files dns", "sss nis");
	expect_sources("hosts: [", "files dns", "");
	expect_sources("hosts: dns [x", "dns", "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(servers_are_read),
		cmocka_unit_test(options_are_read),
		cmocka_unit_test(names_are_completed),
		cmocka_unit_test(sources_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
