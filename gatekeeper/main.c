/*
 * gatekeeper - puts accounts on a leash; see gatekeeper(8)
 */

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/base/options.h"
#include "gatekeeper/system/sandbox.h"
#include "gatekeeper/config/findings.h"
#include "gatekeeper/net/firewall.h"
#include "gatekeeper/sleep/freezer.h"
#include "gatekeeper/last_policy.h"
#include "gatekeeper/net/name_services.h"
#include "gatekeeper/policy/image.h"
#include "gatekeeper/policy/places.h"
#include "gatekeeper/startup.h"
#include "gatekeeper/supervisor.h"

#define RUN_DIR "/run/leash"

enum exit_code {
	EXIT_DONE = 0,
	EXIT_WRONG = 1, /* the configuration has mistakes */
	EXIT_ERROR = 2,
};

struct options {
	const char *config;
	bool check;
	bool hosts;
	bool fall_back;
	bool foreground;
	bool take_off;
};

static int read_options(int argc, char **argv, struct options *options)
{
	const struct options_row rows[] = {
		{"config", 0, "FILE", "the policy, usually /etc/leash.conf",
		 .text = &options->config},
		{"check", 0, NULL, "read and check it, say what is wrong, exit",
		 .flag = &options->check},
		{"hosts", 0, NULL, "list the hosts that it allows by name",
		 .flag = &options->hosts},
		{"foreground", 0, NULL,
		 "stay attached, for systemd or a terminal",
		 .flag = &options->foreground},
		{"fall-back", 0, NULL,
		 "start with the last policy that was right, if this one is "
		 "wrong",
		 .flag = &options->fall_back},
		{"take-off", 0, NULL,
		 "end what a gatekeeper that died left at work",
		 .flag = &options->take_off},
		{.name = NULL},
	};
	const struct options_command command = {
		.name = "gatekeeper",
		.version = LEASH_VERSION,
		.synopsis = "--config FILE [OPTION...]\n--take-off",
		.notes = "SIGHUP reloads, SIGTERM stops, SIGUSR1 leaves the "
			 "helpers at\n"
			 "work for a successor.  See gatekeeper(8).\n",
		.rows = rows,
	};

	return options_read(&command, argc, argv, NULL);
}

/* OPTIONS_GO_ON, or an exit code. */
static int parse_options(int argc, char **argv, struct options *options)
{
	int r = read_options(argc, argv, options);

	if (r >= 0)
		return r;
	if (options->hosts && !options->check)
		return options_wrong("gatekeeper", "--hosts goes with --check");
	if (options->take_off && options->config)
		return options_wrong("gatekeeper",
				     "--take-off takes no --config");
	if (!options->take_off && !options->config)
		return options_wrong("gatekeeper", "--config is missing");
	return r;
}

/* One host has several rules, one behind the other. */
struct host_list {
	const struct policy *policy;
	const char *last;
	uint32_t account;
};

/* Each that is allowed as PLACE: NAME, for `leash check --hosts`. */
static void list_host(void *context, const struct policy_place *place)
{
	struct host_list *list = context;
	const struct policy_rule *rule = policy_rule(list->policy, place->rule);

	if (place->kind != POLICY_PLACE_HOST ||
	    rule->effect != POLICY_EFFECT_REACH ||
	    (place->text == list->last && place->account == list->account))
		return;
	printf("%s: %s\n", policy_text(list->policy, rule->origin),
	       place->text);
	list->last = place->text;
	list->account = place->account;
}

static int check(const struct config_source *source, bool hosts)
{
	struct report report = {.out = stderr};
	CLEANUP(policy_free) struct policy *policy = NULL;
	CLEANUP(fd_close) int fd = -1;
	int r = config_compile(source, 1, &report, &fd);

	if (r == CONFIG_WRONG) {
		fprintf(stderr, "%s: %d mistake(s)\n", source->path,
			report.errors);
		return EXIT_WRONG;
	}
	if (!r)
		r = policy_map(fd, &policy);
	if (!r)
		r = findings_report(policy,
				    &(struct findings_scope){
					    .profiles = source->profiles_dir,
				    },
				    &report);
	if (!r && hosts)
		r = policy_places(policy, list_host,
				  &(struct host_list){.policy = policy});
	if (r) {
		errno = r < 0 ? -r : EINVAL;
		log_error("cannot compile %s: %m", source->path);
		return EXIT_ERROR;
	}
	if (hosts)
		return EXIT_DONE;
	printf("%s: correct: %u account(s), %u rule(s), %llu bytes compiled\n",
	       source->path, policy_account_count(policy),
	       policy_rule_count(policy),
	       (unsigned long long)policy_size(policy));
	return EXIT_DONE;
}

/* What opening the group, marking, and starting helpers need; no more. */
static int keep_privileges(void)
{
	static const int needed[] = {
		CAP_SYS_ADMIN, CAP_SYS_PTRACE,	 CAP_SETUID,
		CAP_SETGID,    CAP_SETPCAP,	 CAP_KILL,
		CAP_CHOWN,     CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH,
		CAP_FOWNER,    CAP_SYS_CHROOT,	 CAP_SYS_NICE,
		CAP_NET_ADMIN, CAP_NET_RAW,
	};

	return sandbox_keep(needed, sizeof(needed) / sizeof(needed[0]));
}

/* A gate may hold a few hundred events and as many processes. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
	    limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* A new mount is open to all until it is marked: be there soon. */
static void run_first(void)
{
	if (setpriority(PRIO_PROCESS, 0, -10) < 0)
		log_info("cannot raise my priority: %m");
}

