/* SOCKS5 messages: what is read from each prefix of a message, and how addresses look as text. */
#include "unit.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <wisp/socks5.h>

/* ---- greetings ---- */

/* Decode the first n bytes of a greeting, from a block of just that size. `methods` is moved to the caller's bytes. */
static enum wisp_socks5_result
decode_greeting(const uint8_t *p, size_t n, size_t *need, struct wisp_socks5_greeting *greeting)
{
	uint8_t *const copy = exact_copy(p, n);
	const enum wisp_socks5_result result = wisp_socks5_greeting_decode(copy, n, need, greeting);

	if (result == WISP_SOCKS5_OK)
		greeting->methods = p + (greeting->methods - copy);
	free(copy);
	return result;
}

static void
greetings_are_read_at_any_split(void **state)
{
	static const size_t counts[] = {0, 1, 2, 3, 254, 255};
	struct wisp_socks5_greeting greeting;
	uint8_t p[300] = {5};
	size_t need;

	(void)state;
	for (size_t i = 0; i < COUNT(counts); i++) {
		const size_t size = 2 + counts[i];

		p[1] = (uint8_t)counts[i];
		for (size_t n = 0; n < size; n++) {
			assert_int_equal(decode_greeting(p, n, &need, &greeting), WISP_SOCKS5_MORE);
			assert_int_equal(need, n < 2 ? 2 : size);
		}
		/* What follows belongs to the next message. */
		for (size_t n = size; n < size + 3; n++) {
			assert_int_equal(decode_greeting(p, n, &need, &greeting), WISP_SOCKS5_OK);
			assert_int_equal(need, size);
			assert_int_equal(greeting.method_count, counts[i]);
			assert_ptr_equal(greeting.methods, p + 2);
		}
	}
}

static void
offered_methods_are_found(void **state)
{
	static const struct wisp_socks5_greeting none = {(const uint8_t *)"", 0}, some = {BYTES("\x02\x00\x80")};

	(void)state;
	assert_false(wisp_socks5_offers(&none, WISP_SOCKS5_METHOD_NONE));
	assert_true(wisp_socks5_offers(&some, 0x02));
	assert_true(wisp_socks5_offers(&some, WISP_SOCKS5_METHOD_NONE));
	assert_true(wisp_socks5_offers(&some, 0x80));
	assert_false(wisp_socks5_offers(&some, 0x01));
}

static void
other_versions_are_invalid_at_once(void **state)
{
	static const uint8_t versions[] = {0, 4, 6, 'G', 0xff};
	struct wisp_socks5_greeting greeting;
	struct wisp_socks5_request request;
	size_t need;

	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		const uint8_t p[10] = {versions[i]};

		for (size_t n = 1; n < sizeof p; n++) {
			assert_int_equal(decode_greeting(p, n, &need, &greeting), WISP_SOCKS5_INVALID);
			assert_int_equal(wisp_socks5_request_decode(p, n, &need, &request), WISP_SOCKS5_INVALID);
		}
	}
}

/* ---- requests ---- */

static enum wisp_socks5_result
decode_request(const uint8_t *p, size_t n, size_t *need, struct wisp_socks5_request *request)
{
	uint8_t *const copy = exact_copy(p, n);
	const enum wisp_socks5_result result = wisp_socks5_request_decode(copy, n, need, request);

	free(copy);
	return result;
}

/* A whole request gives the result, each part of it wants more, and never more than there is. */
static void
expect_request(
	const uint8_t *p, size_t size, enum wisp_socks5_result result, uint8_t command, const char *host, uint16_t port)
{
	struct wisp_socks5_request request;
	size_t need;
	uint8_t *const followed = malloc(size + 2);

	assert_non_null(followed);
	memcpy(followed, p, size);
	memset(followed + size, 0x16, 2);
	for (size_t n = 0; n < size; n++) {
		assert_int_equal(decode_request(followed, n, &need, &request), WISP_SOCKS5_MORE);
		assert_between(need, n + 1, size);
		/* From the first byte of the address on, the size is known. */
		assert_int_equal(need, n < 5 ? 5 : size);
	}
	for (size_t n = size; n < size + 3; n++) {
		assert_int_equal(decode_request(followed, n, &need, &request), result);
		assert_int_equal(need, size);
		if (result != WISP_SOCKS5_OK)
			continue;
		assert_int_equal(request.command, command);
		assert_string_equal(request.destination.host, host);
		assert_int_equal(request.destination.host_size, strlen(host));
		assert_int_equal(request.destination.port, port);
	}
	free(followed);
}

