#include "refusal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <openssl/x509v3.h>

/* How many of a certificate's names are listed, and the room for one of them. */
#define NAMES_SHOWN 3
#define NAME_SIZE 64
#define LIST_SIZE (NAMES_SHOWN * (NAME_SIZE + 2) + 32)
#define DATE_SIZE 32

/* ---- names ---- */

/* Write a name of the certificate as text. Returns false for what is neither a host name nor an address. */
static bool
format_name(const GENERAL_NAME *name, char text[NAME_SIZE])
{
	const ASN1_STRING *value = name->d.ia5;
	int n;

	if (name->type != GEN_DNS && name->type != GEN_IPADD)
		return false;
	n = ASN1_STRING_length(value);
	if (name->type == GEN_IPADD)
		return (n == 4 || n == 16) &&
		       inet_ntop(n == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), text, NAME_SIZE) != NULL;
	if (n >= NAME_SIZE)
		n = NAME_SIZE - 1;
	for (int i = 0; i < n; i++) {
		const unsigned char c = ASN1_STRING_get0_data(value)[i];

		text[i] = (char)(c > ' ' && c < 0x7f ? c : '?');
	}
	text[n] = '\0';
	return true;
}

/* Write the first of the names in its subjectAltName, separated by commas. Returns how many there are in all. */
static size_t
list_names(const X509 *certificate, char list[LIST_SIZE])
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	size_t count = 0, n = 0;
	char text[NAME_SIZE];

	list[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		if (!format_name(sk_GENERAL_NAME_value(names, i), text))
			continue;
		if (count < NAMES_SHOWN)
			n += (size_t)snprintf(list + n, LIST_SIZE - n, "%s%s", count > 0 ? ", " : "", text);
		count++;
	}
	if (count > NAMES_SHOWN)
		snprintf(list + n, LIST_SIZE - n, " and %zu more", count - NAMES_SHOWN);
	GENERAL_NAMES_free(names);
	return count;
}

static void
refuse_name(struct failure *failure, const X509 *certificate, const char *host)
{
	char list[LIST_SIZE];

	if (list_names(certificate, list) == 0)
		failure_set(failure, FAILURE_LASTING,
			"the certificate is for no name (it has no subjectAltName), not %s; the server needs "
			"another one (--insecure would accept it)",
			host);
	else
		failure_set(failure, FAILURE_LASTING,
			"the certificate is for %s, not %s; check the URL's host, or name it with --sni "
			"(--insecure would accept it)",
			list, host);
}

/* ---- dates ---- */

/* Whether the clock says that this program has yet to be built: nobody has set it. */
static bool
is_clock_behind(char date[DATE_SIZE])
{
	const time_t now = time(NULL);
	struct tm utc;

	if ((int64_t)now >= BUILD_EPOCH || gmtime_r(&now, &utc) == NULL)
		return false;
	strftime(date, DATE_SIZE, "%Y-%m-%d", &utc);
	return true;
}

/* ---- what to do ---- */

static const char *
advice(int error)
{
	switch (error) {
	case X509_V_ERR_CERT_NOT_YET_VALID:
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "set the clock here, or have the server renew it";
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return "trust its issuer with --cacert";
	default:
		return "the server needs another one";
	}
}

void
refusal_set(struct failure *failure, const X509 *certificate, int error, const char *host)
{
	char date[DATE_SIZE];

	if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH)
		refuse_name(failure, certificate, host);
	else if (error == X509_V_ERR_CERT_NOT_YET_VALID && is_clock_behind(date))
		failure_set(failure, FAILURE_PASSING,
			"the server's certificate is not yet valid by the clock here, which says %s, before this "
			"program was built: set the clock",
			date);
	else
		failure_set(failure, FAILURE_LASTING,
			"the server's certificate is refused: %s; %s (--insecure would accept it)",
			X509_verify_cert_error_string(error), advice(error));
}
