#include "gatekeeper/files/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/system/resolve.h"
#include "gatekeeper/files/layers.h"

#define MOUNTINFO_MAX_BYTES ((size_t)64 << 20)
#define EVENTS		    (FAN_OPEN_PERM | FAN_OPEN_EXEC_PERM | FAN_ONDIR)

/* Which of an overlay's layers are watched by themselves (layers.h). */
enum layered {
	LAYERED_NOT,  /* no overlay, or of layers that nobody is asked about */
	LAYERED_PART, /* some are asked about by themselves, or may be */
	LAYERED_ALL,
	LAYERED_ANSWERED, /* some by another machine or process */
};

struct seen {
	uint64_t mount_id;
	enum layered layered;
	bool covered;
	bool answered; /* its kind is: by another machine or process */
	bool present;  /* in the list just read */
};

struct marks {
	int group;		   /* borrowed */
	struct mount_guard *guard; /* borrowed, or NULL */
	int mountinfo;
	marks_fn report;
	void *context;
	bool paused;
	struct layers_kernel kernel; /* what this one does */
	struct seen *seen;	     /* mounts already reported */
	size_t count;
};

struct mount {
	uint64_t id;
	char *point; /* unescaped in place */
	char *type;
	char *options; /* of the filesystem, likewise */
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
	struct utsname host;

	if (!marks)
		return -ENOMEM;
	marks->group = group;
	marks->guard = guard;
	marks->report = report;
	marks->context = context;
	if (uname(&host) == 0)
		marks->kernel = layers_kernel(host.release);
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
	(void)strtok_r(NULL, " ", &save);
	ret->options = strtok_r(NULL, " ", &save);
	if (ret->options)
		unescape(ret->options);
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

/*
 * Let the guard open the filesystem; where it cannot, that stays closed to the
 * accounts.
 */
static const char *admit(struct marks *marks, int fd, bool asked)
{
	int r = marks->guard ? mount_guard_admit(marks->guard, fd, asked) : 0;

	return r ? strerror(-r) : NULL;
}

static int change_mark(struct marks *marks, int fd, unsigned int how,
		       uint64_t events)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return fanotify_mark(marks->group, how | FAN_MARK_FILESYSTEM, events,
			     AT_FDCWD, link);
}

static const char *mark_at(struct marks *marks, int fd)
{
	if (change_mark(marks, fd, FAN_MARK_ADD, EVENTS) < 0)
		return strerror(errno);
	return admit(marks, fd, true);
}

static const char *mark(struct marks *marks, const struct mount *mount)
{
	CLEANUP(fd_close) int fd = -1;
	const char *problem = open_mount(mount, &fd);

	return problem ? problem : mark_at(marks, fd);
}

/*
 * What `watch` leaves out is not asked about, so the guard must not close it.
 */
static void pass_over(struct marks *marks, const struct mount *mount)
{
	CLEANUP(fd_close) int fd = -1;

	if (marks->guard && marks_kind_of(mount->type) == MARKS_KIND_FILES &&
	    !open_mount(mount, &fd) && admit(marks, fd, false))
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
		     enum layered layered, const char *problem)
{
	struct seen *seen = find_seen(marks, mount->id);

	if (!seen) {
		struct seen *grown = realloc(
			marks->seen, (marks->count + 1) * sizeof(*seen));

		if (!grown)
			return -ENOMEM;
		marks->seen = grown;
		seen = &marks->seen[marks->count++];
		*seen = (struct seen){
			.mount_id = mount->id,
			.covered = problem != NULL, /* news, either way */
		};
	}
	seen->present = true;
	seen->layered = layered;
	seen->answered = layered == LAYERED_ANSWERED ||
			 marks_kind_of(mount->type) == MARKS_KIND_ANSWERED;
	if (seen->covered == !problem)
		return 0;
	seen->covered = !problem;
	marks->report(marks->context, mount->point, mount->type, problem);
	return 0;
}

static bool is_watched(const struct policy *policy, const char *point)
{
	uint32_t count = policy_watch_count(policy);

	for (uint32_t i = 0; i < count; i++) {
		const char *path = policy_watch(policy, i);

		/* The filesystem at path, which may be mounted above it. */
		if (marks_is_below(point, path))
			return true;
	}
	return count == 0;
}

