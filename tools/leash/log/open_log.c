#include "tools/leash/log/open_log.h"

#include <stdio.h>
#include <unistd.h>

#include "tools/lib/complaint.h"
#include "tools/lib/control_client.h"
#include "tools/lib/verdict_log.h"

#define CONTROL_PATH "/run/leash/" CONTROL_SOCKET

static int ask_path(char *ret, size_t size)
{
	struct fields request = {NULL, 0, 0, false};
	struct control_client_reply reply;
	const char *path;

	if (control_client_ask(CONTROL_ASK_STATUS, &request, &reply))
		return EXIT_ERROR;
	path = fields_get(&reply.fields, "database");
	if (path)
		snprintf(ret, size, "%s", path);
	control_client_free(&reply);
	return EXIT_DONE;
}

int open_log(sqlite3 **ret)
{
	char path[4200] = VERDICT_LOG_DEFAULT, problem[4600];

	/* Whoever may not ask may not read it either, and is told that. */
	if (access(CONTROL_PATH, W_OK) == 0 && ask_path(path, sizeof(path)))
		return EXIT_ERROR;
	if (verdict_log_open(path, ret, problem, sizeof(problem)) == 0)
		return EXIT_DONE;
	complaint_print("%s", problem);
	return EXIT_ERROR;
}
