#include "tls.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "file.h"
#include "log.h"
#include "refusal.h"
#include "stranger.h"

/* Room for several TLS records, so that one system call brings them all. */
#define READ_BUFFER_SIZE (128 * 1024)

static int
keep_verdict(int ok, X509_STORE_CTX *store)
{
	(void)store;
	return ok;
}

/* Verify the chain and the name, by the URL alone. What it may match, RFC 9525 section 6 says. */
static int
verify(X509_STORE_CTX *store, void *arg)
{
	struct tls *tls = arg;
	const char *host = tls->name;
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);
	int ok;

	if (tls->options->insecure) {
		X509_STORE_CTX_set_error(store, X509_V_OK);
		return 1;
	}
	X509_VERIFY_PARAM_set_hostflags(
		param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (tls->url->host_is_address)
		ok = X509_VERIFY_PARAM_set1_host(param, NULL, 0) && X509_VERIFY_PARAM_set1_ip_asc(param, host);
	else
		ok = X509_VERIFY_PARAM_set1_ip(param, NULL, 0) &&
		     X509_VERIFY_PARAM_set1_host(param, host, strlen(host));
	X509_STORE_CTX_set_verify_cb(store, keep_verdict);
	ok = ok && X509_verify_cert(store) == 1;
	if (!ok)
		refusal_set(&tls->refusal, X509_STORE_CTX_get0_cert(store), X509_STORE_CTX_get_error(store), host);
	ERR_clear_error(); /* or the result of the handshake's step would be told by it */
	return ok;
}

/*
 * The header of the server's first record: when it is none, it is the first of what the server says without TLS. There
 * is no more to hear then.
 */
static void
on_record(int writes, int version, int type, const void *p, size_t n, SSL *ssl, void *arg)
{
	struct tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const uint8_t *header = p;

	(void)version, (void)arg;
	if (writes || type != SSL3_RT_HEADER)
		return;
	SSL_set_msg_callback(ssl, NULL);
	if (n != sizeof tls->first || header[1] == SSL3_VERSION_MAJOR)
		return;
	memcpy(tls->first, header, n);
	tls->first_size = n;
}

/* A server is told the name that we want (SNI); an address must not stand there (RFC 6066 section 3). */
static void
on_info(const SSL *ssl, int where, int result)
{
	struct tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const char *name = tls->url->host_is_address ? NULL : tls->name;

	if (where == SSL_CB_HANDSHAKE_START)
		SSL_set_tlsext_host_name((SSL *)ssl, name);
	/* The high byte of an alert is its level, the low byte says which it is. */
	if (where == SSL_CB_READ_ALERT && result >> 8 == SSL3_AL_FATAL)
		tls->alert = result & 0xff;
	if ((where & SSL_CB_ALERT) && (result & 0xff) == SSL_AD_PROTOCOL_VERSION)
		tls->outdated = true;
}

/* The server wants a certificate. */
static int
on_certificate_wanted(SSL *ssl, void *arg)
{
	const struct tls *tls = arg;

	if (!tls->presents)
		SSL_certs_clear(ssl);
	return 1;
}

/* What OpenSSL says about the last thing that went wrong. Nobody shall hear of it again. */
static const char *
openssl_error(void)
{
	const unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);

	ERR_clear_error();
	if (ERR_GET_LIB(code) == ERR_LIB_SYS)
		return strerror(ERR_GET_REASON(code));
	return reason != NULL ? reason : "unknown error";
}

static bool
check_readable(const char *path, const char *option)
{
	if (access(path, R_OK) == 0)
		return true;
	log_error("cannot read %s: %s; check --%s", path, strerror(errno), option);
	return false;
}

static bool
trust(struct tls *tls)
{
	const char *cacert = tls->options->cacert;

	if (tls->options->insecure)
		return true;
	if (cacert == NULL)
		return SSL_CTX_set_default_verify_paths(tls->context) == 1;
	if (!check_readable(cacert, "cacert"))
		return false;
	if (SSL_CTX_load_verify_locations(tls->context, cacert, NULL) != 1) {
		log_error("there are no certificates in %s (%s); check --cacert", cacert, openssl_error());
		return false;
	}
	/* What the user names is trusted as it is, whoever has issued it: a chain may end there. */
	return X509_STORE_set_flags(SSL_CTX_get_cert_store(tls->context), X509_V_FLAG_PARTIAL_CHAIN) == 1;
}

/* Nobody is there to be asked for a passphrase. */
static int
no_passphrase(char *buffer, int size, int writes, void *arg)
{
	(void)buffer, (void)size, (void)writes, (void)arg;
	return -1;
}

/* Load our own certificate. */
static bool
load_certificate(struct tls *tls)
{
	const char *cert = tls->options->cert;
	const char *key = tls->options->cert_key != NULL ? tls->options->cert_key : cert;
	const char *key_option = tls->options->cert_key != NULL ? "cert-key" : "cert";

	if (cert == NULL)
		return true;
	if (!check_readable(cert, "cert") || !check_readable(key, key_option))
		return false;
	file_warn_if_exposed(key);
	SSL_CTX_set_default_passwd_cb(tls->context, no_passphrase);
	if (SSL_CTX_use_certificate_chain_file(tls->context, cert) != 1) {
		log_error("there is no certificate in %s (%s); check --cert", cert, openssl_error());
		return false;
	}
	if (SSL_CTX_use_PrivateKey_file(tls->context, key, SSL_FILETYPE_PEM) != 1) {
		log_error("there is no key in %s that can be used for the certificate (%s); check --%s%s", key,
			openssl_error(), key_option, key == cert ? ", or give --cert-key" : "");
		return false;
	}
	SSL_CTX_set_cert_cb(tls->context, on_certificate_wanted, tls);
	return true;
}

