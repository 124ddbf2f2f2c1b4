/*
 * leash init - an account, a workspace and a first policy
 *
 * Whatever is there already is left as it is and said so: run twice, the
 * second time does nothing.  What is there and what is wanted is checked before
 * anything is made; what it writes, before it is kept.
 */

#include "tools/leash/leash_init.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/system/command.h"
#include "gatekeeper/wire/control.h"
#include "tools/leash/dialog/common_options.h"
#include "tools/leash/dialog/json_output.h"
#include "tools/leash/leash_status.h"
#include "tools/lib/complaint.h"
#include "tools/lib/control_client.h"

#define HELPER_ACCOUNT "_leash"
#define CONFIG	       "/etc/leash.conf"
#define DROP_INS       "/etc/leash.d"
#define PROFILES_MAX   16
#define TEXT_SIZE      8192

struct options {
	const char *account;
	const char *workspace;
	const char *profiles; /* "base,git,..." */
	bool json;
	bool observe;
	bool yes; /* ask nothing */
};

static const char *const first_config =
	"# leash.conf - see leash.conf(5)\n"
	"#\n"
	"# What each account may do stands in " DROP_INS ", one file an\n"
	"# account; leash init has made the first.  Check with: leash check\n"
	"\n"
	"# mode = \"observe\";      # refuse nothing, write down what would "
	"be\n";

/* Ask on the terminal; the answer, or what was offered. */
static const char *ask(const struct options *options, const char *question,
		       const char *offered, char *buffer, size_t size)
{
	if (options->yes || !isatty(STDIN_FILENO))
		return offered;
	printf("%s [%s] ", question, offered);
	fflush(stdout);
	if (!fgets(buffer, (int)size, stdin))
		return offered;
	buffer[strcspn(buffer, "\n")] = '\0';
	return buffer[0] ? buffer : offered;
}

/* Run a program of the system's; EXIT_DONE, or reported. */
static int run(const char *const *arguments)
{
	struct command_result result = {0};
	int r = command_run((char *const *)arguments, "", &result);

	if (r)
		complaint_print("cannot run %s: %s", arguments[0],
				strerror(-r));
	else if (result.status)
		complaint_print("%s: %s", arguments[0],
				result.output ? result.output : "failed");
	r = r || result.status ? EXIT_ERROR : EXIT_DONE;
	command_result_done(&result);
	return r;
}

