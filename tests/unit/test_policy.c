/* Which addresses streams may reach. */
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <wisp/packet.h>

#include "policy.h"

#define BLOCKED WISP_REASON_BLOCKED
#define INVALID WISP_REASON_INVALID

static void
parse(const char *text, struct sockaddr_storage *sa)
{
	struct sockaddr_in *in = (void *)sa;
	struct sockaddr_in6 *in6 = (void *)sa;

	memset(sa, 0, sizeof *sa);
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1)
		sa->ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1)
		sa->ss_family = AF_INET6;
	else
		fail_msg("%s is no address", text);
}

static void
expect(const char *text, struct policy policy, uint8_t wanted)
{
	struct sockaddr_storage sa;
	uint8_t reason;

	parse(text, &sa);
	reason = policy_check(&policy, (const struct sockaddr *)&sa);
	if (reason != wanted)
		fail_msg("%s%s%s: 0x%02x instead of 0x%02x", text, policy.allow_loopback ? " with loopback" : "",
			policy.allow_private ? " with private" : "", reason, wanted);
}

/* Expect an address to be judged the same whatever is allowed, or to be refused unless one thing is. */
static void
expect_each(const char *text, uint8_t neither, uint8_t loopback, uint8_t private, uint8_t both)
{
	expect(text, (struct policy){false, false}, neither);
	expect(text, (struct policy){true, false}, loopback);
	expect(text, (struct policy){false, true}, private);
	expect(text, (struct policy){true, true}, both);
}

static void
expect_kind(const char *text, char kind)
{
	switch (kind) {
	case 'l':
		expect_each(text, BLOCKED, 0, BLOCKED, 0);
		break;
	case 'p':
		expect_each(text, BLOCKED, BLOCKED, 0, 0);
		break;
	case 'n':
		expect_each(text, INVALID, INVALID, INVALID, INVALID);
		break;
	default:
		expect_each(text, 0, 0, 0, 0);
		break;
	}
}

/* l: loopback, p: private, n: never, or public; the first and the last of each network, and its neighbours. */
static const struct {
	const char *text;
	char kind;
} ipv4[] = {
	{"0.0.0.0", 'l'},
	{"0.0.0.1", 'l'},
	{"0.255.255.255", 'l'},
	{"1.0.0.0", ' '},
	{"9.255.255.255", ' '},
	{"10.0.0.0", 'p'},
	{"10.255.255.255", 'p'},
	{"11.0.0.0", ' '},
	{"100.63.255.255", ' '},
	{"100.64.0.0", 'p'},
	{"100.127.255.255", 'p'},
	{"100.128.0.0", ' '},
	{"126.255.255.255", ' '},
	{"127.0.0.0", 'l'},
	{"127.0.0.1", 'l'},
	{"127.255.255.255", 'l'},
	{"128.0.0.0", ' '},
	{"169.253.255.255", ' '},
	{"169.254.0.0", 'p'},
	{"169.254.169.254", 'p'},
	{"169.254.255.255", 'p'},
	{"169.255.0.0", ' '},
	{"172.15.255.255", ' '},
	{"172.16.0.0", 'p'},
	{"172.31.255.255", 'p'},
	{"172.32.0.0", ' '},
	{"191.255.255.255", ' '},
	{"192.0.0.0", 'p'},
	{"192.0.0.255", 'p'},
	{"192.0.1.0", ' '},
	{"192.0.1.255", ' '},
	{"192.0.2.0", 'n'},
	{"192.0.2.255", 'n'},
	{"192.0.3.0", ' '},
	{"192.88.98.255", ' '},
	{"192.88.99.1", 'p'},
	{"192.88.100.0", ' '},
	{"192.167.255.255", ' '},
	{"192.168.0.0", 'p'},
	{"192.168.255.255", 'p'},
	{"192.169.0.0", ' '},
	{"198.17.255.255", ' '},
	{"198.18.0.0", 'p'},
	{"198.19.255.255", 'p'},
	{"198.20.0.0", ' '},
	{"198.51.99.255", ' '},
	{"198.51.100.0", 'n'},
	{"198.51.100.255", 'n'},
	{"198.51.101.0", ' '},
	{"203.0.112.255", ' '},
	{"203.0.113.0", 'n'},
	{"203.0.113.255", 'n'},
	{"203.0.114.0", ' '},
	{"223.255.255.255", ' '},
	{"224.0.0.0", 'n'},
	{"224.0.0.1", 'n'},
	{"239.255.255.255", 'n'},
	{"240.0.0.0", 'n'},
	{"255.255.255.255", 'n'},
};

