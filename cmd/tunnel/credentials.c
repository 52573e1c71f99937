#include "credentials.h"

#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "log.h"

/*
 * `where` is within what `option` names. Without memory, and when it is empty or too long, there is none: logged. An
 * empty password is the sign of a variable that was not set, or a file that was not written.
 */
static void
keep_password(struct credentials *credentials, const char *password, const char *option, const char *where)
{
	if (strlen(password) > WISP_PASSWORD_MAX) {
		log_error("%s: the password in %s is too long", option, where);
		return;
	}
	if (password[0] == '\0') {
		log_error("%s: the password in %s is empty: put one there", option, where);
		return;
	}
	credentials->password = strdup(password);
	if (credentials->password == NULL)
		log_error("%s: %s: out of memory", option, where);
}

/* The password is the file's first line. */
static bool
load_password(struct credentials *credentials, const char *path)
{
	size_t size;
	char *text = file_read("password-file", path, true, &size);

	if (text == NULL)
		return false;
	text[strcspn(text, "\r\n")] = '\0';
	keep_password(credentials, text, "--password-file", path);
	file_free(text, size);
	return credentials->password != NULL;
}

static bool
load_key(struct credentials *credentials, const char *path)
{
	const char *wrong;
	size_t size;
	char *text = file_read("key", path, true, &size);

	if (text == NULL)
		return false;
	credentials->key = wisp_key_read(text, size, &wrong);
	file_free(text, size);
	if (credentials->key == NULL)
		log_error("--key: cannot use %s: %s", path, wrong);
	return credentials->key != NULL;
}

bool
credentials_load(struct credentials *credentials, const struct credentials_options *options)
{
	bool good = true;

	memset(credentials, 0, sizeof *credentials);
	if (options->password_file != NULL) {
		good = load_password(credentials, options->password_file);
	} else if (options->password != NULL) {
		keep_password(credentials, options->password, "--user", options->variable);
		good = credentials->password != NULL;
	}
	if (good && options->key_file != NULL)
		good = load_key(credentials, options->key_file);
	if (!good)
		credentials_free(credentials);
	return good;
}

void
credentials_free(struct credentials *credentials)
{
	if (credentials->password != NULL)
		file_free(credentials->password, strlen(credentials->password));
	wisp_key_free(credentials->key);
	memset(credentials, 0, sizeof *credentials);
}