bool
tls_init(struct tls *tls, const struct tls_options *options)
{
	memset(tls, 0, sizeof *tls);
	tls->options = options;
	tls->context = SSL_CTX_new(TLS_client_method());
	if (tls->context == NULL || SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION) != 1) {
		log_error("cannot set up TLS: %s", openssl_error());
		return false;
	}
	if (!trust(tls) || !load_certificate(tls))
		return false;
	ERR_clear_error(); /* also what goes well leaves something there, as a system without certificates does */
	SSL_CTX_set_app_data(tls->context, tls);
	SSL_CTX_set_cert_verify_callback(tls->context, verify, tls);
	SSL_CTX_set_info_callback(tls->context, on_info);
	SSL_CTX_set_msg_callback(tls->context, on_record); /* before SSL_new(): OpenSSL 3.2 ignores a later one */
	SSL_CTX_set_read_ahead(tls->context, 1);
	SSL_CTX_set_default_read_buffer_len(tls->context, READ_BUFFER_SIZE);
	return true;
}

/*
 * The context stays, for libwebsockets holds it, and so does libwebsockets' own: 4.5 does not connect from a second one
 * in the same process.
 */
bool
tls_reload(struct tls *tls)
{
	STACK_OF(X509) *chain = NULL;
	struct tls fresh;
	bool good = tls_init(&fresh, tls->options);

	if (good && tls->options->cert != NULL)
		good = SSL_CTX_get0_chain_certs(fresh.context, &chain) == 1 &&
		       SSL_CTX_use_cert_and_key(tls->context, SSL_CTX_get0_certificate(fresh.context),
			       SSL_CTX_get0_privatekey(fresh.context), chain, 1) == 1;
	if (good)
		SSL_CTX_set1_cert_store(tls->context, SSL_CTX_get_cert_store(fresh.context));
	ERR_clear_error();
	tls_free(&fresh);
	return good;
}

void
tls_aim(struct tls *tls, const struct url *url, bool presents)
{
	size_t size = strlen(url->host);

	if (size > 1 && url->host[size - 1] == '.')
		size--;
	memcpy(tls->name, url->host, size);
	tls->name[size] = '\0';
	tls->url = url;
	tls->presents = presents;
	failure_clear(&tls->refusal);
	tls->outdated = false;
	tls->first_size = 0;
	tls->alert = -1;
}

void
tls_read_alert(struct tls *tls, SSL *ssl)
{
	char byte;

	ERR_clear_error();
	if (tls->alert < 0 && ssl != NULL && SSL_is_init_finished(ssl))
		(void)SSL_peek(ssl, &byte, sizeof byte); /* on_info() hears of it */
	ERR_clear_error();
}

/* Whether the server's alert was about our certificate, or that there was none. */
static bool
alert_is_about_certificate(const struct tls *tls)
{
	switch (tls->alert) {
	case SSL3_AD_BAD_CERTIFICATE:
	case SSL3_AD_UNSUPPORTED_CERTIFICATE:
	case SSL3_AD_CERTIFICATE_REVOKED:
	case SSL3_AD_CERTIFICATE_EXPIRED:
	case SSL3_AD_CERTIFICATE_UNKNOWN:
	case TLS1_AD_UNKNOWN_CA:
	case TLS1_AD_ACCESS_DENIED:
	case TLS13_AD_CERTIFICATE_REQUIRED:
		return true;
	default:
		return false;
	}
}

bool
tls_judge(const struct tls *tls, struct failure *failure)
{
	const char *alert = SSL_alert_desc_string_long(tls->alert);

	if (tls->refusal.kind != FAILURE_NONE)
		failure_set(failure, tls->refusal.kind, "%s", tls->refusal.reason);
	else if (tls->first_size > 0)
		stranger_has_no_tls(failure, tls->first, tls->first_size);
	else if (tls->alert == SSL_AD_NO_APPLICATION_PROTOCOL)
		failure_set(failure, FAILURE_LASTING,
			"the server's TLS refuses HTTP/1.1 (%s): the server, or the proxy in front of it, must allow "
			"HTTP/1.1 beside HTTP/2",
			alert);
	else if (tls->alert == SSL_AD_UNRECOGNIZED_NAME)
		failure_set(failure, FAILURE_LASTING,
			"the server does not know the name %s (%s); check the URL's host, or --sni", tls->name, alert);
	else if (tls->outdated)
		failure_set(failure, FAILURE_LASTING,
			"the server speaks neither TLS 1.2 nor 1.3, and what is older is not safe; it needs an update");
	else if (alert_is_about_certificate(tls) && tls->options->cert == NULL)
		failure_set(failure, FAILURE_LASTING,
			"the server wants a client certificate (%s); give one with --cert", alert);
	else if (alert_is_about_certificate(tls))
		failure_set(failure, FAILURE_LASTING, "the server refuses the client certificate (%s); check --cert",
			alert);
	else if (tls->alert >= 0)
		failure_set(failure, FAILURE_PASSING, "the server ended TLS (%s)%s", alert,
			tls->options->cert == NULL ? "; it may want a client certificate (--cert)" : "");
	else
		return false;
	return true;
}

void
tls_free(struct tls *tls)
{
	SSL_CTX_free(tls->context);
	tls->context = NULL;
}
