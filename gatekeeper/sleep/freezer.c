/*
 * A process is moved into a cgroup that is frozen already, so it stops where
 * it arrives and has no time to have children there; it is moved back while it
 * is frozen, and goes on where it arrives.  So what can run away is only who
 * has not been seen yet: freezer_sweep() is called until there is nobody.
 *
 * In cgroups that an account has been given (systemd does, for its own user
 * manager) the account may do much: have a child of the same name there, take
 * ours away while it is empty, move others out of it.  So ours are those that
 * mkdir() made for us, known by their whole path; what fails is tried again;
 * and one who was moved out is found outside.
 */

#include "gatekeeper/sleep/freezer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"

#define CGROUP_TEXT_MAX ((size_t)16 << 10) /* of /proc/PID/cgroup */
#define MOUNTINFO_MAX	((size_t)64 << 20)
#define PIDS_MAX	((size_t)16 << 20) /* bytes of cgroup.procs */
#define PLACES_MAX	4096
#define DEPTH_MAX	64
#define REMOVE_TRIES	50
#define THAW_ROUNDS	10
#define PLACE_MODE	0755

struct freezer {
	freezer_fn is_meant;
	void *context;
	int proc; /* owned */
	int root; /* owned; the cgroup filesystem */
	char name[sizeof(FREEZER_NAME) + 16];
	char **places; /* owned; paths of ours, below root */
	size_t place_count;
	size_t moved;
};

static DIR *close_dir(DIR *dir)
{
	if (dir)
		closedir(dir);
	return NULL;
}
DEFINE_CLEANUP(DIR *, close_dir)

/* ID PARENT DEV ROOT POINT OPTIONS [FIELDS...] - TYPE SOURCE OPTIONS */
static bool parse_mount(char *line, char *ret, size_t size)
{
	char *fields[5], *dash = strstr(line, " - "), *save = NULL;

	if (!dash || strncmp(dash + 3, "cgroup2 ", 8))
		return false;
	*dash = '\0';
	for (int i = 0; i < 5; i++) {
		fields[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!fields[i])
			return false;
	}
	/* Paths with blanks in them are written otherwise: not for us. */
	if (strcmp(fields[3], "/") || strchr(fields[4], '\\') ||
	    strlen(fields[4]) >= size)
		return false;
	memcpy(ret, fields[4], strlen(fields[4]) + 1);
	return true;
}

