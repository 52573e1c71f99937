/* The checks of what stands in INFO, and of credentials, for the table of the handshake's checks. */
#ifndef HANDSHAKE_CHECKS_H
#define HANDSHAKE_CHECKS_H

#include "check.h"

/* info_checks.c */
void check_info_version(struct checker *checker, struct verdict *verdict);
void check_info_extensions(struct checker *checker, struct verdict *verdict);
void check_extension_udp(struct checker *checker, struct verdict *verdict);
void check_extension_password(struct checker *checker, struct verdict *verdict);
void check_extension_key(struct checker *checker, struct verdict *verdict);
void check_extension_motd(struct checker *checker, struct verdict *verdict);
void check_extension_confirmation(struct checker *checker, struct verdict *verdict);

/* credential_checks.c */
void check_credentials_accepted(struct checker *checker, struct verdict *verdict);
void check_credentials_missing(struct checker *checker, struct verdict *verdict);
void check_wrong_password(struct checker *checker, struct verdict *verdict);
void check_wrong_key(struct checker *checker, struct verdict *verdict);

#endif
