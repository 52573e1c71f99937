/*
 * What the log says of who has come in, and of who has not, in one line each: the manual names them, for programs that
 * shut out addresses with many failures. Called by peer.
 */
#ifndef LOGIN_H
#define LOGIN_H

#include <stdbool.h>

#include <wisp/handshake.h>

/* A client's handshake is done. `client` is what the log calls it. Without credentials, there is nothing to say. */
void login_log_success(const char *client, const struct wisp_handshake *handshake);

/* A client's handshake has failed. Returns false, with nothing logged, when it was not about credentials. */
bool login_log_failure(const char *client, const struct wisp_handshake *handshake);

#endif