bool freezer_parse_mounts(char *mountinfo, char *ret, size_t size)
{
	char *save = NULL;

	for (char *line = strtok_r(mountinfo, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (parse_mount(line, ret, size))
			return true;
	return false;
}

int freezer_parse_cgroup(const char *text, char *ret, size_t size)
{
	static const char deleted[] = " (deleted)";
	const size_t tail = sizeof(deleted) - 1;
	size_t length;

	while (text && strncmp(text, "0::/", 4)) {
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	if (!text)
		return -ENOENT;
	text += 3;
	length = strcspn(text, "\n");
	/* Outside of what we see: another cgroup namespace. */
	if (!strncmp(text, "/..", 3))
		return -ENOENT;
	if (length >= size)
		return -ENAMETOOLONG;
	memcpy(ret, text, length);
	ret[length] = '\0';
	return length >= tail && !strcmp(ret + length - tail, deleted) ? -ESRCH
								       : 0;
}

bool freezer_parse_events(const char *text)
{
	while (text && strncmp(text, "frozen 1", 8)) {
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return text && (text[8] == '\n' || text[8] == '\0');
}

static int open_root(void)
{
	CLEANUP(fd_close)
	int mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	CLEANUP_FREE char *text = NULL;
	char point[PATH_MAX];
	size_t length;
	int r, root;

	if (mounts < 0)
		return -errno;
	r = fd_read_all(mounts, MOUNTINFO_MAX, &text, &length);
	if (r)
		return r;
	if (!freezer_parse_mounts(text, point, sizeof(point)))
		return -ENOENT;
	root = open(point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root < 0 ? -errno : root;
}

int freezer_new(freezer_fn is_meant, void *context, struct freezer **ret)
{
	CLEANUP(freezer_free)
	struct freezer *freezer = calloc(1, sizeof(*freezer));
	uint64_t number;

	if (!freezer)
		return -ENOMEM;
	freezer->is_meant = is_meant;
	freezer->context = context;
	freezer->proc = freezer->root = -1;
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -errno;
	snprintf(freezer->name, sizeof(freezer->name),
		 FREEZER_NAME "%016" PRIx64, number);
	freezer->proc = process_open_proc();
	if (freezer->proc < 0)
		return freezer->proc;
	freezer->root = open_root();
	if (freezer->root < 0)
		return freezer->root;
	*ret = STEAL(freezer);
	return 0;
}

struct freezer *freezer_free(struct freezer *freezer)
{
	if (!freezer)
		return NULL;
	for (size_t i = 0; i < freezer->place_count; i++)
		free(freezer->places[i]);
	free(freezer->places);
	fd_close(freezer->root);
	fd_close(freezer->proc);
	free(freezer);
	return NULL;
}

/* A cgroup's path begins with a slash; below root, it must not. */
static int path_of(char ret[static PATH_MAX], const char *cgroup,
		   const char *file)
{
	return snprintf(ret, PATH_MAX, ".%s/%s", cgroup, file) < PATH_MAX
		       ? 0
		       : -ENAMETOOLONG;
}

static int write_at(int root, const char *cgroup, const char *file,
		    const char *text)
{
	CLEANUP(fd_close) int fd = -1;
	char path[PATH_MAX];
	int r = path_of(path, cgroup, file);

	if (r)
		return r;
	fd = openat(root, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

static int move(int root, const char *cgroup, const char *pid)
{
	return write_at(root, cgroup, "cgroup.procs", pid);
}

static bool is_place(const struct freezer *freezer, const char *cgroup)
{
	for (size_t i = 0; i < freezer->place_count; i++)
		if (!strcmp(freezer->places[i], cgroup))
			return true;
	return false;
}

static int note_place(struct freezer *freezer, const char *path)
{
	char **grown;

	if (is_place(freezer, path))
		return 0; /* somebody had taken it away */
	if (freezer->place_count == PLACES_MAX)
		return -E2BIG;
	grown = realloc(freezer->places,
			(freezer->place_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	freezer->places = grown;
	grown[freezer->place_count] = strdup(path);
	if (!grown[freezer->place_count])
		return -ENOMEM;
	freezer->place_count++;
	return 0;
}

/* What an account has put in its place is not ours. */
static bool is_roots(int root, const char *cgroup)
{
	char path[PATH_MAX];
	struct stat st;

	return path_of(path, cgroup, "") == 0 &&
	       fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_uid == 0;
}

/* Ours below cgroup, made if it is not there. */
static int make_place(struct freezer *freezer, const char *cgroup, char *ret,
		      size_t size)
{
	char path[PATH_MAX];
	int r = 0;

	if (snprintf(ret, size, "%s/%s", strcmp(cgroup, "/") ? cgroup : "",
		     freezer->name) >= (int)size ||
	    path_of(path, ret, ""))
		return -ENAMETOOLONG;
	if (mkdirat(freezer->root, path, PLACE_MODE) == 0)
		r = note_place(freezer, ret);
	else if (errno != EEXIST)
		r = -errno;
	else if (!is_place(freezer, ret) || !is_roots(freezer->root, ret))
		r = -EEXIST;
	if (!r)
		r = write_at(freezer->root, ret, "cgroup.freeze", "1");
	return r;
}

/* Expected outcome of find_live(). */
enum {
	ENDED = 1, /* it has no threads any more */
};

/*
 * A thread that runs: where the first has ended, others may go on.  -ESRCH
 * where there are some, and each has ended when it is looked at.
 */
static int find_live(int proc, pid_t pid, char *ret, size_t size)
{
	CLEANUP(close_dir) DIR *all = NULL;
	const struct dirent *entry;
	char path[64], state;
	int fd, others = 0, r = process_state(proc, pid, &state);

	if (r)
		return ENDED;
	snprintf(ret, size, "%d", (int)pid);
	if (state != 'Z' && state != 'X')
		return 0;
	snprintf(path, sizeof(path), "%d/task", (int)pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ENDED;
	all = fdopendir(fd);
	if (!all) {
		fd_close(fd);
		return -ENOMEM;
	}
	while ((entry = readdir(all))) {
		pid_t tid = atoi(entry->d_name);

		if (tid <= 0 || tid == pid)
			continue;
		others++;
		if (process_state(proc, tid, &state) || state == 'Z' ||
		    state == 'X')
			continue;
		snprintf(ret, size, "%d", (int)tid);
		return 0;
	}
	return others ? -ESRCH : ENDED;
}

/* 0: in place, or ended; 1: was moved; -ESRCH: ends just now; others. */
static int take_process(struct freezer *freezer, pid_t pid)
{
	CLEANUP_FREE char *text = malloc(CGROUP_TEXT_MAX);
	char path[64], thread[16], process[16];
	char cgroup[PATH_MAX], place[PATH_MAX];
	ssize_t n;
	int r = find_live(freezer->proc, pid, thread, sizeof(thread));

	if (!text)
		return -ENOMEM;
	if (r)
		return r == ENDED ? 0 : r;
	snprintf(process, sizeof(process), "%d", (int)pid);
	snprintf(path, sizeof(path), "%s/cgroup", thread);
	n = fd_read_at(freezer->proc, path, text, CGROUP_TEXT_MAX);
	if (n <= 0)
		return -ESRCH;
	r = freezer_parse_cgroup(text, cgroup, sizeof(cgroup));
	if (r || is_place(freezer, cgroup))
		return r;
	r = make_place(freezer, cgroup, place, sizeof(place));
	if (!r)
		r = move(freezer->root, place, process);
	return r ? r : 1;
}

struct sweep {
	int outside;
	int problem;
};

static void look_at_process(struct freezer *freezer, pid_t pid,
			    struct sweep *sweep)
{
	struct process_ids ids;
	int r;

	if (pid <= 0 || process_ids_of(freezer->proc, pid, &ids) ||
	    !freezer->is_meant(freezer->context, &ids))
		return;
	r = take_process(freezer, pid);
	if (r < 0 && r != -ESRCH)
		sweep->problem = r;
	sweep->outside += r != 0;
	freezer->moved += r == 1;
}

/*
 * One or two entries of /proc, in the order of their numbers.  readdir() reads
 * hundreds at once: whose parent has ended between that and the look at it
 * would not be seen.
 */
static ssize_t read_entries(int all, char buffer[static 512])
{
	ssize_t length = getdents64(all, buffer, 64);

	/* What is no process may have a longer name. */
	return length < 0 && errno == EINVAL ? getdents64(all, buffer, 512)
					     : length;
}

int freezer_sweep(struct freezer *freezer)
{
	CLEANUP(fd_close)
	int all =
		openat(freezer->proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	alignas(8) char buffer[512];
	struct sweep sweep = {.problem = 0};
	unsigned short size;
	ssize_t length;

	if (all < 0)
		return -errno;
	while ((length = read_entries(all, buffer)) > 0) {
		for (char *at = buffer; at < buffer + length; at += size) {
			memcpy(&size, at + offsetof(struct dirent64, d_reclen),
			       sizeof(size));
			look_at_process(
				freezer,
				atoi(at + offsetof(struct dirent64, d_name)),
				&sweep);
		}
	}
	if (length < 0)
		return -errno;
	return sweep.problem ? sweep.problem : sweep.outside;
}

static bool stands_still(int root, const char *cgroup)
{
	char path[PATH_MAX], text[256];

	return path_of(path, cgroup, "cgroup.events") ||
	       fd_read_at(root, path, text, sizeof(text)) <= 0 ||
	       (freezer_parse_events(text) && is_roots(root, cgroup));
}

bool freezer_stands_still(const struct freezer *freezer)
{
	for (size_t i = 0; i < freezer->place_count; i++)
		if (!stands_still(freezer->root, freezer->places[i]))
			return false;
	return true;
}

size_t freezer_count(const struct freezer *freezer)
{
	return freezer->moved;
}

static int read_ids(int root, const char *cgroup, const char *file, char **ret)
{
	CLEANUP(fd_close) int fd = -1;
	char path[PATH_MAX];
	size_t length;
	int r = path_of(path, cgroup, file);

	if (r)
		return r;
	fd = openat(root, path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd_read_all(fd, PIDS_MAX, ret, &length);
}

/*
 * Move all that file tells of out of ours into what it lies in.  How many, or
 * an error.
 */
static int move_back(int root, const char *place, const char *file)
{
	CLEANUP_FREE char *pids = NULL;
	char above[PATH_MAX], *save = NULL;
	int count = 0, r = read_ids(root, place, file, &pids);

	if (r)
		return r;
	snprintf(above, sizeof(above), "%s", place);
	*strrchr(above, '/') = '\0';
	for (char *pid = strtok_r(pids, "\n", &save); pid;
	     pid = strtok_r(NULL, "\n", &save)) {
		r = move(root, above, pid);
		if (r && r != -ESRCH)
			return r;
		count++;
	}
	return count;
}

/* Who was killed meanwhile may take a moment to be gone. */
static int take_away(int root, const char *place)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	char path[PATH_MAX];

	if (path_of(path, place, ""))
		return -ENAMETOOLONG;
	for (int i = 0; i < REMOVE_TRIES; i++) {
		if (unlinkat(root, path, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY)
			break;
		nanosleep(&moment, NULL);
	}
	return -errno;
}

/*
 * A process whose first thread has ended is told of only by its threads, each
 * of which stands for all.
 */
static int move_back_all(int root, const char *place)
{
	int r = move_back(root, place, "cgroup.procs");

	return r ? r : move_back(root, place, "cgroup.threads");
}

/*
 * Who cannot be moved back, because what was its cgroup may hold no processes
 * any more, goes on where it is.
 */
static int thaw(int root, const char *place, int *moved)
{
	int r = 1;

	*moved = 0;
	for (int i = 0; r > 0 && i < THAW_ROUNDS; i++) {
		r = move_back_all(root, place);
		*moved += r > 0 ? r : 0;
	}
	if (!r)
		r = take_away(root, place);
	if (r)
		r = write_at(root, place, "cgroup.freeze", "0");
	return r == -ENOENT ? 0 : r;
}

int freezer_thaw(struct freezer *freezer)
{
	int problem = 0, moved;

	for (size_t i = 0; i < freezer->place_count; i++) {
		int r = thaw(freezer->root, freezer->places[i], &moved);

		if (r)
			problem = r;
	}
	return problem;
}

/* What of one folder is known while what is below it is looked at. */
struct walk {
	int root;
	int found;
	int problem;
};

static void look_below(struct walk *walk, const char *cgroup, int depth);

static void look_at(struct walk *walk, const char *cgroup, int depth)
{
	const char *name = strrchr(cgroup, '/') + 1;
	int moved, r;

	if (strncmp(name, FREEZER_NAME, strlen(FREEZER_NAME)) ||
	    !is_roots(walk->root, cgroup)) {
		look_below(walk, cgroup, depth + 1);
		return;
	}
	r = thaw(walk->root, cgroup, &moved);
	if (r)
		walk->problem = r;
	walk->found += moved;
}

static void look_below(struct walk *walk, const char *cgroup, int depth)
{
	CLEANUP(close_dir) DIR *all = NULL;
	const struct dirent *entry;
	char path[PATH_MAX];
	int fd;

	if (depth > DEPTH_MAX || path_of(path, cgroup, ""))
		return;
	fd = openat(walk->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	all = fd < 0 ? NULL : fdopendir(fd);
	if (!all) {
		fd_close(fd);
		return;
	}
	while ((entry = readdir(all))) {
		char below[PATH_MAX];

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (snprintf(below, sizeof(below), "%s/%s", cgroup,
			     entry->d_name) < (int)sizeof(below))
			look_at(walk, below, depth);
	}
}

int freezer_thaw_left(void)
{
	CLEANUP(fd_close) int root = open_root();
	struct walk walk = {.root = root};

	if (root < 0)
		return root == -ENOENT ? 0 : root;
	look_below(&walk, "", 0);
	return walk.problem ? walk.problem : walk.found;
}
