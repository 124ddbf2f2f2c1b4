/*
 * test_helper - a helper as small as one can be, for test_keeper.c
 *
 * It judges by nothing; but it is started, confined, given policies, pinged
 * and stopped as each of ours is.
 */

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gatekeeper/policy/image.h"
#include "gatekeeper/wire/helper_fds.h"
#include "gatekeeper/wire/message.h"

static int say(enum message_type type, uint64_t value)
{
	const struct message message = {.type = type, .value = value};

	return message_send(HELPER_FD_CONTROL, &message, -1);
}

static int load(int fd)
{
	CLEANUP(policy_free) struct policy *policy = NULL;

	if (policy_map(fd, &policy))
		return say(MESSAGE_FAILED, 0);
	return say(MESSAGE_LOADED, policy_generation(policy));
}

int main(int argc, char *argv[])
{
	struct pollfd control = {.fd = HELPER_FD_CONTROL, .events = POLLIN};

	if (argc > 1 && !strcmp(argv[1], "dies"))
		return 7;
	/* Who it is, for the test to see. */
	dprintf(HELPER_FD_CONTROL + 1, "%d\n", (int)getuid());
	if (say(MESSAGE_READY, 0))
		return 1;
	while (poll(&control, 1, -1) > 0) {
		CLEANUP(fd_close) int fd = -1;
		struct message message;

		if (message_receive(HELPER_FD_CONTROL, &message, &fd))
			return 1;
		if (message.type == MESSAGE_STOP)
			return 0;
		if (message.type == MESSAGE_POLICY && load(fd))
			return 1;
		if (message.type == MESSAGE_PING &&
		    say(MESSAGE_PONG, message.value))
			return 1;
	}
	return 1;
}