static const struct {
	const char *text;
	char kind;
} ipv6[] = {
	{"::", 'l'},
	{"::1", 'l'},
	{"::2", 'l'}, /* compatible with 0.0.0.2 */
	{"64:ff9b:0:1::", 'p'},
	{"64:ff9b:1::", 'p'},
	{"64:ff9b:1::7f00:1", 'p'},
	{"64:ff9b:1::808:808", 'p'},
	{"64:ff9b:1:ffff:ffff:ffff:ffff:ffff", 'p'},
	{"64:ff9b:2::", 'p'},
	{"ff::1", 'p'},
	{"100::", 'n'},
	{"100::ffff:ffff:ffff:ffff", 'n'},
	{"100:0:0:1::1", 'n'},
	{"100:0:0:2::", 'p'},
	{"200::1", 'p'},
	{"1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 'p'},
	{"2001:1::1", 'p'},
	{"2001:2::1", 'p'},
	{"2001:20::1", 'p'},
	{"2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", 'p'},
	{"2001:200::", ' '},
	{"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", ' '},
	{"2001:db8::", 'n'},
	{"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 'n'},
	{"2001:db9::", ' '},
	{"2003::1", ' '},
	{"2606:4700::1", ' '},
	{"3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ' '},
	{"3fff::", 'n'},
	{"3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", 'n'},
	{"3fff:1000::", ' '},
	{"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ' '},
	{"4000::", 'p'},
	{"5f00::1", 'p'},
	{"fc00::", 'p'},
	{"fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 'p'},
	{"fe80::1", 'p'},
	{"febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 'p'},
	{"fec0::", 'p'},
	{"feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 'p'},
	{"ff00::", 'n'},
	{"ff02::1", 'n'},
	{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 'n'},
};

static void
ipv4_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof ipv4 / sizeof *ipv4; i++)
		expect_kind(ipv4[i].text, ipv4[i].kind);
}

static void
ipv6_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof ipv6 / sizeof *ipv6; i++)
		expect_kind(ipv6[i].text, ipv6[i].kind);
}

/* An address is what it is in whatever form it is written. */
static void
ipv4_in_ipv6(void **state)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t b[4];

	(void)state;
	for (size_t i = 0; i < sizeof ipv4 / sizeof *ipv4; i++) {
		static const char *const prefixes[] = {"::ffff:", "::ffff:0:", "64:ff9b::"};

		for (size_t j = 0; j < sizeof prefixes / sizeof *prefixes; j++) {
			snprintf(text, sizeof text, "%s%s", prefixes[j], ipv4[i].text);
			expect_kind(text, ipv4[i].kind);
		}
		assert_int_equal(inet_pton(AF_INET, ipv4[i].text, b), 1);
		snprintf(text, sizeof text, "2002:%02x%02x:%02x%02x::1", b[0], b[1], b[2], b[3]);
		expect_kind(text, ipv4[i].kind);
		snprintf(text, sizeof text, "2001:0:101:101:0:0:%02x%02x:%02x%02x", b[0] ^ 0xff, b[1] ^ 0xff,
			b[2] ^ 0xff, b[3] ^ 0xff);
		expect_kind(text, ipv4[i].kind);
		/* ::0.0.0.0 and ::0.0.0.1 are other addresses. */
		snprintf(text, sizeof text, "::%s", ipv4[i].text);
		expect_kind(text, ipv4[i].kind);
	}
}

static void
no_other_families(void **state)
{
	const struct policy policy = {true, true};
	const struct sockaddr sa = {.sa_family = AF_UNIX};

	(void)state;
	assert_int_equal(policy_check(&policy, &sa), INVALID);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_addresses),
		cmocka_unit_test(ipv6_addresses),
		cmocka_unit_test(ipv4_in_ipv6),
		cmocka_unit_test(no_other_families),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
