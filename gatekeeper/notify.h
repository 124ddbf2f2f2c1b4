#pragma once

#include <stdint.h>

/*
 * notify - tell systemd how we are (sd_notify(3))
 *
 * The protocol is one datagram to the socket named in NOTIFY_SOCKET; spoken
 * here so that the one process that must not fall links one library less.
 */

/* Send state, such as "READY=1\nSTATUS=...".  Without a listener: nothing. */
__attribute__((format(printf, 1, 2))) void notify_send(const char *format, ...);

/* Say that we are alive, as often as WATCHDOG_USEC asks; called often. */
void notify_alive(int64_t now_ns);
