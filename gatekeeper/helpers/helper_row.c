#include "gatekeeper/helpers/helper_row.h"

#include <linux/capability.h>
#include <stdio.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/files/fallback.h"

#define MS(n) ((n)*CLOCK_NS_PER_MS)
#define S(n)  ((n)*CLOCK_NS_PER_S)

#define CAPABILITIES(...)                                                      \
	.capabilities = (const int[]){__VA_ARGS__},                            \
	.capability_count = sizeof((const int[]){__VA_ARGS__}) / sizeof(int)

/* CAP_SYS_CHROOT, where it stands, only until /proc is its root. */
static const struct helper_row rows[HELPER_KINDS] = {
	[HELPER_FILE_GATES] =
		{
			.name = "file gates",
			.program = "leash-fanotify",
			CAPABILITIES(CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH,
				     CAP_SYS_NICE, CAP_SYS_CHROOT),
			.priority = -5, /* somebody always waits for it */
			.is_spared = true,
			.wants_policy = true,
			.ready_ns = S(10),
			.short_ns = S(2),
		},
	[HELPER_FALLBACK] =
		{
			.name = "fallback",
			.run = fallback_run,
			CAPABILITIES(CAP_SYS_PTRACE),
			.priority = -5,
			.is_spared = true,
			.wants_policy = true,
			.ready_ns = S(1),
		},
	[HELPER_NET_GATE] =
		{
			.name = "net gate",
			.program = "leash-nfqueue",
			CAPABILITIES(CAP_NET_ADMIN, CAP_SYS_PTRACE,
				     CAP_DAC_READ_SEARCH, CAP_SYS_CHROOT),
			.priority = -5,
			.wants_policy = true,
			.ready_ns = S(30),
			.ping_ns = MS(200),
			.silence_ns = MS(600),
			.short_ns = S(1),
			.pause_ns = MS(20),
			.pause_max_ns = MS(500),
			.meanwhile = "until the next answers, leashed accounts "
				     "begin "
				     "no connection",
		},
	[HELPER_DNS] =
		{
			.name = "name reader leash-dns",
			.program = "leash-dns",
			.priority = -5,
			.is_follower = true,
			.meanwhile = "replacing it and the net gate",
		},
	[HELPER_TOOL_GATE] =
		{
			.name = "tool gate",
			.program = "leash-toolcall",
			.wants_policy = true,
			.ready_ns = S(10),
			.ping_ns = S(1),
			.silence_ns = S(5), /* one big request takes a tenth */
			.short_ns = S(2),
			.pause_ns = MS(250),
			.pause_max_ns = S(30),
			.meanwhile =
				"until the next answers, no tool is called",
		},
	[HELPER_STORE] =
		{
			.name = "store",
			.program = "leash-store",
			.short_ns = S(2),
			.pause_ns = MS(250),
			.pause_max_ns = S(1),
			.meanwhile =
				"verdicts go on, records wait for the next",
		},
};

const struct helper_row *helper_row(enum helper_kind kind)
{
	return &rows[kind];
}

int helper_row_start(const struct helper_row *row,
		     const struct helper_house *house,
		     const struct policy *policy,
		     const struct helper_given *given, struct helper *ret)
{
	const struct policy_general *general = policy_general(policy);
	char path[4096];
	char *alone[] = {(char *)row->program, NULL};
	const struct helper_spec spec = {
		.program = row->program ? path : row->name,
		.arguments = given->arguments ? given->arguments : alone,
		.run = row->run,
		.uid = general->user_uid,
		.gid = general->user_gid,
		.capabilities = row->capabilities,
		.capability_count = row->capability_count,
		.priority = row->priority,
		.is_spared = row->is_spared,
		.fds = given->fds,
		.fd_count = given->fd_count,
	};
	int r;

	if (row->program)
		snprintf(path, sizeof(path), "%s/%s", house->helpers_dir,
			 row->program);
	r = helper_start(house->starter, &spec, ret);
	fd_close(given->handed_over);
	return r;
}
