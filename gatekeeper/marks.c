#include "gatekeeper/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>

#include "gatekeeper/base/fd.h"

#define MOUNTINFO_MAX_BYTES ((size_t)64 << 20)
#define EVENTS		    (FAN_OPEN_PERM | FAN_OPEN_EXEC_PERM | FAN_ONDIR)

struct seen {
	uint64_t mount_id;
	bool covered;
	bool present; /* in the list just read */
};

struct marks {
	int group;		   /* borrowed */
	struct mount_guard *guard; /* borrowed, or NULL */
	int mountinfo;
	marks_fn report;
	void *context;
	struct seen *seen; /* mounts already reported */
	size_t count;
};

struct mount {
	uint64_t id;
	char *point; /* unescaped in place */
	char *type;
};

/* Filesystems that hold no files. */
static const char *const no_files[] = {
	"proc",	       "sysfs",	     "cgroup",	"cgroup2",    "devpts",
	"devtmpfs",    "securityfs", "debugfs", "tracefs",    "configfs",
	"pstore",      "bpf",	     "mqueue",	"hugetlbfs",  "fusectl",
	"binfmt_misc", "efivarfs",   "autofs",	"rpc_pipefs", "nsfs",
	"selinuxfs",   "smackfs",    "sockfs",	"pipefs",     "cpuset",
	"resctrl",     NULL,
};

/* And those where another machine or process answers; "fuse." anything too. */
static const char *const answered[] = {
	"nfs",	     "nfs4",	 "cifs", "smb3",    "9p",
	"ceph",	     "afs",	 "coda", "gfs2",    "ocfs2",
	"glusterfs", "virtiofs", "fuse", "fuseblk", NULL,
};

static int admit_types(struct mount_guard *guard, const char *const *types)
{
	int r = 0;

	for (; !r && *types; types++)
		r = mount_guard_admit_type(guard, *types);
	return r;
}

int marks_new(int group, struct mount_guard *guard, marks_fn report,
	      void *context, struct marks **ret)
{
	int r = 0;
	CLEANUP(marks_free) struct marks *marks = calloc(1, sizeof(*marks));

	if (!marks)
		return -ENOMEM;
	marks->group = group;
	marks->guard = guard;
	marks->report = report;
	marks->context = context;
	marks->mountinfo = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (marks->mountinfo < 0)
		return -errno;
	if (guard)
		r = admit_types(guard, no_files);
	if (guard && !r)
		r = admit_types(guard, answered);
	if (r)
		return r;
	*ret = STEAL(marks);
	return 0;
}

struct marks *marks_free(struct marks *marks)
{
	if (!marks)
		return NULL;
	fd_close(marks->mountinfo);
	free(marks->seen);
	free(marks);
	return NULL;
}

int marks_fd(const struct marks *marks)
{
	return marks->mountinfo;
}

static bool is_one_of(const char *type, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(type, *list))
			return true;
	return false;
}

enum marks_kind marks_kind_of(const char *type)
{
	if (is_one_of(type, no_files))
		return MARKS_KIND_NO_FILES;
	if (!strncmp(type, "fuse.", 5) || is_one_of(type, answered))
		return MARKS_KIND_ANSWERED;
	return MARKS_KIND_FILES;
}

bool marks_is_below(const char *mount_point, const char *path)
{
	size_t length = strlen(path);

	while (length > 1 && path[length - 1] == '/')
		length--;
	if (length == 1)
		return true;
	return !strncmp(mount_point, path, length) &&
	       (mount_point[length] == '/' || mount_point[length] == '\0');
}

/* The kernel writes blanks and backslashes as \ooo. */
static void unescape(char *text)
{
	char *out = text;

	while (*text) {
		if (text[0] == '\\' && text[1] && text[2] && text[3]) {
			*out++ = (char)((text[1] - '0') << 6 |
					(text[2] - '0') << 3 | (text[3] - '0'));
			text += 4;
		} else {
			*out++ = *text++;
		}
	}
	*out = '\0';
}

/* ID PARENT DEV ROOT POINT OPTIONS [FIELDS...] - TYPE SOURCE OPTIONS */
static bool parse_line(char *line, struct mount *ret)
{
	char *fields[5], *dash, *save = NULL;

	dash = strstr(line, " - ");
	if (!dash)
		return false;
	*dash = '\0';
	for (int i = 0; i < 5; i++) {
		fields[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!fields[i])
			return false;
	}
	ret->id = strtoull(fields[0], NULL, 10);
	ret->point = fields[4];
	unescape(ret->point);
	ret->type = strtok_r(dash + 3, " ", &save);
	return ret->type != NULL;
}

/*
 * The path of a mount that another one hides leads to that other one: check
 * where it leads, and go on with the descriptor that was checked.
 */
static const char *open_mount(const struct mount *mount, int *ret)
{
	CLEANUP(fd_close) int fd = open(mount->point, O_PATH | O_CLOEXEC);
	struct statx st;

	if (fd < 0)
		return strerror(errno);
	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return strerror(errno);
	if (st.stx_mnt_id != mount->id)
		return "another mount hides it";
	*ret = STEAL_FD(fd);
	return NULL;
}

/* Only what is covered is admitted; what cannot be, stays closed. */
static const char *admit(struct marks *marks, int fd)
{
	int r = marks->guard ? mount_guard_admit(marks->guard, fd) : 0;

	return r ? strerror(-r) : NULL;
}