static bool is_nobody(void *context, uint32_t id)
{
	(void)context;
	(void)id;
	return false;
}

/*
 * The path may have become one where a user serves a filesystem, which would
 * be asked what it is, and waited for.
 */
static const char *mark_watched(struct marks *marks, const char *path)
{
	struct resolver resolver = {
		.distrusts_user = is_nobody,
		.distrusts_group = is_nobody,
	};
	struct resolved found;
	const char *problem;

	if (resolve_path(&resolver, path, &found))
		return "it cannot be followed";
	resolver_done(&resolver);
	problem = found.exists ? mark_at(marks, found.fd)
			       : "nothing is there, or a user's own filesystem";
	resolved_done(&found);
	return problem;
}

/* `watch` may name a folder inside a filesystem: that one, then. */
static int mark_watched_paths(struct marks *marks, const struct policy *policy)
{
	for (uint32_t i = 0; i < policy_watch_count(policy); i++) {
		const char *path = policy_watch(policy, i);
		const char *problem = mark_watched(marks, path);

		if (problem)
			marks->report(marks->context, path, "?", problem);
	}
	return 0;
}

/* The mount that a folder lies on, 0 where that cannot be told. */
static uint64_t mount_of(const char *path)
{
	struct resolver resolver = {
		.distrusts_user = is_nobody,
		.distrusts_group = is_nobody,
	};
	struct resolved found;
	struct statx st;
	uint64_t id = 0;

	if (path[0] != '/' || resolve_path(&resolver, path, &found))
		return 0;
	resolver_done(&resolver);
	if (found.exists &&
	    statx(found.fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) == 0)
		id = st.stx_mnt_id;
	resolved_done(&found);
	return id;
}

/*
 * Is it an overlay of filesystems that are watched?  A layer named relative to
 * a folder that nobody knows any more is a container's: those lie on disks.
 * What has once been found out stays: a layer's name may lead elsewhere later.
 */
static enum layered look_at_layers(struct marks *marks,
				   const struct mount *mount)
{
	const struct seen *known = find_seen(marks, mount->id);
	struct layers layers = {.at = mount->options};
	char folder[RESOLVE_PATH_MAX];
	bool some = false, all = true, served = false;

	if (strcmp(mount->type, "overlay") || !mount->options)
		return LAYERED_NOT;
	if (known && known->layered)
		return known->layered;
	while (layers_next(&layers, folder, sizeof(folder))) {
		uint64_t id = mount_of(folder);
		const struct seen *seen = NULL;

		/*
		 * Where the name leads to the overlay itself, it hides the
		 * folder that it was mounted over: that layer cannot be looked
		 * at.
		 */
		if (id && id != mount->id)
			seen = find_seen(marks, id);
		if ((seen && seen->covered) || folder[0] != '/')
			some = true;
		if (!seen || !seen->covered)
			all = false;
		served = served || (seen && seen->answered);
	}
	if (served)
		return LAYERED_ANSWERED;
	return !some ? LAYERED_NOT : all ? LAYERED_ALL : LAYERED_PART;
}

/*
 * Open the overlay, and take away the mark that it may have been given before
 * its layers were known.
 */
static const char *open_unmarked(struct marks *marks, const struct mount *mount,
				 int *ret)
{
	const struct seen *known = find_seen(marks, mount->id);
	const char *problem = open_mount(mount, ret);

	if (!problem && known && known->covered && !known->layered &&
	    change_mark(marks, *ret, FAN_MARK_REMOVE, EVENTS) < 0)
		problem = strerror(errno);
	return problem;
}

/* Its layers are watched. */
static const char *leave_to_layers(struct marks *marks,
				   const struct mount *mount,
				   enum layered layered)
{
	CLEANUP(fd_close) int fd = -1;
	const char *problem = open_unmarked(marks, mount, &fd);

	if (problem)
		return problem;
	if (layered == LAYERED_ALL && marks->kernel.asks_about_layers)
		return admit(marks, fd, true);
	if (marks->kernel.waits_for_itself)
		return "some of its layers are watched by themselves and "
		       "others are not: files of those are open";
	/*
	 * Not its folders: on this kernel, reading an event about one raises
	 * another that we would have to answer first.
	 */
	if (change_mark(marks, fd, FAN_MARK_ADD,
			EVENTS & ~(uint64_t)FAN_ONDIR) < 0)
		return strerror(errno);
	return admit(marks, fd, true);
}