static bool is_name(const char *text)
{
	const char *rest = "abcdefghijklmnopqrstuvwxyz0123456789_-";

	return ((text[0] >= 'a' && text[0] <= 'z') || text[0] == '_') &&
	       !text[strspn(text, rest)] && strlen(text) < 32;
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

/* Of a check's output: is the gates' account, which will be made, all? */
static bool lacks_helper_account(const char *output)
{
	return !getpwnam(HELPER_ACCOUNT) &&
	       strstr(output, "account \"" HELPER_ACCOUNT "\", whom") &&
	       strstr(output, ": 1 mistake(s)\n");
}

static int check_present(void)
{
	const char *const check[] = {"gatekeeper", "--config", CONFIG,
				     "--check", NULL};
	struct command_result result = {0};
	const char *output;
	int r;

	if (!is_there(CONFIG))
		return EXIT_DONE;
	r = command_run((char *const *)check, "", &result);
	output = result.output ? result.output : "";
	if (r) {
		complaint_print("cannot run gatekeeper: %s", strerror(-r));
		r = EXIT_ERROR;
	} else if (result.status && !lacks_helper_account(output)) {
		complaint_print("%s", output);
		complaint_print(
			"what is there is wrong; nothing was made.  Mend it "
			"(leash check), then say leash init again");
		r = EXIT_ERROR;
	}
	command_result_done(&result);
	return r;
}

static int make_helper_account(void)
{
	const char *const group[] = {"groupadd", "--system", CONTROL_GROUP,
				     NULL};
	const char *const user[] = {
		"useradd",	     "--system",     "--no-create-home",
		"--home-dir",	     "/nonexistent", "--shell",
		"/usr/sbin/nologin", HELPER_ACCOUNT, NULL,
	};
	int r = EXIT_DONE;

	if (!getgrnam(CONTROL_GROUP)) {
		r = run(group);
		if (!r)
			puts("made the group " CONTROL_GROUP
			     ", whose members may change the rules");
	}
	if (!r && !getpwnam(HELPER_ACCOUNT)) {
		r = run(user);
		if (!r)
			puts("made the account " HELPER_ACCOUNT
			     ", whom the gates run as");
	}
	return r;
}

static int check_account(const char *name)
{
	const struct passwd *known = getpwnam(name);

	if (!is_name(name)) {
		complaint_print(
			"\"%s\" is no name for an account; use letters, "
			"digits, - and _",
			name);
		return EXIT_ERROR;
	}
	if (known && known->pw_uid < 1000) {
		complaint_print(
			"\"%s\" is an account of the system; give the agent "
			"one of its own",
			name);
		return EXIT_ERROR;
	}
	return EXIT_DONE;
}

static int make_account(const char *name)
{
	const char *const user[] = {
		"useradd", "--create-home", "--shell", "/bin/bash", name, NULL};
	int r;

	if (getpwnam(name)) {
		printf("the account %s is there\n", name);
		return EXIT_DONE;
	}
	r = run(user);
	if (!r)
		printf("made the account %s; nobody can log in to it by "
		       "password\n",
		       name);
	return r;
}

/* Where nothing is yet, it is the account's; else it gets an ACL entry. */
static int make_workspace(const char *path, const char *account)
{
	const struct passwd *passwd = getpwnam(account);
	char entry[128];
	const char *const acl[] = {"setfacl", "-R",  "-m", entry, "-d",
				   "-m",      entry, path, NULL};
	struct stat st;

	if (!passwd)
		return EXIT_ERROR;
	if (stat(path, &st) < 0) {
		if (mkdir(path, 0755) < 0 ||
		    chown(path, passwd->pw_uid, passwd->pw_gid) < 0) {
			complaint_print("cannot make %s: %s", path,
					strerror(errno));
			return EXIT_ERROR;
		}
		printf("made the workspace %s\n", path);
		return EXIT_DONE;
	}
	if (st.st_uid == passwd->pw_uid) {
		printf("the workspace %s is there\n", path);
		return EXIT_DONE;
	}
	snprintf(entry, sizeof(entry), "u:%s:rwX", account);
	if (run(acl))
		return EXIT_ERROR;
	printf("gave %s access to %s, by ACL\n", account, path);
	return EXIT_DONE;
}

/* "base,git" as `"base", "git"`; false where a profile does not exist. */
static bool list_profiles(const char *names, char *ret, size_t size)
{
	size_t length = 0;

	ret[0] = '\0';
	while (*names) {
		size_t n = strcspn(names, ", ");
		char path[PATH_MAX];

		snprintf(path, sizeof(path), LEASH_PROFILES_DIR "/%.*s", (int)n,
			 names);
		if (!n || memchr(names, '/', n) || names[0] == '.' ||
		    access(path, R_OK) < 0) {
			complaint_print(
				"there is no profile \"%.*s\"; they are the "
				"files in " LEASH_PROFILES_DIR,
				(int)n, names);
			return false;
		}
		length += (size_t)snprintf(ret + length, size - length,
					   "%s\"%.*s\"", length ? ", " : "",
					   (int)n, names);
		if (length >= size)
			return false;
		names += n + strspn(names + n, ", ");
	}
	return true;
}

static int write_file(const char *path, const char *text)
{
	CLEANUP(fd_close)
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int r = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));

	if (!r && (fchmod(fd, 0644) < 0 || fsync(fd) < 0))
		r = -errno;
	if (!r)
		return EXIT_DONE;
	if (fd >= 0)
		unlink(path);
	complaint_print("cannot write %s: %s", path, strerror(-r));
	return EXIT_ERROR;
}

