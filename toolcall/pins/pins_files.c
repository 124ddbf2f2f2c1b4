#include "toolcall/pins/pins_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"

#define NAME_MAX_BYTES 64
#define FILE_NAME_SIZE 400
#define NEW_FILE       ".new"
#define END	       ".json"

bool pins_files_is_name(const char *text)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789_-";

	return *text && strlen(text) <= NAME_MAX_BYTES &&
	       !text[strspn(text, allowed)];
}

/* ACCOUNT~SERVER: `~` is in no name of a server. */
static void name_file(const char *account, const char *server,
		      char ret[static FILE_NAME_SIZE])
{
	snprintf(ret, FILE_NAME_SIZE, "%.200s~%.100s" END, account, server);
}

json_t *pins_files_read(int folder, const char *account, const char *server,
			size_t *ret_bytes)
{
	CLEANUP_FREE char *text = NULL;
	CLEANUP(fd_close) int fd = -1;
	char name[FILE_NAME_SIZE];
	json_error_t error;
	json_t *tools;

	*ret_bytes = 0;
	name_file(account, server, name);
	fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? json_object() : NULL;
	if (fd_read_all(fd, PINS_FILES_SIZE_MAX, &text, ret_bytes))
		return NULL;
	tools = json_loadb(text, *ret_bytes, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(tools)) {
		json_decref(tools);
		return NULL;
	}
	return tools;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Of the account's files, by what is behind the `~` of their names. */
static int each_file(int folder, const char *account, pins_files_fn each,
		     void *context)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	__attribute__((cleanup(close_dir))) DIR *dir = NULL;
	const struct dirent *file;
	size_t length = strlen(account);
	int r = 0;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		fd_close(fd);
		return -ENOMEM;
	}
	while (!r && (file = readdir(dir)))
		if (!strncmp(file->d_name, account, length) &&
		    file->d_name[length] == '~')
			r = each(context, file->d_name + length + 1);
	return r;
}

struct sum {
	int folder;
	const char *account;
	const char *without; /* the file that is to be replaced */
	size_t files, bytes;
};

/* Half a file that a crash has left takes room, too. */
static int add_file(void *context, const char *rest)
{
	struct sum *sum = context;
	char name[FILE_NAME_SIZE];
	struct stat st;

	snprintf(name, sizeof(name), "%.200s~%.190s", sum->account, rest);
	if (!strcmp(name, sum->without))
		return 0;
	if (fstatat(sum->folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	sum->files++;
	sum->bytes += (size_t)st.st_size;
	return 0;
}

/* May the account's file of that name become so long? */
static int check_room(int folder, const char *account, const char *name,
		      size_t length)
{
	struct sum sum = {folder, account, name, 0, 0};
	int r = each_file(folder, account, add_file, &sum);

	if (r)
		return r;
	return length > PINS_FILES_SIZE_MAX || sum.files >= PINS_FILES_MAX ||
			       sum.bytes + length > PINS_FILES_BYTES_MAX
		       ? -EDQUOT
		       : 0;
}

int pins_files_write(int folder, const char *account, const char *server,
		     const char *text, size_t length)
{
	char name[FILE_NAME_SIZE], new_name[FILE_NAME_SIZE + 8];
	int fd, r;

	name_file(account, server, name);
	snprintf(new_name, sizeof(new_name), "%s" NEW_FILE, name);
	r = check_room(folder, account, name, length);
	if (r)
		return r;
	fd = openat(folder, new_name,
		    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	r = fd < 0 ? -errno : fd_write_all(fd, text, length);
	if (!r && fsync(fd) < 0)
		r = -errno;
	fd_close(fd);
	if (!r && renameat(folder, new_name, folder, name) < 0)
		r = -errno;
	if (r)
		unlinkat(folder, new_name, 0);
	return r;
}

struct servers {
	pins_files_fn each;
	void *context;
};

static int tell_server(void *context, const char *rest)
{
	const struct servers *servers = context;
	size_t length = strlen(rest), end = strlen(END);
	char server[256];

	if (length <= end || length - end >= sizeof(server) ||
	    strcmp(rest + length - end, END))
		return 0;
	memcpy(server, rest, length - end);
	server[length - end] = '\0';
	return pins_files_is_name(server)
		       ? servers->each(servers->context, server)
		       : 0;
}

int pins_files_each(int folder, const char *account, pins_files_fn each,
		    void *context)
{
	struct servers servers = {each, context};

	return each_file(folder, account, tell_server, &servers);
}
