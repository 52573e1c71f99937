/*
 * Logs each login, successful or failed, in one line. The manual documents these lines, for programs such as fail2ban.
 * Called by peer.
 */
#ifndef LOGIN_H
#define LOGIN_H

#include <stdbool.h>

#include <wisp/handshake.h>

/* A client's handshake is done. `client` is its name in the log. Logs nothing when no credentials are required. */
void login_log_success(const char *client, const struct wisp_handshake *handshake);

/* A client's handshake has failed. Returns false, with nothing logged, when it was not about credentials. */
bool login_log_failure(const char *client, const struct wisp_handshake *handshake);

#endif
