#include "gatekeeper/config/compile/trust.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatekeeper/system/resolve.h"

static bool is_other(void *context, uid_t uid)
{
	(void)context;
	return uid != 0 && uid != geteuid();
}

static bool is_any(void *context, gid_t gid)
{
	(void)context;
	(void)gid;
	return true;
}

/* Whether others can put something else where path leads.  True: reported. */
static bool is_changeable(struct report *report, const char *path)
{
	struct report_place place = {.file = path};
	struct resolver resolver = {
		.distrusts_user = is_other,
		.distrusts_group = is_any,
	};
	struct resolved resolved;
	int r = resolve_path(&resolver, path, &resolved);

	resolver_done(&resolver);
	if (r) {
		if (r == RESOLVE_LOOP)
			report_error(report, place,
				     "leads into a loop of symlinks at %s; "
				     "remove that one",
				     resolved.link);
		else
			report_error(report, place, "cannot be read: %s",
				     r < 0 ? strerror(-r)
					   : "its path is too long");
		return true;
	}
	resolved_done(&resolved);
	if (resolved.changeable)
		report_error(report, place,
			     "others than root may write to %s%s; chown root "
			     "and chmod go-w %s",
			     resolved.changeable_at,
			     strcmp(resolved.changeable_at, path)
				     ? ", which is on the way to it"
				     : "",
			     resolved.changeable_at);
	else if (resolved.link[0])
		report_error(report, place,
			     "leads through %s, a symlink that is not root's",
			     resolved.link);
	return resolved.changeable || resolved.link[0];
}

bool trust_file(struct report *report, const char *path)
{
	struct report_place place = {.file = path};
	struct stat st;

	if (is_changeable(report, path))
		return false;
	if (stat(path, &st) < 0) {
		report_error(report, place, "cannot be read: %s",
			     strerror(errno));
		return false;
	}
	if (!S_ISREG(st.st_mode)) {
		report_error(report, place, "is not a file");
		return false;
	}
	if (is_other(NULL, st.st_uid) || (st.st_mode & (S_IWGRP | S_IWOTH))) {
		report_error(report, place,
			     "others than root may write to it; chown root "
			     "and chmod go-w");
		return false;
	}
	return true;
}

bool trust_folder(struct report *report, const char *path)
{
	return !is_changeable(report, path);
}
