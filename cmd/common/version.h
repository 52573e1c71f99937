/* What --version says. */
#ifndef VERSION_H
#define VERSION_H

/* Print the program's version, and those of the libraries that it runs on. */
void version_print(const char *program);

#endif
