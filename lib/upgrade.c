#include <wisp/upgrade.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#define NONCE_SIZE 16
#define SHA1_SIZE 20
#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define WEBSOCKET_VERSION "13"

#define PROTOCOL "HTTP/1."
#define STATUS_DIGITS 3

bool
wisp_upgrade_key(char key[WISP_UPGRADE_KEY_SIZE])
{
	unsigned char nonce[NONCE_SIZE];

	if (RAND_bytes(nonce, sizeof nonce) != 1) {
		ERR_clear_error(); /* or the caller's TLS would take it for its own, here and below */
		return false;
	}
	EVP_EncodeBlock((unsigned char *)key, nonce, sizeof nonce);
	return true;
}

bool
wisp_upgrade_accept(const char *key, char accept[WISP_UPGRADE_ACCEPT_SIZE])
{
	char text[WISP_UPGRADE_KEY_SIZE + sizeof GUID];
	unsigned char digest[SHA1_SIZE];
	const int n = snprintf(text, sizeof text, "%s%s", key, GUID);

	if ((size_t)n >= sizeof text)
		return false;
	if (EVP_Digest(text, (size_t)n, digest, NULL, EVP_sha1(), NULL) != 1) {
		ERR_clear_error();
		return false;
	}
	EVP_EncodeBlock((unsigned char *)accept, digest, sizeof digest);
	return true;
}

struct wisp_upgrade_text
wisp_upgrade_trim(struct wisp_upgrade_text t)
{
	while (t.n > 0 && (t.p[0] == ' ' || t.p[0] == '\t'))
		t.p++, t.n--;
	while (t.n > 0 && (t.p[t.n - 1] == ' ' || t.p[t.n - 1] == '\t'))
		t.n--;
	return t;
}

static bool
equals(struct wisp_upgrade_text t, const char *s)
{
	return t.n == strlen(s) && memcmp(t.p, s, t.n) == 0;
}

static bool
equals_ignoring_case(struct wisp_upgrade_text t, const char *s)
{
	return t.n == strlen(s) && strncasecmp(t.p, s, t.n) == 0;
}

/* Cut `t` at the first `separator`: returns what is before it and leaves what is behind it. */
static struct wisp_upgrade_text
cut(struct wisp_upgrade_text *t, char separator)
{
	const char *end = memchr(t->p, separator, t->n);
	struct wisp_upgrade_text before = *t;

	if (end == NULL) {
		t->p += t->n;
		t->n = 0;
		return before;
	}
	before.n = (size_t)(end - t->p);
	t->p = end + 1;
	t->n -= before.n + 1;
	return before;
}

bool
wisp_upgrade_list_has(const char *list, size_t n, const char *token)
{
	struct wisp_upgrade_text rest = {list, n};

	while (rest.n > 0)
		if (equals_ignoring_case(wisp_upgrade_trim(cut(&rest, ',')), token))
			return true;
	return false;
}

