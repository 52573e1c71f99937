/* libwisp: the Wisp protocol without I/O. This header brings all of it. */
#ifndef WISP_H
#define WISP_H

#include <wisp/frame.h>
#include <wisp/handshake.h>
#include <wisp/key.h>
#include <wisp/packet.h>
#include <wisp/session.h>
#include <wisp/socks4.h>
#include <wisp/socks5.h>
#include <wisp/upgrade.h>

#endif