static int write_policy(const struct options *options,
			char text[static TEXT_SIZE])
{
	char profiles[1024];
	int n;

	if (!list_profiles(options->profiles, profiles, sizeof(profiles)))
		return EXIT_ERROR;
	if (strpbrk(options->workspace, "\"\\*?[\n")) {
		complaint_print(
			"%s: a workspace's path has no quotes, backslashes "
			"or wildcards in it",
			options->workspace);
		return EXIT_ERROR;
	}
	n = snprintf(
		text, TEXT_SIZE,
		"# What %s may do; made by leash init, yours to change.\n"
		"accounts = (\n"
		"\t{\n"
		"\t\taccount = \"%s\";\n"
		"%s"
		"\t\tprofiles = [ %s ];\n"
		"\t\tfiles = {\n"
		"\t\t\twrite = [ \"~\", \"%s\", \"/tmp\", \"/dev/null\",\n"
		"\t\t\t\t  \"/dev/tty\" ];\n"
		"\t\t\tread = [ \"/dev/zero\", \"/dev/random\",\n"
		"\t\t\t\t \"/dev/urandom\" ];\n"
		"\t\t\tdeny = [ \"**/.env\", \"**/*.pem\", \"**/id_ed25519\",\n"
		"\t\t\t\t \"**/id_rsa\" ];\n"
		"\t\t};\n"
		"\t\t# What it builds there runs as leashed as the rest.\n"
		"\t\tprograms = { list = [ \"%s\" ]; };\n"
		"\t\t# Hosts: those of the profiles, and yours, such as\n"
		"\t\t# { host = \"github.com\"; ports = [ 443 ]; }\n"
		"\t\tnetwork = { allow = ( ); inbound = \"loopback\"; };\n"
		"\t}\n"
		");\n",
		options->account, options->account,
		options->observe ? "\t\tmode = \"observe\";\n" : "", profiles,
		options->workspace, options->workspace);
	if (n >= TEXT_SIZE) {
		complaint_print("the workspace's path is too long");
		return EXIT_ERROR;
	}
	return EXIT_DONE;
}

static void write_policy_path(const struct options *options,
			      char ret[static PATH_MAX])
{
	snprintf(ret, PATH_MAX, DROP_INS "/10-%s.conf", options->account);
}

/* All that can be known to be wrong before anything is made. */
static int check_wanted(const struct options *options)
{
	char path[PATH_MAX], text[TEXT_SIZE];
	struct stat st;

	if (options->workspace[0] != '/') {
		complaint_print("%s: the workspace's path must be absolute",
				options->workspace);
		return EXIT_ERROR;
	}
	if (check_account(options->account))
		return EXIT_ERROR;
	if (stat(options->workspace, &st) == 0 && !S_ISDIR(st.st_mode)) {
		complaint_print("%s is not a folder", options->workspace);
		return EXIT_ERROR;
	}
	write_policy_path(options, path);
	return is_there(path) ? EXIT_DONE : write_policy(options, text);
}

static int make_policy(const struct options *options, const char *path)
{
	char text[TEXT_SIZE];

	if (write_policy(options, text))
		return EXIT_ERROR;
	if (mkdir(DROP_INS, 0755) < 0 && errno != EEXIST) {
		complaint_print("cannot make " DROP_INS ": %s",
				strerror(errno));
		return EXIT_ERROR;
	}
	return write_file(path, text);
}

/* The files that are missing; those made are taken back if they are wrong. */
static int make_files(const struct options *options)
{
	const char *const check[] = {"gatekeeper", "--config", CONFIG,
				     "--check", NULL};
	bool made_config = false, made_policy = false;
	char path[PATH_MAX];
	int r = EXIT_DONE;

	write_policy_path(options, path);
	if (!is_there(CONFIG)) {
		r = write_file(CONFIG, first_config);
		made_config = !r;
	}
	if (!r && !is_there(path)) {
		r = make_policy(options, path);
		made_policy = !r;
	}
	if (!r)
		r = run(check);
	if (r && made_policy)
		unlink(path);
	if (r && made_config)
		unlink(CONFIG);
	if (!r)
		printf("%s %s\n", path,
		       made_policy ? "is its policy" : "is there, unchanged");
	return r;
}