/* Header values become part of our answer: only what RFC 9110 allows in a token goes through. */
static bool
is_token(struct wisp_upgrade_text t)
{
	for (size_t i = 0; i < t.n; i++)
		if (t.p[i] <= ' ' || t.p[i] >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", t.p[i]) != NULL)
			return false;
	return t.n > 0;
}

static bool
is_key(struct wisp_upgrade_text t)
{
	unsigned char nonce[WISP_UPGRADE_KEY_SIZE];

	/* 16 bytes are 22 characters and two signs of padding; the decoder counts the padding as two more bytes. */
	return t.n == WISP_UPGRADE_KEY_SIZE - 1 && memchr(t.p, '=', t.n) == t.p + t.n - 2 && t.p[t.n - 1] == '=' &&
	       EVP_DecodeBlock(nonce, (const unsigned char *)t.p, (int)t.n) == NONCE_SIZE + 2;
}

/* What the headers of an upgrade have to say, ticked off as they are found. */
struct found {
	bool upgrade;
	bool connection;
	bool version;
	bool key;
};

static void
read_header(struct wisp_upgrade_text name, struct wisp_upgrade_text value, struct wisp_upgrade_request *request,
	struct found *found)
{
	if (equals_ignoring_case(name, "Upgrade")) {
		found->upgrade |= wisp_upgrade_list_has(value.p, value.n, "websocket");
	} else if (equals_ignoring_case(name, "Connection")) {
		found->connection |= wisp_upgrade_list_has(value.p, value.n, "Upgrade");
	} else if (equals_ignoring_case(name, "Sec-WebSocket-Version")) {
		found->version = equals(value, WEBSOCKET_VERSION);
	} else if (equals_ignoring_case(name, "Sec-WebSocket-Key")) {
		found->key = is_key(value);
		if (found->key)
			memcpy(request->key, value.p, value.n);
	} else if (equals_ignoring_case(name, "Sec-WebSocket-Protocol")) {
		const struct wisp_upgrade_text first = wisp_upgrade_trim(cut(&value, ','));

		request->has_protocol = true;
		if (request->protocol[0] == '\0' && is_token(first) && first.n < sizeof request->protocol)
			memcpy(request->protocol, first.p, first.n);
	}
}

/* Cut the path out of the target, which may be in absolute form (RFC 9112 section 3.2.2). Returns false without one. */
static bool
find_path(struct wisp_upgrade_text target, struct wisp_upgrade_text *path)
{
	static const char *const schemes[] = {"http://", "https://", "ws://", "wss://"};

	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
		const size_t scheme_size = strlen(schemes[i]);
		size_t end = scheme_size;

		if (target.n <= scheme_size || strncasecmp(target.p, schemes[i], scheme_size) != 0)
			continue;
		while (end < target.n && target.p[end] != '/' && target.p[end] != '?')
			end++;
		if (end == scheme_size)
			return false; /* there is no host in it */
		target = (struct wisp_upgrade_text){target.p + end, target.n - end};
		if (target.n == 0 || target.p[0] == '?')
			target = (struct wisp_upgrade_text){"/", 1};
		break;
	}
	*path = cut(&target, '?');
	return path->n > 0 && path->p[0] == '/';
}

/* HTTP/1.0, HTTP/1.1, or a later 1.x, which is answered as 1.1. Returns 0, or the status to refuse it with. */
static int
check_version(struct wisp_upgrade_text version, bool *is_10)
{
	static const char start[] = "HTTP/";
	const size_t at = sizeof start - 1;

	if (version.n != sizeof "HTTP/1.1" - 1 || memcmp(version.p, start, at) != 0 || version.p[at + 1] != '.')
		return 400;
	if (version.p[at] < '0' || version.p[at] > '9' || version.p[at + 2] < '0' || version.p[at + 2] > '9')
		return 400;
	*is_10 = version.p[at] == '1' && version.p[at + 2] == '0';
	return version.p[at] == '1' ? 0 : 505;
}

static bool
has_control(struct wisp_upgrade_text t)
{
	for (size_t i = 0; i < t.n; i++)
		if ((unsigned char)t.p[i] <= ' ' || t.p[i] == 0x7f)
			return true;
	return false;
}

/* Returns the status, as far as this line decides it: 101 when all depends on the headers. */
static int
read_request_line(struct wisp_upgrade_text line, const char *path, struct wisp_upgrade_request *request)
{
	const struct wisp_upgrade_text method = cut(&line, ' ');
	const struct wisp_upgrade_text target = cut(&line, ' ');
	const bool options = equals(method, "OPTIONS");
	const int wrong = check_version(line, &request->http10);
	struct wisp_upgrade_text target_path = {"", 0};

	request->head_only = equals(method, "HEAD");
	if (wrong != 0)
		return wrong;
	if (!is_token(method) || target.n == 0 || has_control(target))
		return 400;
	if (!equals(method, "GET") && !request->head_only && !options)
		return 405;
	if (options && equals(target, "*"))
		return 204;
	if (!find_path(target, &target_path))
		return 400;
	if (!options && equals(target_path, WISP_UPGRADE_HEALTH_PATH))
		return 200;
	if (!equals(target_path, path))
		return 404;
	return options ? 204 : 101;
}

