#include "gatekeeper/system/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "gatekeeper/base/fd.h"

#define STATUS_MAX 4096

/* The text behind "Key:" at the beginning of a line, NULL if not there. */
static const char *value_of(const char *text, const char *key)
{
	size_t length = strlen(key);

	while (text) {
		if (!strncmp(text, key, length) && text[length] == ':')
			return text + length + 1;
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return NULL;
}

int process_parse_status(const char *text, struct process_ids *ret,
			 bool *ret_capable)
{
	const char *tgid = value_of(text, "Tgid");
	const char *parent = value_of(text, "PPid");
	const char *uids = value_of(text, "Uid");
	const char *permitted = value_of(text, "CapPrm");
	struct process_ids ids;
	unsigned long long capabilities;

	if (!tgid || !parent || !uids || !permitted ||
	    sscanf(tgid, "%u", &ids.tgid) != 1 ||
	    sscanf(parent, "%u", &ids.parent_tgid) != 1 ||
	    sscanf(uids, "%u %u %u %u", &ids.uids[0], &ids.uids[1],
		   &ids.uids[2], &ids.uids[3]) != 4 ||
	    sscanf(permitted, "%llx", &capabilities) != 1)
		return -EINVAL;
	*ret = ids;
	*ret_capable = capabilities != 0;
	return 0;
}

int process_read_status(int fd, struct process_ids *ret, bool *ret_capable)
{
	char text[STATUS_MAX];
	ssize_t n = fd_pread_text(fd, text, sizeof(text));

	if (n < 0)
		return (int)n;
	if (process_parse_status(text, ret, ret_capable))
		return -ESRCH;
	return 0;
}

/* A procfs that is mounted nowhere, or a negative errno. */
static int make_proc(void)
{
	CLEANUP(fd_close) int context = fsopen("proc", FSOPEN_CLOEXEC);
	int fd;

	if (context < 0 ||
	    fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = fsmount(context, FSMOUNT_CLOEXEC,
		     MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return fd < 0 ? -errno : fd;
}

int process_open_proc(void)
{
	int fd = make_proc();

	if (fd < 0)
		fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int process_open_status(int proc, pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%d/status", (int)pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int process_ids_of(int proc, pid_t pid, struct process_ids *ret)
{
	CLEANUP(fd_close) int fd = process_open_status(proc, pid);
	bool capable;

	return fd < 0 ? fd : process_read_status(fd, ret, &capable);
}

/* The text of /proc/PID/stat from field 2's closing parenthesis on. */
static ssize_t read_stat(int proc, pid_t pid, char *text, size_t size,
			 const char **ret)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "%d/stat", (int)pid);
	n = fd_read_at(proc, path, text, size);
	if (n < 0)
		return n;
	/* The name, in parentheses, may itself hold any of them. */
	*ret = strrchr(text, ')');
	return *ret ? 0 : -EINVAL;
}

int process_state(int proc, pid_t pid, char *ret)
{
	char text[1024];
	const char *at;
	ssize_t n = read_stat(proc, pid, text, sizeof(text), &at);

	if (n < 0)
		return (int)n;
	if (at[1] != ' ' || !at[2])
		return -EINVAL;
	*ret = at[2];
	return 0;
}

int process_start_time(int proc, pid_t pid, uint64_t *ret)
{
	char text[1024];
	const char *at;
	ssize_t n = read_stat(proc, pid, text, sizeof(text), &at);

	if (n < 0)
		return (int)n;
	for (int field = 2; at && field < 22; field++) {
		at = strchr(at, ' ');
		if (at)
			at++;
	}
	if (!at || sscanf(at, "%" SCNu64, ret) != 1)
		return -EINVAL;
	return 0;
}