static const char *const answered_problem =
	"opens there are answered by another machine or process, which could "
	"keep the gate waiting";

static const char *cover(struct marks *marks, const struct mount *mount,
			 enum layered layered)
{
	CLEANUP(fd_close) int fd = -1;

	switch (layered) {
	case LAYERED_NOT:
		return mark(marks, mount);
	case LAYERED_ANSWERED:
		(void)!open_unmarked(marks, mount, &fd);
		return answered_problem;
	case LAYERED_PART:
	case LAYERED_ALL:
	default:
		return leave_to_layers(marks, mount, layered);
	}
}

static int take_mount(struct marks *marks, const struct policy *policy,
		      const struct mount *mount)
{
	const char *problem;
	enum layered layered = LAYERED_NOT;

	if (!is_watched(policy, mount->point)) {
		pass_over(marks, mount);
		return 0;
	}
	switch (marks_kind_of(mount->type)) {
	case MARKS_KIND_NO_FILES:
		return 0;
	case MARKS_KIND_ANSWERED:
		problem = answered_problem;
		break;
	case MARKS_KIND_FILES:
	default:
		layered = look_at_layers(marks, mount);
		problem = cover(marks, mount, layered);
		break;
	}
	return note_seen(marks, mount, layered, problem);
}

static int keep_mount(struct mount **list, size_t *count, size_t *room,
		      const struct mount *mount)
{
	if (*count == *room) {
		size_t more = *room ? *room * 2 : 16;
		struct mount *grown = realloc(*list, more * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		*list = grown;
		*room = more;
	}
	(*list)[(*count)++] = *mount;
	return 0;
}

/*
 * Overlays last, and in the order in which they were mounted: what they are
 * made of is known by then.
 */
static int take_mounts(struct marks *marks, const struct policy *policy,
		       char *text)
{
	CLEANUP_FREE struct mount *overlays = NULL;
	size_t count = 0, room = 0;
	char *save = NULL;
	int r = 0;

	for (char *line = strtok_r(text, "\n", &save); !r && line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct mount mount;

		if (!parse_line(line, &mount))
			continue;
		if (strcmp(mount.type, "overlay"))
			r = take_mount(marks, policy, &mount);
		else
			r = keep_mount(&overlays, &count, &room, &mount);
	}
	for (size_t i = 0; !r && i < count; i++)
		r = take_mount(marks, policy, &overlays[i]);
	return r;
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
	size_t length;
	int r;

	/* Acknowledge the change before reading: a later one shows again. */
	(void)poll(&changed, 1, 0);
	if (marks->paused)
		return 0;
	if (!policy_account_count(policy))
		return clear(marks, policy);
	r = fd_read_all(marks->mountinfo, MOUNTINFO_MAX_BYTES, &text, &length);
	if (!r)
		r = mark_watched_paths(marks, policy);
	for (size_t i = 0; i < marks->count; i++)
		marks->seen[i].present = false;
	if (!r)
		r = take_mounts(marks, policy, text);
	forget_absent(marks);
	/*
	 * Last: from then on what was not admitted is closed to the accounts.
	 */
	if (!r && marks->guard)
		r = mount_guard_leash(marks->guard, policy);
	return r;
}

static int flush(const struct marks *marks)
{
	if (fanotify_mark(marks->group, FAN_MARK_FLUSH | FAN_MARK_FILESYSTEM, 0,
			  AT_FDCWD, "/") < 0)
		return -errno;
	return 0;
}

int marks_clear(struct marks *marks)
{
	marks->count = 0;
	return flush(marks);
}

int marks_pause(struct marks *marks)
{
	marks->paused = true;
	return flush(marks);
}

int marks_resume(struct marks *marks, const struct policy *policy)
{
	marks->paused = false;
	return marks_update(marks, policy);
}

size_t marks_count(const struct marks *marks)
{
	size_t covered = 0;

	for (size_t i = 0; i < marks->count; i++)
		covered += marks->seen[i].covered;
	return covered;
}