/* A line of the head without its CRLF. RFC 9112 section 2.2 lets a bare LF end it, and a bare CR is never valid. */
static struct wisp_upgrade_text
next_line(struct wisp_upgrade_text *head)
{
	struct wisp_upgrade_text line = cut(head, '\n');

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

/* Read the headers. Returns what is wrong with one of them, or NULL. */
static const char *
read_headers(struct wisp_upgrade_text *head, struct wisp_upgrade_request *request, struct found *found)
{
	for (;;) {
		struct wisp_upgrade_text line = next_line(head);
		struct wisp_upgrade_text name;

		if (line.n == 0)
			return NULL; /* there is such a line: it ends the head */
		if (memchr(line.p, '\r', line.n) != NULL || memchr(line.p, '\0', line.n) != NULL)
			return "a header contains a bare CR or a NUL";
		if (memchr(line.p, ':', line.n) == NULL)
			return "a header has no colon";
		name = cut(&line, ':');
		if (!is_token(name))
			return "a header's name is not a token, or continues the line before";
		read_header(name, wisp_upgrade_trim(line), request, found);
	}
}

/* What there is to say of a request whose headers are in their form. */
static const char *
explain(const struct wisp_upgrade_request *request)
{
	switch (request->status) {
	case 400:
		return "the request line is malformed";
	case 404:
		return "there is nothing at this path; see --path";
	case 405:
		return "the method is not GET, HEAD or OPTIONS";
	case 505:
		return "the HTTP version is not 1.0 or 1.1; a proxy in front must speak 1.1";
	default:
		return NULL;
	}
}

/* Whether the headers ask for a WebSocket. Returns the status, with the error. */
static int
judge_upgrade(struct wisp_upgrade_request *request, const struct found *found)
{
	if (request->http10) {
		request->error =
			"HTTP/1.0 has no upgrade; a proxy in front must speak HTTP/1.1 (nginx: proxy_http_version 1.1)";
		return 426;
	}
	if (request->head_only || !found->upgrade || !found->connection) {
		request->error =
			"it does not ask for a WebSocket; a proxy in front must pass Upgrade and Connection on";
		return 426;
	}
	if (!found->version) {
		request->error = "it asks for a WebSocket version other than " WEBSOCKET_VERSION;
		return 426;
	}
	if (!found->key) {
		request->error = "Sec-WebSocket-Key is missing or malformed";
		return 400;
	}
	return 101;
}

static void
judge(struct wisp_upgrade_text head, const char *path, struct wisp_upgrade_request *request)
{
	struct found found = {0};
	struct wisp_upgrade_text line = next_line(&head);
	const char *wrong;

	if (line.n == 0)
		line = next_line(&head); /* one before the request is let pass (RFC 9112 section 2.2) */
	request->status = read_request_line(line, path, request);
	wrong = read_headers(&head, request, &found);
	if (wrong != NULL) {
		request->status = 400;
		request->error = wrong;
	} else if (request->status == 101) {
		request->status = judge_upgrade(request, &found);
	} else {
		request->error = explain(request);
	}
}

size_t
wisp_upgrade_head_size(const char *p, size_t n, size_t seen)
{
	const char *const end = p + n;
	/* The empty line may have begun in what was seen: with its own CR, and the line feed before that. */
	const char *lf = p + (seen > 2 ? seen - 2 : 0);

	if (n == 0 || seen >= n)
		return 0;
	while ((lf = memchr(lf, '\n', (size_t)(end - lf))) != NULL) {
		lf++;
		if (end - lf >= 1 && lf[0] == '\n')
			return (size_t)(lf - p) + 1;
		if (end - lf >= 2 && lf[0] == '\r' && lf[1] == '\n')
			return (size_t)(lf - p) + 2;
	}
	return 0;
}

size_t
wisp_upgrade_parse(const char *p, size_t n, const char *path, struct wisp_upgrade_request *request)
{
	const size_t size = wisp_upgrade_head_size(p, n, 0);

	memset(request, 0, sizeof *request);
	if (size > WISP_UPGRADE_HEAD_MAX || (size == 0 && n >= WISP_UPGRADE_HEAD_MAX)) {
		request->status = 431;
		request->error = "its head is too long";
		return n;
	}
	if (size > 0)
		judge((struct wisp_upgrade_text){p, size}, path, request);
	return size;
}

static const char *
reason_phrase(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 204:
		return "No Content";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 426:
		return "Upgrade Required";
	case 429:
		return "Too Many Requests";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Internal Server Error";
	}
}

static const char *
extra_headers(int status)
{
	switch (status) {
	case 204:
	case 405:
		return "Allow: GET, HEAD, OPTIONS\r\n";
	case 426:
		return "Upgrade: websocket\r\nSec-WebSocket-Version: " WEBSOCKET_VERSION "\r\n";
	default:
		return "";
	}
}

