#include "certificate.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "file.h"
#include "log.h"

/* Instead of OpenSSL's, which would ask on the terminal, also when the files are read again. */
static int
no_passphrase(char *passphrase, int size, int writing, void *arg)
{
	(void)passphrase, (void)size, (void)writing, (void)arg;
	return -1;
}

static bool
check_readable(const char *path, const char *option)
{
	if (access(path, R_OK) == 0)
		return true;
	log_error("%s %s: %s", option, path, strerror(errno));
	return false;
}

/* libwebsockets would say little about what is wrong. */
SSL_CTX *
certificate_read(const char *cert, const char *cert_key)
{
	const char *wrong = NULL;
	SSL_CTX *context;

	if (!check_readable(cert, "--cert") || !check_readable(cert_key, "--cert-key"))
		return NULL;
	file_warn_if_exposed(cert_key);
	context = SSL_CTX_new(TLS_server_method());
	if (context == NULL) {
		log_error("cannot set up TLS");
		return NULL;
	}
	SSL_CTX_set_default_passwd_cb(context, no_passphrase);
	if (SSL_CTX_use_certificate_chain_file(context, cert) != 1)
		wrong = "--cert";
	else if (SSL_CTX_use_PrivateKey_file(context, cert_key, SSL_FILETYPE_PEM) != 1 ||
		 SSL_CTX_check_private_key(context) != 1)
		wrong = "--cert-key";
	if (wrong != NULL)
		log_error("%s %s: %s", wrong, strcmp(wrong, "--cert") == 0 ? cert : cert_key,
			ERR_reason_error_string(ERR_peek_last_error()));
	ERR_clear_error();
	if (wrong == NULL)
		return context;
	SSL_CTX_free(context);
	return NULL;
}

/*
 * Show the certificate as it was last read. In a context, one of each kind of key has its place: libwebsockets' would
 * go on showing the first one beside a later one of another kind.
 */
static int
on_certificate_wanted(SSL *ssl, void *arg)
{
	SSL_CTX *const *certificate = arg;
	STACK_OF(X509) *chain = NULL;

	SSL_certs_clear(ssl);
	return SSL_CTX_get0_chain_certs(*certificate, &chain) == 1 &&
	       SSL_use_cert_and_key(ssl, SSL_CTX_get0_certificate(*certificate), SSL_CTX_get0_privatekey(*certificate),
		       chain, 1) == 1;
}

void
certificate_show(SSL_CTX *context, SSL_CTX **certificate)
{
	SSL_CTX_set_cert_cb(context, on_certificate_wanted, certificate);
}
