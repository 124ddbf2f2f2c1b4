#pragma once

/*
 * edns - what may stand behind the name in a question (RFC 6891)
 *
 * Pure.  A resolver may hand on what it does not know, so whatever a question
 * carries beside its name could carry something out.  Only what programs
 * really send is let through, at the size and with the values they have:
 *
 *   receive size   512 to 65535, of those that programs ask for
 *   flags          "DNSSEC OK" or none; version 0
 *   NSID, TCP keepalive    empty
 *   cookie         of the client alone, or with the server's
 *   padding        128 zeros at most
 *   client subnet  the one that asks for none to be told
 *
 * each of them once, under the root's name written out, and nothing behind it.
 */

#include <stdbool.h>
#include <stddef.h>

/* Is that one record of this kind and no more? */
bool edns_is_plain(const unsigned char *bytes, size_t length);