/*
 * The response to everything but a good request, after which the connection is closed. It says in its body, for a
 * person with a browser, what would have been right.
 */
static size_t
respond_without_upgrade(
	const struct wisp_upgrade_request *request, int status, char response[WISP_UPGRADE_RESPONSE_MAX])
{
	const char *const body =
		status == 200 ? "ok\n" : "This is a Wisp server: connect to it with a WebSocket, over HTTP/1.1.\n";
	char content[80] = "";
	int n;

	if (status != 204)
		snprintf(content, sizeof content, "Content-Type: text/plain\r\nContent-Length: %zu\r\n", strlen(body));
	n = snprintf(response, WISP_UPGRADE_RESPONSE_MAX,
		"HTTP/1.%c %d %s\r\n"
		"%s"
		"%s"
		"Connection: %sclose\r\n"
		"\r\n"
		"%s",
		request->http10 ? '0' : '1', status, reason_phrase(status), content, extra_headers(status),
		status == 426 && !request->http10 ? "Upgrade, " : "", status == 204 || request->head_only ? "" : body);
	return (size_t)n;
}

size_t
wisp_upgrade_respond(const struct wisp_upgrade_request *request, char response[WISP_UPGRADE_RESPONSE_MAX])
{
	char accept[WISP_UPGRADE_ACCEPT_SIZE];
	const bool named = request->protocol[0] != '\0';
	int n;

	if (request->status != 101)
		return respond_without_upgrade(request, request->status, response);
	if (!wisp_upgrade_accept(request->key, accept))
		return respond_without_upgrade(request, 500, response);
	n = snprintf(response, WISP_UPGRADE_RESPONSE_MAX,
		"HTTP/1.1 101 Switching Protocols\r\n"
		"Upgrade: websocket\r\n"
		"Connection: Upgrade\r\n"
		"Sec-WebSocket-Accept: %s\r\n"
		"%s%s%s"
		"\r\n",
		accept, named ? "Sec-WebSocket-Protocol: " : "", request->protocol, named ? "\r\n" : "");
	return (size_t)n;
}

/* ---- responses ---- */

size_t
wisp_upgrade_response_size(const char *p, size_t n)
{
	return wisp_upgrade_head_size(p, n, 0);
}

bool
wisp_upgrade_response_begins(const char *p, size_t n)
{
	const size_t known = n < strlen(PROTOCOL) ? n : strlen(PROTOCOL);

	return n == 0 || memcmp(p, PROTOCOL, known) == 0;
}

/* The status line (RFC 9112 section 4): the protocol with its minor version, a space, three digits and maybe words. */
unsigned
wisp_upgrade_response_status(struct wisp_upgrade_text head)
{
	struct wisp_upgrade_text line = next_line(&head);
	const struct wisp_upgrade_text protocol = cut(&line, ' '), code = cut(&line, ' ');
	unsigned status = 0;

	if (protocol.n != strlen(PROTOCOL) + 1 || memcmp(protocol.p, PROTOCOL, strlen(PROTOCOL)) != 0)
		return 0;
	if (code.n != STATUS_DIGITS)
		return 0;
	for (size_t i = 0; i < code.n; i++) {
		if (code.p[i] < '0' || code.p[i] > '9')
			return 0;
		status = 10 * status + (unsigned)(code.p[i] - '0');
	}
	return status >= 100 ? status : 0;
}

/* A line with a name and a value: the status line is none, and no line with what must stand in none is (RFC 9110
 * section 5.5). */
static bool
is_field(struct wisp_upgrade_text line)
{
	return line.n > 0 && memchr(line.p, ':', line.n) != NULL && memchr(line.p, '\0', line.n) == NULL &&
	       memchr(line.p, '\r', line.n) == NULL;
}

bool
wisp_upgrade_response_header(struct wisp_upgrade_text *rest, const char *name, struct wisp_upgrade_text *value)
{
	while (rest->n > 0) {
		struct wisp_upgrade_text line = next_line(rest);

		if (!is_field(line) || !equals_ignoring_case(cut(&line, ':'), name))
			continue;
		*value = wisp_upgrade_trim(line);
		return true;
	}
	return false;
}
