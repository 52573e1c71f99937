/* What the service manager is told, as in sd_notify(3). Without one (NOTIFY_SOCKET), nothing is. */
#ifndef NOTIFY_H
#define NOTIFY_H

/* The program serves: for the first time, or again after a reload. */
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

/* What it is about, in a line that everybody on the machine can read: no secrets. */
void notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
