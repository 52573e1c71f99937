/* What marks a symbol as part of the library's interface: everything else stays inside. */
#ifndef WISP_EXPORT_H
#define WISP_EXPORT_H

#define WISP_API __attribute__((visibility("default")))

#endif
