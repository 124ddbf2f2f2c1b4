/*
 * nth_allocation - each allocation of ours fails once, in turn
 *
 * What is tried must then say so and leave nothing half done; tried again it
 * must work.  Under the sanitizers this finds what is lost on the way out.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatekeeper/base/channel.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/config/config.h"
#include "gatekeeper/policy/image.h"
#include "store/drain.h"

#define NOBODY 65534

static long countdown = -1; /* allocations until one fails; < 0: none does */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

static int fails_now(void)
{
	if (countdown < 0 || countdown-- > 0)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *__wrap_malloc(size_t size)
{
	return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails_now() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
	return fails_now() ? NULL : __real_strdup(text);
}

/* %1$s: a symlink that the account could change, if we are root. */
static const char form[] =
	"user = \"daemon\"; watch = [ \"/\" ]; accounts = ( { account = "
	"\"nobody\"; files = { read = ( \"/srv\", { path = \"/usr\"; name = "
	"\"n\"; reason = \"r\"; }, \"%1$s/read\" ); deny = [ \"**/*.pem\", "
	"\"/etc/passwd\", \"/a/[b]/**\", \"%1$s/deny\" ]; }; programs = { "
	"list = [ \"/usr/bin\" ]; hash = ( { path = \"%1$s/passwd\"; sha256 = "
	"\"0000000000000000000000000000000000000000000000000000000000000000\"; "
	"} ); }; } );";
static char text[2048];

/* 0: it worked; 1: it said that it could not. */
static int try_config(void)
{
	struct report report = {.out = stdout};
	CLEANUP(policy_free) struct policy *policy = NULL;
	CLEANUP(fd_close) int image = -1;
	CLEANUP(fd_close) int file = memfd_create("config", 0);
	char path[64];

	report.out = fopen("/dev/null", "w");
	if (fchmod(file, 0600) || write(file, text, strlen(text)) < 0)
		return 1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	if (config_compile(
		    &(struct config_source){.path = path, .profiles_dir = "/"},
		    1, &report, &image)) {
		fclose(report.out);
		return image < 0 ? 1 : 2;
	}
	fclose(report.out);
	return policy_map(image, &policy) ? 1 : 0;
}

static char database[64];

static int try_store(void)
{
	const struct drain_limits limits = {INT64_MAX / 2, UINT64_MAX / 2};
	CLEANUP(channel_free) struct channel *one = NULL;
	CLEANUP(channel_free) struct channel *two = NULL;
	CLEANUP(channel_free) struct channel *three = NULL;
	CLEANUP(channel_free) struct channel *four = NULL;
	CLEANUP(drain_free) struct drain *drain = NULL;
	CLEANUP(fd_close) int fd = -1;
	struct channel *channels[DRAIN_CHANNELS];
	int wait_ms;

	if (channel_create(4096, &fd) || channel_map(fd, &one) ||
	    channel_map(fd, &two) || channel_map(fd, &three) ||
	    channel_map(fd, &four))
		return 1;
	channels[0] = one;
	channels[1] = two;
	channels[2] = three;
	channels[3] = four;
	if (drain_new(database, channels, &limits, &drain) ||
	    drain_turn(drain, &wait_ms))
		return 1;
	return wait_ms == 250 ? 1 : 0; /* it will try again */
}

static int run(const char *name, int (*attempt)(void))
{
	long n = 0;
	int outcome;

	do {
		countdown = n++;
		outcome = attempt();
		countdown = -1;
		if (outcome == 2 || attempt() != 0) {
			printf("not ok - %s: allocation %ld\n", name, n);
			return 1;
		}
	} while (outcome && n < 5000);
	printf("ok - %s: %ld allocations failed in turn\n", name, n - 1);
	return n < 2;
}

int main(void)
{
	char folder[] = "/tmp/leash-fault-XXXXXX", link[64];
	int failed;

	if (!mkdtemp(folder) || !freopen("/dev/null", "w", stderr))
		return 2;
	snprintf(database, sizeof(database), "%s/v.db", folder);
	snprintf(link, sizeof(link), "%s/link", folder);
	snprintf(text, sizeof(text), form, link);
	if (symlink("/etc", link) ||
	    (geteuid() == 0 && lchown(link, NOBODY, NOBODY)))
		return 2;
	failed = run("configuration", try_config) + run("store", try_store);
	puts("1..2");
	for (int i = 0; i < 3; i++) {
		static const char *const suffixes[] = {"", "-wal", "-shm"};
		char path[96];

		snprintf(path, sizeof(path), "%s%s", database, suffixes[i]);
		unlink(path);
	}
	unlink(link);
	rmdir(folder);
	return failed ? 1 : 0;
}
