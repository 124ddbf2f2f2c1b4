#pragma once

/*
 * client_host - which host a client says it wants, by its first bytes
 *
 * Pure.  Two protocols say it: TLS in its ClientHello, however it is spread
 * over records, and HTTP/1 in its request line and Host.  What is neither says
 * nothing; where that is not enough depends on the port
 * (client_host_is_demanded).
 *
 * Read strictly, since the server may read otherwise: what could be taken in
 * two ways (two Hosts, folded lines, a name twice) is garbled.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/decide_flow.h"
#include "gatekeeper/policy/host_name.h"

/*
 * What length bytes from a client's first say: UNSEEN while more are needed;
 * OTHER if it is neither protocol; NOTHING if it is one and says no name;
 * NAME with the name in ret, "" for an odd one.
 */
enum policy_said client_host_read(const uint8_t *bytes, size_t length,
				  char ret[static HOST_NAME_SIZE]);

/* Is a client on that port expected to say a name, whatever it speaks? */
bool client_host_is_demanded(uint16_t port);
