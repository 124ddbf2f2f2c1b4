#include "gatekeeper/control/status.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"

static const char *mode_word(uint32_t mode)
{
	return mode == POLICY_MODE_OBSERVE ? "observe" : "enforce";
}

static void put_accounts(const struct policy *policy, struct fields *reply)
{

	for (uint32_t i = 0; i < policy_account_count(policy); i++) {
		const struct policy_account *account =
			policy_account(policy, i);

		fields_format(reply, "account", "%s %u %s",
			      policy_text(policy, account->name), account->uid,
			      policy_is_observed(policy, i) ? "observe"
							    : "enforce");
	}
}

/* Rules that only look on are as easily forgotten as a mode. */
static void put_observing_rules(const struct policy *policy,
				struct fields *reply)
{
	for (uint32_t i = 0; i < policy_rule_count(policy); i++) {
		const struct policy_rule *rule = policy_rule(policy, i);

		if (rule->observe)
			fields_put(reply, "observing",
				   policy_text(policy, rule->name));
	}
}

/*
 * Protocols whose packets have no owner that a rule could match, if the kernel
 * has them loaded: an account can then use them.
 */
static void put_unjudged(const struct status *status, struct fields *reply)
{
	static const char *const names[] = {
		"RXRPC", "SMC", "RDS", "TIPC", "KCM", "PPPOX", "PPPOE",
	};
	CLEANUP_FREE char *line = NULL;
	int fd = openat(status->proc, "self/net/protocols",
			O_RDONLY | O_CLOEXEC);
	FILE *protocols = fd < 0 ? NULL : fdopen(fd, "r");
	size_t size = 0;

	while (protocols && getline(&line, &size, protocols) > 0) {
		line[strcspn(line, " ")] = '\0';
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (!strcmp(line, names[i]))
				fields_put(reply, "unjudged", names[i]);
	}
	if (protocols)
		fclose(protocols);
	else
		fd_close(fd);
}

static void put_pid(struct fields *reply, const char *key, pid_t pid)
{
	if (pid > 0)
		fields_format(reply, key, "%d", pid);
}

static void put_channels(const struct status *status, struct fields *reply)
{
	uint64_t lost = 0;
	size_t waiting = 0;

	for (size_t i = 0; i < status->channel_count; i++) {
		struct channel_losses losses =
			channel_lost(status->channels[i]);

		lost += losses.ordinary + losses.important;
		waiting += channel_used(status->channels[i]);
	}
	fields_format(reply, "lost", "%" PRIu64, lost);
	fields_format(reply, "waiting_bytes", "%zu", waiting);
}

void status_put(const struct status *status, struct fields *reply)
{
	uint64_t generation = policy_generation(status->policy);

	fields_put(reply, "version", LEASH_VERSION);
	fields_format(reply, "pid", "%d", getpid());
	fields_put(reply, "config", status->config);
	fields_format(reply, "uptime_s", "%" PRId64,
		      (clock_monotonic_ns() - status->started_ns) /
			      CLOCK_NS_PER_S);
	fields_format(reply, "generation", "%" PRIu64, status->generation);
	if (status->generation != generation)
		fields_format(reply, "coming", "%" PRIu64, generation);
	fields_put(reply, "mode", mode_word(policy_mode_of(status->policy)));
	fields_format(reply, "rules", "%u", policy_rule_count(status->policy));
	fields_format(reply, "filesystems", "%zu", status->filesystems);
	fields_put(reply, "new_mounts",
		   status->guard_problem ? "open" : "closed");
	if (status->guard_problem)
		fields_put(reply, "new_mounts_why",
			   strerror(status->guard_problem));
	fields_put(reply, "sleep", status->sleep);
	if (status->sleep_why)
		fields_put(reply, "sleep_why", status->sleep_why);
	fields_format(reply, "unasked", "%" PRIu32, status->unasked);
	fields_put(reply, "database",
		   policy_text(status->policy,
			       policy_general(status->policy)->database));
	put_pid(reply, "file_gate", status->gate);
	put_pid(reply, "file_gate_spare", status->spare);
	put_pid(reply, "file_gate_fallback", status->fallback);
	put_pid(reply, "net_gate", status->net);
	put_pid(reply, "tool_gate", status->tool);
	put_pid(reply, "store", status->store);
	put_channels(status, reply);
	if (status->locked_down)
		fields_put(reply, "problem",
			   "the file gates keep dying: lockdown, every file "
			   "is refused to the accounts");
	else if (status->fallback > 0)
		fields_put(reply, "problem",
			   "no file gate is there at this moment: every file "
			   "is refused to the accounts");
	if (status->net_problem[0])
		fields_put(reply, "problem", status->net_problem);
	if (status->reload_problem)
		fields_put(reply, "problem", status->reload_problem);
	put_accounts(status->policy, reply);
	put_observing_rules(status->policy, reply);
	put_unjudged(status, reply);
}
