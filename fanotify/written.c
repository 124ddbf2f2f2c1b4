#include "fanotify/written.h"

#include <stddef.h>
#include <sys/fanotify.h>

/* An event that the group hears of nowhere. */
#define NOT_ASKED_FOR FAN_CLOSE_NOWRITE

static bool add(int group, int fd)
{
	return fanotify_mark(group,
			     FAN_MARK_ADD | FAN_MARK_IGNORED_MASK |
				     FAN_MARK_EVICTABLE,
			     NOT_ASKED_FOR, fd, NULL) == 0;
}

/* Whether there was any mark of the file's. */
static bool take_away(int group, int fd)
{
	return fanotify_mark(group, FAN_MARK_REMOVE | FAN_MARK_IGNORED_MASK,
			     NOT_ASKED_FOR, fd, NULL) == 0;
}

bool written_by_anyone(int group, int fd)
{
	/*
	 * A mark from before would be taken for this one.  If it is empty, as
	 * ignore marks are once the file was written to, it is gone by
	 * asking; if it is not, it still is there when asked again.
	 */
	if (take_away(group, fd) && take_away(group, fd))
		return true;
	if (!add(group, fd))
		return true;
	return !take_away(group, fd);
}