static const char *mark(struct marks *marks, const struct mount *mount)
{
	CLEANUP(fd_close) int fd = -1;
	const char *problem = open_mount(mount, &fd);
	char link[64];

	if (problem)
		return problem;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (fanotify_mark(marks->group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
			  EVENTS, AT_FDCWD, link) < 0)
		return strerror(errno);
	return admit(marks, fd);
}

/* What nobody wants watched is closed to nobody. */
static void pass_over(struct marks *marks, const struct mount *mount)
{
	CLEANUP(fd_close) int fd = -1;

	if (marks->guard && marks_kind_of(mount->type) == MARKS_KIND_FILES &&
	    !open_mount(mount, &fd) && admit(marks, fd))
		marks->report(marks->context, mount->point, mount->type,
			      "not watched, and yet closed to the accounts");
}

static struct seen *find_seen(struct marks *marks, uint64_t mount_id)
{
	for (size_t i = 0; i < marks->count; i++)
		if (marks->seen[i].mount_id == mount_id)
			return &marks->seen[i];
	return NULL;
}

static int note_seen(struct marks *marks, const struct mount *mount,
		     const char *problem)
{
	struct seen *seen = find_seen(marks, mount->id);

	if (seen) {
		seen->present = true;
		if (seen->covered == !problem)
			return 0;
		seen->covered = !problem;
	} else {
		struct seen *grown = realloc(
			marks->seen, (marks->count + 1) * sizeof(*seen));

		if (!grown)
			return -ENOMEM;
		marks->seen = grown;
		marks->seen[marks->count++] = (struct seen){
			.mount_id = mount->id,
			.covered = !problem,
			.present = true,
		};
	}
	marks->report(marks->context, mount->point, mount->type, problem);
	return 0;
}

static bool is_watched(const struct policy *policy, const char *point)
{
	uint32_t count = policy_header(policy)->watch.count;

	for (uint32_t i = 0; i < count; i++) {
		const char *path = policy_watch(policy, i);

		/* The filesystem at path, which may be mounted above it. */
		if (marks_is_below(point, path))
			return true;
	}
	return count == 0;
}

/* `watch` may name a folder inside a filesystem: that one, then. */
static int mark_watched_paths(struct marks *marks, const struct policy *policy)
{
	for (uint32_t i = 0; i < policy_header(policy)->watch.count; i++) {
		const char *path = policy_watch(policy, i);

		if (fanotify_mark(marks->group,
				  FAN_MARK_ADD | FAN_MARK_FILESYSTEM, EVENTS,
				  AT_FDCWD, path) < 0)
			marks->report(marks->context, path, "?",
				      strerror(errno));
	}
	return 0;
}

static int take_mount(struct marks *marks, const struct policy *policy,
		      const struct mount *mount)
{
	const char *problem;

	if (!is_watched(policy, mount->point)) {
		pass_over(marks, mount);
		return 0;
	}
	switch (marks_kind_of(mount->type)) {
	case MARKS_KIND_NO_FILES:
		return 0;
	case MARKS_KIND_ANSWERED:
		problem = "opens there are answered by another machine or "
			  "process, which could keep the gate waiting";
		break;
	case MARKS_KIND_FILES:
	default:
		problem = mark(marks, mount);
		break;
	}
	return note_seen(marks, mount, problem);
}

static void forget_absent(struct marks *marks)
{
	size_t kept = 0;

	for (size_t i = 0; i < marks->count; i++)
		if (marks->seen[i].present)
			marks->seen[kept++] = marks->seen[i];
	marks->count = kept;
}

/* Nobody is on a leash. */
static int clear(struct marks *marks, const struct policy *policy)
{
	int r = marks->guard ? mount_guard_leash(marks->guard, policy) : 0;

	return r || !marks->count ? r : marks_clear(marks);
}

int marks_update(struct marks *marks, const struct policy *policy)
{
	struct pollfd changed = {.fd = marks->mountinfo, .events = POLLPRI};
	CLEANUP_FREE char *text = NULL;
	char *line, *save = NULL;
	size_t length;
	int r;

	/* Acknowledge the change before reading: a later one shows again. */
	(void)poll(&changed, 1, 0);
	if (!policy_header(policy)->accounts.count)
		return clear(marks, policy);
	r = fd_read_all(marks->mountinfo, MOUNTINFO_MAX_BYTES, &text, &length);
	if (!r)
		r = mark_watched_paths(marks, policy);
	for (size_t i = 0; i < marks->count; i++)
		marks->seen[i].present = false;
	if (!r)
		line = strtok_r(text, "\n", &save);
	for (; !r && line; line = strtok_r(NULL, "\n", &save)) {
		struct mount mount;

		if (parse_line(line, &mount))
			r = take_mount(marks, policy, &mount);
	}
	forget_absent(marks);
	/* Last, since to whoever is leashed all else is closed. */
	if (!r && marks->guard)
		r = mount_guard_leash(marks->guard, policy);
	return r;
}

int marks_clear(struct marks *marks)
{
	marks->count = 0;
	if (fanotify_mark(marks->group, FAN_MARK_FLUSH | FAN_MARK_FILESYSTEM, 0,
			  AT_FDCWD, "/") < 0)
		return -errno;
	return 0;
}

size_t marks_count(const struct marks *marks)
{
	size_t covered = 0;

	for (size_t i = 0; i < marks->count; i++)
		covered += marks->seen[i].covered;
	return covered;
}
