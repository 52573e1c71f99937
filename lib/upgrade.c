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

static struct wisp_upgrade_text
trim(struct wisp_upgrade_text t)
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
		if (equals_ignoring_case(trim(cut(&rest, ',')), token))
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
		const struct wisp_upgrade_text first = trim(cut(&value, ','));

		request->has_protocol = true;
		if (request->protocol[0] == '\0' && is_token(first) && first.n < sizeof request->protocol)
			memcpy(request->protocol, first.p, first.n);
	}
}

static int
read_request_line(struct wisp_upgrade_text line, const char *path)
{
	const struct wisp_upgrade_text method = cut(&line, ' ');
	struct wisp_upgrade_text target = cut(&line, ' ');
	const struct wisp_upgrade_text target_path = cut(&target, '?');

	if (!equals(line, "HTTP/1.1") || target_path.n == 0 || target_path.p[0] != '/')
		return 400;
	if (!equals(method, "GET"))
		return 405;
	return equals(target_path, path) ? 101 : 404;
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

static int
judge(struct wisp_upgrade_text head, const char *path, struct wisp_upgrade_request *request)
{
	struct found found = {0};
	const int status = read_request_line(next_line(&head), path);

	for (;;) {
		struct wisp_upgrade_text line = next_line(&head);
		struct wisp_upgrade_text name;

		if (line.n == 0)
			break; /* there is such a line: it ends the head */
		if (memchr(line.p, '\r', line.n) != NULL || memchr(line.p, '\0', line.n) != NULL)
			return 400;
		if (memchr(line.p, ':', line.n) == NULL)
			return 400;
		name = cut(&line, ':');
		if (!is_token(name))
			return 400;
		read_header(name, trim(line), request, &found);
	}
	if (status != 101)
		return status;
	if (!found.upgrade || !found.connection || !found.version)
		return 426;
	return found.key ? 101 : 400;
}

/* The size of the head, up to and with the empty line that ends it, or 0. */
static size_t
head_size(const char *p, size_t n)
{
	const char *const end = p + n;

	if (n == 0)
		return 0;
	for (const char *lf = p; (lf = memchr(lf, '\n', (size_t)(end - lf))) != NULL;) {
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
	const size_t size = head_size(p, n);

	memset(request, 0, sizeof *request);
	if (size > WISP_UPGRADE_HEAD_MAX || (size == 0 && n >= WISP_UPGRADE_HEAD_MAX)) {
		request->status = 431;
		return n;
	}
	if (size > 0)
		request->status = judge((struct wisp_upgrade_text){p, size}, path, request);
	return size;
}

static const char *
reason_phrase(int status)
{
	switch (status) {
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
	default:
		return "Internal Server Error";
	}
}

static const char *
extra_header(int status)
{
	switch (status) {
	case 405:
		return "Allow: GET\r\n";
	case 426:
		return "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: " WEBSOCKET_VERSION "\r\n";
	default:
		return "";
	}
}

/* A refusal says in its body, for a person with a browser, what would have been right. */
static size_t
respond_refusal(int status, char response[WISP_UPGRADE_RESPONSE_MAX])
{
	static const char body[] = "This is a Wisp server: connect to it with a WebSocket.\n";
	const int n = snprintf(response, WISP_UPGRADE_RESPONSE_MAX,
		"HTTP/1.1 %d %s\r\n"
		"Content-Type: text/plain\r\n"
		"Content-Length: %zu\r\n"
		"%s"
		"%s"
		"\r\n"
		"%s",
		status, reason_phrase(status), sizeof body - 1, extra_header(status),
		status == 426 ? "" : "Connection: close\r\n", body);

	return (size_t)n;
}

size_t
wisp_upgrade_respond(const struct wisp_upgrade_request *request, char response[WISP_UPGRADE_RESPONSE_MAX])
{
	char accept[WISP_UPGRADE_ACCEPT_SIZE];
	const bool named = request->protocol[0] != '\0';
	int n;

	if (request->status != 101)
		return respond_refusal(request->status, response);
	if (!wisp_upgrade_accept(request->key, accept))
		return respond_refusal(500, response);
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
	return head_size(p, n);
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
		*value = trim(line);
		return true;
	}
	return false;
}
