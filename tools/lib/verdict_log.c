#include "tools/lib/verdict_log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BUSY_TIMEOUT_MS 2000

static int try_read(sqlite3 *sqlite)
{
	return sqlite3_exec(sqlite, "SELECT 1 FROM log LIMIT 1", NULL, NULL,
			    NULL);
}

/* On a read-only disk, with no writer alive: as it stands. */
static int open_as_it_stands(const char *path, sqlite3 **ret)
{
	char uri[4400];
	int code;

	snprintf(uri, sizeof(uri), "file:%s?immutable=1", path);
	code = sqlite3_open_v2(uri, ret,
			       SQLITE_OPEN_READONLY | SQLITE_OPEN_URI |
				       SQLITE_OPEN_NOMUTEX,
			       NULL);
	return code ? code : try_read(*ret);
}

int verdict_log_open(const char *path, sqlite3 **ret, char *problem,
		     size_t size)
{
	int code;

	*ret = NULL;
	if (access(path, R_OK) < 0) {
		snprintf(problem, size, "%s: %s", path,
			 errno == ENOENT
				 ? "there is no log yet; has gatekeeper run?"
			 : errno == EACCES ? "only root may read the log"
					   : strerror(errno));
		return -1;
	}
	code = sqlite3_open_v2(
		path, ret, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	if (!code) {
		sqlite3_busy_timeout(*ret, BUSY_TIMEOUT_MS);
		code = try_read(*ret);
	}
	if ((code & 0xff) == SQLITE_CANTOPEN ||
	    (code & 0xff) == SQLITE_READONLY) {
		sqlite3_close(*ret);
		code = open_as_it_stands(path, ret);
	}
	if (!code)
		return 0;
	snprintf(problem, size, "%s: %s", path, sqlite3_errmsg(*ret));
	sqlite3_close(*ret);
	*ret = NULL;
	return -1;
}