#define IPV6_REST "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

static void
requests_are_read_at_any_split(void **state)
{
	static const struct {
		const uint8_t *p;
		size_t n;
		enum wisp_socks5_result result;
		uint8_t command;
		const char *host;
		uint16_t port;
	} cases[] = {
		{BYTES("\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50"), WISP_SOCKS5_OK, WISP_SOCKS5_CONNECT, "127.0.0.1",
			80},
		{BYTES("\x05\x02\x00\x01\xff\xff\xff\xff\xff\xff"), WISP_SOCKS5_OK, WISP_SOCKS5_BIND, "255.255.255.255",
			65535},
		{BYTES("\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00"), WISP_SOCKS5_OK, WISP_SOCKS5_UDP_ASSOCIATE,
			"0.0.0.0", 0},
		{BYTES("\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x01" IPV6_REST "\x01\xbb"), WISP_SOCKS5_OK,
			WISP_SOCKS5_CONNECT, "2001:db8:1::", 443},
		{BYTES("\x05\x01\x00\x03\x0bwisp.exampl\x12\x34"), WISP_SOCKS5_OK, WISP_SOCKS5_CONNECT, "wisp.exampl",
			0x1234},
		{BYTES("\x05\x01\x00\x03\x01x\x00\x01"), WISP_SOCKS5_OK, WISP_SOCKS5_CONNECT, "x", 1},
		/* A command that does not exist is for the caller to judge, and the reserved byte for nobody. */
		{BYTES("\x05\x99\xff\x03\x01x\x00\x01"), WISP_SOCKS5_OK, 0x99, "x", 1},
		/* Names go on as they came. */
		{BYTES("\x05\x01\x00\x03\x04 \xc3\xa9\n\x00\x01"), WISP_SOCKS5_OK, WISP_SOCKS5_CONNECT, " \xc3\xa9\n",
			1},
		{BYTES("\x05\x01\x00\x03\x00\x00\x50"), WISP_SOCKS5_BAD_NAME, 0, NULL, 0},
		{BYTES("\x05\x01\x00\x03\x01\x00\x00\x50"), WISP_SOCKS5_BAD_NAME, 0, NULL, 0},
		{BYTES("\x05\x01\x00\x03\x04x.y\x00\x00\x50"), WISP_SOCKS5_BAD_NAME, 0, NULL, 0},
		{BYTES("\x05\x01\x00\x03\x05x\x00.yz\x00\x50"), WISP_SOCKS5_BAD_NAME, 0, NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		expect_request(cases[i].p, cases[i].n, cases[i].result, cases[i].command, cases[i].host, cases[i].port);
}

static void
names_up_to_the_longest_are_read(void **state)
{
	uint8_t p[WISP_SOCKS5_MESSAGE_MAX] = {5, 1, 0, 3};
	char host[WISP_SOCKS5_HOST_SIZE] = "";

	(void)state;
	for (unsigned n = 250; n <= 255; n++) {
		memset(host, 'n', n);
		p[4] = (uint8_t)n;
		memcpy(p + 5, host, n);
		memcpy(p + 5 + n, "\x04\x38", 2);
		expect_request(p, 5 + n + 2, WISP_SOCKS5_OK, WISP_SOCKS5_CONNECT, host, 1080);
	}
}

static void
unknown_address_types_are_told(void **state)
{
	struct wisp_socks5_request request;
	size_t need;

	(void)state;
	for (unsigned type = 0; type <= UINT8_MAX; type++) {
		const uint8_t p[] = {5, 1, 0, (uint8_t)type, 0};

		if (type == 1 || type == 3 || type == 4)
			continue;
		assert_int_equal(decode_request(p, 3, &need, &request), WISP_SOCKS5_MORE);
		assert_int_equal(decode_request(p, 4, &need, &request), WISP_SOCKS5_BAD_ADDRESS);
		assert_int_equal(decode_request(p, 5, &need, &request), WISP_SOCKS5_BAD_ADDRESS);
	}
}

/* ---- addresses ---- */

static const char *
format_address(uint8_t type, const uint8_t *address, size_t n)
{
	static struct wisp_socks5_request request;
	uint8_t p[22] = {5, 1, 0};
	size_t need;

	p[3] = type;
	memcpy(p + 4, address, n);
	assert_int_equal(wisp_socks5_request_decode(p, 4 + n + 2, &need, &request), WISP_SOCKS5_OK);
	assert_int_equal(request.destination.host_size, strlen(request.destination.host));
	return request.destination.host;
}

/* The rules of RFC 5952 section 4, and the examples there. */
static void
ipv6_has_the_form_of_rfc_5952(void **state)
{
	static const char *const texts[] = {
		"::",
		"::1",
		"1::",
		"2001:db8::1",
		"2001:db8::2:1",
		"2001:db8:0:1:1:1:1:1", /* one group of zeros is not shortened */
		"2001:0:0:1::1",        /* the longest run is */
		"2001:db8::1:0:0:1",    /* of two, the first */
		"0:1::",
		"0:1::1:0:0",
		"1:2:3:4:5:6::",
		"::3:4:5:6:7:8",
		"1:2:3:4:5:6:7:0",
		"0:2:3:4:5:6:7:8",
		"a:b:c:d:e:f:abcd:ffff",
		"fe80::200:5aee:feaa:20a2",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct in6_addr address;

		assert_int_equal(inet_pton(AF_INET6, texts[i], &address), 1);
		assert_string_equal(format_address(4, address.s6_addr, 16), texts[i]);
	}
}

/* The libc prints these with an IPv4 address at their end. */
static bool
holds_ipv4(const uint8_t *address)
{
	static const uint8_t zeros[12];

	return memcmp(address, zeros, 12) == 0 ||
	       (memcmp(address, zeros, 10) == 0 && address[10] == 0xff && address[11] == 0xff);
}

static void
check_ipv6(const uint8_t address[16])
{
	const char *const ours = format_address(4, address, 16);
	char theirs[INET6_ADDRSTRLEN];
	uint8_t back[16];

	assert_int_equal(inet_pton(AF_INET6, ours, back), 1);
	assert_memory_equal(back, address, 16);
	assert_non_null(inet_ntop(AF_INET6, address, theirs, sizeof theirs));
	if (!holds_ipv4(address))
		assert_string_equal(ours, theirs);
}

static void
ipv6_is_that_of_the_libc(void **state)
{
	static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1}, compatible[16] = {[12] = 192, 0, 2, 1};
	struct rng rng = rng_seeded(5);
	uint8_t address[16];

	(void)state;
	/* Each set of groups that are 0, with groups of one to four digits among the others. */
	for (unsigned zeros = 0; zeros < 256; zeros++) {
		for (int round = 0; round < 50; round++) {
			for (int group = 0; group < 8; group++) {
				const unsigned value = 1 + (unsigned)rng_below(&rng, 0xffffu >> 4 * rng_below(&rng, 4));
				const unsigned shown = zeros & 1u << group ? 0 : value;

				address[2 * group] = (uint8_t)(shown >> 8);
				address[2 * group + 1] = (uint8_t)shown;
			}
			check_ipv6(address);
		}
	}
	for (int round = 0; round < 20000; round++) {
		rng_fill(&rng, address, sizeof address);
		check_ipv6(address);
	}
	check_ipv6(mapped);
	check_ipv6(compatible);
	assert_string_equal(format_address(4, mapped, 16), "::ffff:192.0.2.1");
}

static void
ipv4_is_that_of_the_libc(void **state)
{
	struct rng rng = rng_seeded(6);
	char theirs[INET_ADDRSTRLEN];
	uint8_t address[4];

	(void)state;
	for (int round = 0; round < 1000; round++) {
		rng_fill(&rng, address, sizeof address);
		assert_non_null(inet_ntop(AF_INET, address, theirs, sizeof theirs));
		assert_string_equal(format_address(1, address, 4), theirs);
	}
}

/* ---- passwords ---- */

/* Decode the first n bytes, from a block of just that size. What is found is moved to the caller's bytes. */
static enum wisp_socks5_result
decode_password(const uint8_t *p, size_t n, size_t *need, struct wisp_socks5_password *password)
{
	uint8_t *const copy = exact_copy(p, n);
	const enum wisp_socks5_result result = wisp_socks5_password_decode(copy, n, need, password);

	if (result == WISP_SOCKS5_OK) {
		password->user = (const char *)p + (password->user - (const char *)copy);
		password->password = (const char *)p + (password->password - (const char *)copy);
	}
	free(copy);
	return result;
}

/* Each part of a message wants more, never more than there is; what follows it is left alone. */
static void
expect_password(const uint8_t *p, size_t user_size, size_t password_size)
{
	const size_t size = 3 + user_size + password_size;
	struct wisp_socks5_password password;
	size_t need;

	for (size_t n = 0; n < size; n++) {
		assert_int_equal(decode_password(p, n, &need, &password), WISP_SOCKS5_MORE);
		assert_int_equal(need, n < 2 ? 2 : n < 3 + user_size ? 3 + user_size : size);
	}
	for (size_t n = size; n < size + 3; n++) {
		assert_int_equal(decode_password(p, n, &need, &password), WISP_SOCKS5_OK);
		assert_int_equal(need, size);
		assert_int_equal(password.user_size, user_size);
		assert_int_equal(password.password_size, password_size);
		assert_ptr_equal(password.user, p + 2);
		assert_ptr_equal(password.password, p + 3 + user_size);
	}
}

static void
passwords_are_read_at_any_split(void **state)
{
	static const size_t lengths[] = {0, 1, 2, 127, 128, 254, 255};
	uint8_t p[WISP_SOCKS5_MESSAGE_MAX + 3];

	(void)state;
	for (size_t i = 0; i < COUNT(lengths) * COUNT(lengths); i++) {
		const size_t user_size = lengths[i % COUNT(lengths)], password_size = lengths[i / COUNT(lengths)];

		assert_true(3 + user_size + password_size <= WISP_SOCKS5_MESSAGE_MAX);
		memset(p, 0xff, sizeof p);
		p[0] = 1;
		p[1] = (uint8_t)user_size;
		p[2 + user_size] = (uint8_t)password_size;
		expect_password(p, user_size, password_size);
	}
}

static void
passwords_have_one_version(void **state)
{
	struct wisp_socks5_password password;
	size_t need;

	(void)state;
	for (unsigned version = 0; version <= UINT8_MAX; version++) {
		const uint8_t p[] = {(uint8_t)version, 0, 0};

		for (size_t n = 1; n <= sizeof p && version != 1; n++)
			assert_int_equal(decode_password(p, n, &need, &password), WISP_SOCKS5_INVALID);
	}
}

/* ---- datagrams ---- */

static bool
decode_datagram(const uint8_t *p, size_t n, struct wisp_socks5_datagram *datagram)
{
	uint8_t *const copy = exact_copy(p, n);
	const bool good = wisp_socks5_datagram_decode(copy, n, datagram);

	if (good)
		datagram->address = p + (datagram->address - copy);
	free(copy);
	return good;
}

/* The header needs each of its bytes, the payload may be of any size, and an answer has the same header. */
static void
expect_datagram(const uint8_t *p, size_t header_size, uint8_t fragment, const char *host, uint16_t port)
{
	uint8_t followed[WISP_SOCKS5_DATAGRAM_HEADER_MAX + 3], answer[WISP_SOCKS5_DATAGRAM_HEADER_MAX];
	struct wisp_socks5_datagram datagram;

	assert_true(header_size <= WISP_SOCKS5_DATAGRAM_HEADER_MAX);
	memset(followed, 0x16, sizeof followed);
	memcpy(followed, p, header_size);
	for (size_t n = 0; n < header_size; n++)
		assert_false(decode_datagram(followed, n, &datagram));
	for (size_t n = header_size; n < header_size + 3; n++) {
		assert_true(decode_datagram(followed, n, &datagram));
		assert_int_equal(datagram.header_size, header_size);
		assert_int_equal(datagram.fragment, fragment);
		assert_string_equal(datagram.destination.host, host);
		assert_int_equal(datagram.destination.host_size, strlen(host));
		assert_int_equal(datagram.destination.port, port);
		assert_ptr_equal(datagram.address, followed + 3);
		assert_int_equal(datagram.address_size, header_size - 3);
	}
	memset(answer, 0xa5, sizeof answer);
	assert_int_equal(wisp_socks5_datagram_encode(answer, datagram.address, datagram.address_size), header_size);
	assert_memory_equal(answer, "\0\0\0", 3);
	assert_memory_equal(answer + 3, p + 3, header_size - 3);
}

static void
datagram_headers_are_read_whole(void **state)
{
	static const struct {
		const uint8_t *p;
		size_t n;
		uint8_t fragment;
		const char *host;
		uint16_t port;
	} cases[] = {
		{BYTES("\0\0\0\x01\x7f\x00\x00\x01\x00\x35"), 0, "127.0.0.1", 53},
		{BYTES("\0\0\0\x04\x20\x01\x0d\xb8\x00\x01" IPV6_REST "\x01\xbb"), 0, "2001:db8:1::", 443},
		{BYTES("\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01\x00\x35"), 0, "::ffff:192.0.2.1", 53},
		{BYTES("\0\0\0\x03\x01x\x00\x01"), 0, "x", 1},
		{BYTES("\0\0\0\x03\x0cwisp.example\xff\xff"), 0, "wisp.example", 65535},
		/* Fragments are for the caller to judge, and the reserved bytes for nobody. */
		{BYTES("\0\0\x01\x03\x01x\x00\x01"), 1, "x", 1},
		{BYTES("\xff\xff\xff\x03\x01x\x00\x01"), 0xff, "x", 1},
		{BYTES("\0\0\x80\x01\x7f\x00\x00\x01\x00\x00"), 0x80, "127.0.0.1", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		expect_datagram(cases[i].p, cases[i].n, cases[i].fragment, cases[i].host, cases[i].port);
}

static void
datagrams_for_names_up_to_the_longest(void **state)
{
	static const unsigned lengths[] = {1, 2, 63, 64, 253, 254, 255};
	uint8_t p[WISP_SOCKS5_DATAGRAM_HEADER_MAX] = {0, 0, 0, 3};

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		char host[WISP_SOCKS5_HOST_SIZE] = "";

		memset(host, 'n', lengths[i]);
		p[4] = (uint8_t)lengths[i];
		memcpy(p + 5, host, lengths[i]);
		memcpy(p + 5 + lengths[i], "\x04\x38", 2);
		expect_datagram(p, 7 + lengths[i], 0, host, 1080);
	}
}

static void
other_datagrams_are_refused(void **state)
{
	static const struct {
		const uint8_t *p;
		size_t n;
	} cases[] = {
		{BYTES("\0\0\0\x03\x00\x00\x35 and data")},
		{BYTES("\0\0\0\x03\x01\x00\x00\x35 and data")},
		{BYTES("\0\0\0\x03\x03x\x00y\x00\x35 and data")},
		{BYTES("\0\0\0\x03\xff no such name")},
	};
	struct wisp_socks5_datagram datagram;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_false(decode_datagram(cases[i].p, cases[i].n, &datagram));
	for (unsigned type = 0; type <= UINT8_MAX; type++) {
		const uint8_t p[300] = {0, 0, 0, (uint8_t)type, 1, 'x'};

		assert_int_equal(decode_datagram(p, sizeof p, &datagram), type == 1 || type == 3 || type == 4);
	}
}

/* ---- answers ---- */

static void
replies_are_written(void **state)
{
	uint8_t p[WISP_SOCKS5_REPLY_MAX];

	(void)state;
	assert_int_equal(wisp_socks5_method_reply(p, WISP_SOCKS5_METHOD_NONE), 2);
	assert_memory_equal(p, "\x05\x00", 2);
	assert_int_equal(wisp_socks5_method_reply(p, WISP_SOCKS5_METHOD_UNACCEPTABLE), 2);
	assert_memory_equal(p, "\x05\xff", 2);
	memset(p, 0xa5, sizeof p);
	assert_int_equal(wisp_socks5_reply(p, WISP_SOCKS5_SUCCEEDED, NULL), 10);
	assert_memory_equal(p, "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00\xa5", 11);
	assert_int_equal(wisp_socks5_reply(p, WISP_SOCKS5_ADDRESS_UNSUPPORTED, NULL), 10);
	assert_memory_equal(p, "\x05\x08\x00\x01\x00\x00\x00\x00\x00\x00", 10);
}

static void
passwords_are_answered(void **state)
{
	uint8_t p[WISP_SOCKS5_PASSWORD_REPLY_SIZE];

	(void)state;
	assert_int_equal(wisp_socks5_password_reply(p, true), 2);
	assert_memory_equal(p, "\x01\x00", 2);
	assert_int_equal(wisp_socks5_password_reply(p, false), 2);
	assert_memory_equal(p, "\x01\x01", 2);
}

static void
replies_tell_an_address(void **state)
{
	static const struct {
		struct wisp_socks5_address address;
		const uint8_t *p;
		size_t n;
	} cases[] = {
		{{(const uint8_t *)"\xc0\x00\x02\x01", 4, 0x1234}, BYTES("\x05\x00\x00\x01\xc0\x00\x02\x01\x12\x34")},
		{{(const uint8_t *)"\xff\xff\xff\xff", 4, 65535}, BYTES("\x05\x00\x00\x01\xff\xff\xff\xff\xff\xff")},
		{{(const uint8_t *)"0123456789abcdef", 16, 1}, BYTES("\x05\x00\x00\x04"
								     "0123456789abcdef\x00\x01")},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t p[WISP_SOCKS5_REPLY_MAX + 1];

		memset(p, 0xa5, sizeof p);
		assert_int_equal(wisp_socks5_reply(p, WISP_SOCKS5_SUCCEEDED, &cases[i].address), cases[i].n);
		assert_memory_equal(p, cases[i].p, cases[i].n);
		assert_int_equal(p[cases[i].n], 0xa5);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(greetings_are_read_at_any_split),
		cmocka_unit_test(offered_methods_are_found),
		cmocka_unit_test(other_versions_are_invalid_at_once),
		cmocka_unit_test(requests_are_read_at_any_split),
		cmocka_unit_test(names_up_to_the_longest_are_read),
		cmocka_unit_test(unknown_address_types_are_told),
		cmocka_unit_test(ipv6_has_the_form_of_rfc_5952),
		cmocka_unit_test(ipv6_is_that_of_the_libc),
		cmocka_unit_test(ipv4_is_that_of_the_libc),
		cmocka_unit_test(passwords_are_read_at_any_split),
		cmocka_unit_test(passwords_have_one_version),
		cmocka_unit_test(datagram_headers_are_read_whole),
		cmocka_unit_test(datagrams_for_names_up_to_the_longest),
		cmocka_unit_test(other_datagrams_are_refused),
		cmocka_unit_test(replies_are_written),
		cmocka_unit_test(passwords_are_answered),
		cmocka_unit_test(replies_tell_an_address),
	};

	return cmocka_run_group_tests_name("socks5", tests, NULL, NULL);
}