/* The service where there is one; else what is running, or a hint. */
static int start(void)
{
	const char *const reload[] = {"leash", "reload", NULL};
	const char *const service[] = {"systemctl", "enable", "--now",
				       "leash.service", NULL};

	if (access("/run/leash/" CONTROL_SOCKET, F_OK) == 0)
		return run(reload);
	if (access("/run/systemd/system", F_OK) == 0 &&
	    (access("/lib/systemd/system/leash.service", F_OK) == 0 ||
	     access("/etc/systemd/system/leash.service", F_OK) == 0))
		return run(service);
	puts("now start it: gatekeeper --config " CONFIG);
	return EXIT_NO;
}

static int parse(int argc, char **argv, struct options *ret)
{
	const struct options_row rows[] = {
		{"account", 0, "NAME", "the account to be made or leashed",
		 .text = &ret->account},
		{LEASH_JSON, .flag = &ret->json},
		{"observe", 0, NULL, "refuse nothing, write down what would be",
		 .flag = &ret->observe},
		{"profiles", 0, "LIST", "such as base,git",
		 .text = &ret->profiles},
		{"workspace", 0, "FOLDER", "where it works",
		 .text = &ret->workspace},
		{"yes", 0, NULL, "ask nothing", .flag = &ret->yes},
		{.name = NULL},
	};
	const struct options_command command = {
		.name = "leash init",
		.synopsis = "[OPTION...]",
		.rows = rows,
	};

	return options_read(&command, argc, argv, NULL);
}

static void print_object(const struct options *options, int out, int outcome)
{
	static const struct json_list none[] = {{.key = NULL}};
	static const char *const numbers[] = {NULL};
	struct fields done = {NULL, 0, 0, false};

	if (outcome == EXIT_ERROR)
		return;
	fields_put(&done, "account", options->account);
	fields_put(&done, "workspace", options->workspace);
	fields_format(&done, "policy", DROP_INS "/10-%s.conf",
		      options->account);
	fields_put(&done, "state", outcome ? "not started" : "running");
	fflush(stdout);
	if (dup2(out, STDOUT_FILENO) >= 0)
		json_output_print(&done, none, numbers);
	fields_free(&done);
}

int leash_init(int argc, char **argv)
{
	struct options options = {.account = NULL};
	char account[64], workspace[PATH_MAX], profiles[512], offered[128];
	char *status[] = {(char *)"status", NULL};
	int out, r = parse(argc, argv, &options);

	if (r >= 0)
		return r;
	/* With --json what is done and asked goes to standard error. */
	out = options.json ? dup(STDOUT_FILENO) : -1;
	if (options.json && dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return EXIT_ERROR;
	if (geteuid() != 0) {
		complaint_print("only root may");
		return EXIT_ERROR;
	}
	r = check_present();
	if (r)
		return r;
	if (!options.account)
		options.account = ask(&options, "The agent's account", "agent",
				      account, sizeof(account));
	snprintf(offered, sizeof(offered), "/srv/%s", options.account);
	if (!options.workspace)
		options.workspace = ask(&options, "The folder it works in",
					offered, workspace, sizeof(workspace));
	if (!options.profiles)
		options.profiles =
			ask(&options, "Profiles, such as base,git,python",
			    "base,git", profiles, sizeof(profiles));
	r = check_wanted(&options);
	if (!r)
		r = make_account(options.account);
	if (!r)
		r = make_helper_account();
	if (!r)
		r = make_workspace(options.workspace, options.account);
	if (!r)
		r = make_files(&options);
	if (!r)
		r = start();
	if (options.json)
		print_object(&options, out, r);
	if (r || options.json)
		return r == EXIT_NO ? EXIT_DONE : r;
	return leash_status(1, status);
}