static void die_last(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	/* Needs CAP_SYS_RESOURCE; systemd's OOMScoreAdjust= does it too. */
	if (fd >= 0 && write(fd, "-1000", 5) < 0)
		errno = 0;
	fd_close(fd);
}

static int run(const struct options *options, int ready)
{
	const struct supervisor_options supervisor_options = {
		.source = {.path = options->config,
			   .profiles_dir = LEASH_PROFILES_DIR},
		.helpers_dir = LEASH_HELPERS_DIR,
		.keep = options->fall_back ? LAST_POLICY_DIR : NULL,
	};
	CLEANUP(run_dir_free) struct run_dir *run_dir = NULL;
	CLEANUP(supervisor_free) struct supervisor *supervisor = NULL;
	int r = run_dir_take(RUN_DIR, &run_dir);

	if (r == RUN_DIR_TAKEN) {
		log_error("another gatekeeper is running (" RUN_DIR "/lock)");
		return EXIT_ERROR;
	}
	die_last();
	run_first();
	raise_descriptors();
	if (!r)
		r = keep_privileges();
	if (!r)
		r = supervisor_new(&supervisor_options, run_dir, &supervisor);
	if (!r)
		r = startup_run(supervisor);
	if (r == STARTUP_CONFIG_WRONG)
		return EXIT_WRONG;
	if (!r && ready >= 0 && write(ready, "", 1) < 0)
		log_warning("cannot tell the starting process: %m");
	fd_close(ready);
	if (r) {
		errno = -r;
		log_error("cannot start: %m");
		return EXIT_ERROR;
	}
	r = supervisor_run(supervisor);
	if (r == SUPERVISOR_HANDED_OVER)
		_exit(EXIT_DONE);
	if (r) {
		errno = -r;
		log_error("cannot go on: %m; the gates stay at work");
		_exit(EXIT_ERROR); /* freeing would end them */
	}
	supervisor = supervisor_free(supervisor); /* its sockets lie there */
	run_dir_remove(run_dir);
	return EXIT_DONE;
}

/* The sockets that were closed to accounts, as the last policy named them. */
static void open_name_services(void)
{
	CLEANUP(policy_free) struct policy *policy = NULL;
	CLEANUP(fd_close) int fd = -1;
	struct name_services services = {.seen = {{0}}};

	for (int i = 0; i < NAME_SERVICES_COUNT; i++)
		services.seen[i].inode = 1; /* any */
	if (last_policy_load(LAST_POLICY_DIR, &fd) == 0 &&
	    policy_map(fd, &policy) == 0)
		name_services_open(&services, policy);
}

/* Those whom a gatekeeper that died had frozen before the machine slept. */
static void thaw_left(void)
{
	int r = freezer_thaw_left();

	if (r < 0) {
		errno = -r;
		log_error("processes of the accounts are still frozen: %m");
	}
}

/* What a clean stop does, where there is no gatekeeper to do it. */
static int take_off(void)
{
	CLEANUP(run_dir_free) struct run_dir *run_dir = NULL;
	struct firewall_state state = {.backend = FIREWALL_NONE};
	int ended, r = run_dir_take(RUN_DIR, &run_dir);

	if (r == RUN_DIR_TAKEN) {
		log_error("a gatekeeper is running (" RUN_DIR "/lock); stop "
			  "that one");
		return EXIT_ERROR;
	}
	if (r) {
		errno = -r;
		log_error(RUN_DIR ": %m");
		return EXIT_ERROR;
	}
	ended = run_dir_end_strays(run_dir);
	r = firewall_remove(&state);
	if (r)
		log_error("the network rules are still there: %s",
			  state.problem);
	open_name_services();
	thaw_left();
	run_dir_remove(run_dir);
	printf("%d helper(s) ended; no account is leashed now\n", ended);
	return r ? EXIT_ERROR : EXIT_DONE;
}

/* Go into the background; the caller's command ends once the leash holds. */
static int run_detached(const struct options *options)
{
	int ends[2], status;
	char byte;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return EXIT_ERROR;
	pid = fork();
	if (pid < 0) {
		log_error("cannot fork: %m");
		return EXIT_ERROR;
	}
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		fd_close(ends[0]);
		setsid();
		if (chdir("/") < 0 || null < 0 || dup2(null, 0) < 0 ||
		    dup2(null, 1) < 0)
			return EXIT_ERROR;
		return run(options, ends[1]);
	}
	fd_close(ends[1]);
	if (read(ends[0], &byte, 1) == 1)
		return EXIT_DONE;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_ERROR;
}

int main(int argc, char **argv)
{
	struct options options = {.config = NULL};
	CLEANUP_FREE char *config = NULL;
	int r;

	log_start("gatekeeper");
	r = parse_options(argc, argv, &options);
	if (r >= 0)
		return r;
	if (geteuid() != 0 && !options.check) {
		log_error("must be started by root");
		return EXIT_ERROR;
	}
	if (options.take_off)
		return take_off();
	/* Reloads happen from another folder. */
	config = realpath(options.config, NULL);
	if (!config && options.fall_back && errno == ENOENT)
		config = strdup(options.config);
	if (!config) {
		log_error("%s: %m", options.config);
		return EXIT_ERROR;
	}
	options.config = config;
	if (options.check)
		return check(
			&(struct config_source){
				.path = config,
				.profiles_dir = LEASH_PROFILES_DIR,
			},
			options.hosts);
	return options.foreground ? run(&options, -1) : run_detached(&options);
}
