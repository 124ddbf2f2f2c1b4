#include "gatekeeper/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"

void notify_send(const char *format, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	CLEANUP(fd_close) int fd = -1;
	char state[512];
	va_list args;
	size_t length;

	if (!path || (path[0] != '/' && path[0] != '@') ||
	    strlen(path) >= sizeof(address.sun_path))
		return;
	length = strlen(path);
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = '\0';

	va_start(args, format);
	vsnprintf(state, sizeof(state), format, args);
	va_end(args);

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 ||
	    sendto(fd, state, strlen(state), MSG_NOSIGNAL,
		   (struct sockaddr *)&address,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
			       length)) < 0)
		log_warning("cannot notify %s: %m", path);
}

void notify_alive(int64_t now_ns)
{
	static int64_t every_ns = -1, last_ns;
	const char *usec = getenv("WATCHDOG_USEC");

	if (every_ns < 0)
		every_ns = usec ? atoll(usec) * 1000 / 3 : 0;
	if (!every_ns || now_ns - last_ns < every_ns)
		return;
	last_ns = now_ns;
	notify_send("WATCHDOG=1");
}
