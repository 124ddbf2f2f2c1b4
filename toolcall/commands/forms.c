#include "toolcall/commands/forms.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "gatekeeper/policy/glob.h"
#include "toolcall/commands/forms_files.h"
#include "toolcall/commands/forms_names.h"
#include "toolcall/commands/written_files.h"

#define CHAIN_MAX 64 /* commands of one pipeline looked at */

static const char *const fetchers[] = {"curl", "wget", "fetch", "aria2c",
				       "lynx", "http", "https", "xh",
				       "axel", "w3m",  "links", NULL};
static const char *const senders[] = {
	"curl", "wget",	  "nc",	     "ncat",   "netcat", "socat",    "ssh",
	"sftp", "telnet", "openssl", "mail",   "mailx",	 "sendmail", "http",
	"xh",	"ftp",	  "aws",     "gsutil", "rclone", NULL};
static const char *const net_tools[] = {
	"nc", "ncat", "netcat", "telnet", "socat", "openssl", "cryptcat", NULL};

static bool has(const struct shell_command *command, const char *const *words)
{
	for (size_t i = 1; i < command->word_count; i++)
		if (shell_is_among(command->words[i].text, words))
			return true;
	return false;
}

static bool is_net_tool(const struct shell_command *command)
{
	static const char *const clients[] = {"s_client", "s_server", NULL};
	const char *program = shell_program(command);

	return shell_is_among(program, net_tools) &&
	       (strcmp(program, "openssl") || has(command, clients));
}

static bool is_fetcher(const struct shell_command *command)
{
	return shell_is_among(shell_program(command), fetchers);
}

/* Turns hidden text into plain. */
static bool is_decoder(const struct shell_command *command)
{
	static const char *const decode[] = {"-d",  "-D",  "--decode",
					     "-di", "-id", NULL};
	static const char *const reverse[] = {"-r", "-rp", "-pr", NULL};
	static const char *const unpackers[] = {"gunzip", "zcat",     "bzcat",
						"xzcat",  "uudecode", "rev",
						"tr",	  NULL};
	static const char *const packers[] = {"gzip", "bzip2", "xz", "zstd",
					      NULL};
	static const char *const unpack[] = {"-d", "-dc", "-cd", NULL};
	const char *program = shell_program(command);

	if (!strcmp(program, "base64") || !strcmp(program, "base32") ||
	    !strcmp(program, "openssl"))
		return has(command, decode);
	if (!strcmp(program, "xxd"))
		return has(command, reverse);
	if (shell_is_among(program, packers))
		return has(command, unpack);
	return shell_is_among(program, unpackers);
}

/* Does an interpreter take its program from what it reads? */
static bool reads_program(const struct shell *shell,
			  const struct shell_command *command)
{
	for (size_t i = 1; i < command->word_count; i++) {
		const char *word = command->words[i].text;

		if (!strcmp(word, "-") || !strcmp(word, "-s") ||
		    !strcmp(word, "/dev/stdin") || !strcmp(word, "/dev/fd/63"))
			return true;
		if (word[0] == '-' && word[1] != '-' && strchr(word, 'c'))
			/* xargs ... sh -c: the text comes from xargs */
			return i + 1 == command->word_count &&
			       command->part_of >= 0 &&
			       !strcmp(shell_program(
					       &shell->commands
							[command->part_of]),
				       "xargs");
		if (word[0] == '-' && (word[1] == 'e' || word[1] == 'm'))
			return false;
		if (word[0] != '-' && word[0] != '+')
			return false; /* a script */
	}
	return true;
}

/* Does any command that the pipeline before it holds fulfil test? */
static bool any_before(const struct shell *shell, int index,
		       bool (*test)(const struct shell_command *))
{
	for (int i = 0; i < CHAIN_MAX; i++) {
		index = shell->commands[index].reads_from;
		if (index < 0)
			return false;
		if (test(&shell->commands[index]))
			return true;
		/* What it wraps is what it is. */
		for (size_t j = 0; shell_goes_on(shell, j); j++)
			if (shell->commands[j].part_of == index &&
			    test(&shell->commands[j]))
				return true;
	}
	return false;
}

static bool any_behind(const struct shell *shell, int index,
		       bool (*test)(const struct shell_command *))
{
	for (int i = 0; i < CHAIN_MAX; i++) {
		index = shell->commands[index].feeds;
		if (index < 0)
			return false;
		if (test(&shell->commands[index]))
			return true;
	}
	return false;
}

/* Or a command whose output becomes one of its words? */
static bool any_substituted(const struct shell *shell, int index,
			    bool (*test)(const struct shell_command *))
{
	for (size_t i = 0; shell_goes_on(shell, i); i++) {
		const struct shell_command *command = &shell->commands[i];
		int at = command->part_of;

		if (!command->is_substitution)
			continue;
		/* One within another counts for both. */
		for (int n = 0; n < SHELL_DEPTH_MAX && at >= 0 && at != index;
		     n++)
			at = shell->commands[at].is_substitution
				     ? shell->commands[at].part_of
				     : -1;
		if (at == index && test(command))
			return true;
	}
	return false;
}

static bool runs_text(const struct shell_command *command)
{
	static const char *const builtins[] = {"eval", "source", ".", NULL};

	return shell_is_among(shell_program(command), builtins);
}

/* A shell, or another interpreter, whose program test's output is. */
static bool runs_output_of(const struct shell *shell,
			   bool (*test)(const struct shell_command *))
{
	for (size_t i = 0; shell_goes_on(shell, i); i++) {
		const struct shell_command *command = &shell->commands[i];
		const char *program = shell_program(command);
		bool interpreter = shell_is_interpreter(program);
		bool script = interpreter && command->word_count > 1 &&
			      command->words[1].text[0] != '-' &&
			      !command->words[1].dynamic;

		if (interpreter && reads_program(shell, command) &&
		    any_before(shell, (int)i, test))
			return true;
		if ((runs_text(command) || (interpreter && !script)) &&
		    any_substituted(shell, (int)i, test))
			return true;
	}
	return false;
}

/* ---- as another user */

static bool as_other_user(const struct shell *shell)
{
	static const char *const programs[] = {
		"sudo", "pkexec",  "doas",   "run0",  "runuser", "sudoedit",
		"gosu", "su-exec", "calife", "super", "su",	 NULL};

	for (size_t i = 0; shell_goes_on(shell, i); i++) {
		const struct shell_command *command = &shell->commands[i];
		const char *program = shell_program(command);

		if (shell_is_among(program, programs))
			return true;
		if (!strcmp(program, "machinectl") && command->word_count > 1 &&
		    !strcmp(command->words[1].text, "shell"))
			return true;
	}
	return false;
}

/* ---- downloads */

static bool same_file(const char *a, const char *b)
{
	const char *one = shell_basename(a), *other = shell_basename(b);

	return *one && !strcmp(one, other);
}

struct saved {
	const struct shell *shell;
	size_t after; /* commands from here on */
};

/* Is the file run, later on? */
static bool is_run(void *context, const char *path)
{
	const struct saved *saved = context;

	if (!strcmp(path, "-") || !strncmp(path, "/dev/", 5))
		return false;
	for (size_t i = saved->after; shell_goes_on(saved->shell, i); i++) {
		const struct shell_command *command =
			&saved->shell->commands[i];
		const char *program = shell_program(command);

		if (!command->word_count)
			continue;
		if (strchr(command->words[0].text, '/') &&
		    same_file(command->words[0].text, path))
			return true;
		if (!shell_is_interpreter(program) && !runs_text(command))
			continue;
		for (size_t j = 1; j < command->word_count; j++)
			if (command->words[j].text[0] != '-')
				return same_file(command->words[j].text, path);
	}
	return false;
}

/* curl -O and plain wget name the file after the address. */
static bool named_by_address(const struct shell_command *command,
			     struct saved *saved)
{
	bool wget = !strcmp(shell_program(command), "wget");
	bool remote = wget;

	for (size_t i = 1; i < command->word_count; i++) {
		const char *word = command->words[i].text;

		if (word[0] == '-' && word[1] != '-' && strchr(word, 'O'))
			remote = !wget;
		if (!strcmp(word, "--remote-name"))
			remote = true;
	}
	for (size_t i = 1; remote && i < command->word_count; i++) {
		const char *word = command->words[i].text;
		char path[512];

		if (word[0] == '-' || !strchr(word, '/'))
			continue;
		snprintf(path, sizeof(path), "%.*s", (int)strcspn(word, "?#"),
			 word);
		if (is_run(saved, path))
			return true;
	}
	return false;
}

static bool saves_and_runs(const struct shell *shell)
{
	for (size_t i = 0; shell_goes_on(shell, i); i++) {
		struct saved saved = {shell, i + 1};
		const struct shell_command *command = &shell->commands[i];

		if (!is_fetcher(command)) {
			if (any_before(shell, (int)i, is_fetcher) &&
			    written_files_any(command, is_run, &saved))
				return true;
			continue;
		}
		if (written_files_any(command, is_run, &saved) ||
		    named_by_address(command, &saved))
			return true;
		if (!strcmp(shell_program(command), "aria2c") ||
		    !strcmp(shell_program(command), "axel"))
			for (size_t j = 1; j + 1 < command->word_count; j++)
				if (!strcmp(command->words[j].text, "-o") &&
				    is_run(&saved, command->words[j + 1].text))
					return true;
	}
	return false;
}

/* ---- shells for others */

static bool is_network_path(const char *path)
{
	return !strncmp(path, "/dev/tcp/", 9) || !strncmp(path, "/dev/udp/", 9);
}

static bool reverse_shell(const struct shell *shell)
{
	for (size_t i = 0; shell_goes_on(shell, i); i++) {
		const struct shell_command *command = &shell->commands[i];

		for (size_t j = 0; j < command->redirect_count; j++)
			if (command->redirects[j].kind != SHELL_REDIRECT_HERE &&
			    is_network_path(command->redirects[j].target))
				return true;
		if (!shell_is_interpreter(shell_program(command)) ||
		    !reads_program(shell, command))
			continue;
		if (any_before(shell, (int)i, is_net_tool) ||
		    any_behind(shell, (int)i, is_net_tool))
			return true;
	}
	return false;
}

/* ---- secrets */

/* A file that commonly holds a secret, by its name. */
static bool is_secret_path(const char *path)
{
	static const char *const names[] = {
		".env",		"id_rsa",      "id_dsa",     "id_ecdsa",
		"id_ed25519",	"credentials", "shadow",     ".netrc",
		".pgpass",	".npmrc",      ".pypirc",    ".git-credentials",
		".vault-token", ".my.cnf",     ".ssh",	     ".aws",
		".gnupg",	".kube",       ".azure",     "gcloud",
		".htpasswd",	"master.key",  "wallet.dat", NULL};
	static const char *const globs[] = {
		"*.pem",     "*.key",	  "*.p12",
		"*.pfx",     "*.jks",	  "*.keystore",
		"*.kdbx",    "*.ppk",	  ".env.*",
		"secrets.*", "secret.*",  "credentials.*",
		"*_rsa",     "*_ed25519", "service-account*.json",
		"*.asc",     NULL};
	static const char *const harmless[] = {
		"*.example", "*.sample", "*.template", "*.dist", "*.pub", NULL};
	char copy[4096];
	const char *name;
	size_t length;

	snprintf(copy, sizeof(copy), "%s", path);
	length = strlen(copy);
	while (length > 1 && copy[length - 1] == '/')
		copy[--length] = '\0';
	name = shell_basename(copy);
	length = strlen(name);
	for (size_t i = 0; harmless[i]; i++)
		if (glob_match(harmless[i], strlen(harmless[i]), name, length))
			return false;
	if (shell_is_among(name, names) || strstr(copy, ".kube/config") ||
	    strstr(copy, ".docker/config.json") || strstr(copy, ".ssh/id_"))
		return strcmp(name, "shadow") || strstr(copy, "etc/shadow");
	for (size_t i = 0; globs[i]; i++)
		if (glob_match(globs[i], strlen(globs[i]), name, length))
			return true;
	return false;
}

/* Does it read a secret file, or the environment? */
static bool reads_secret(const struct shell_command *command)
{
	static const char *const dumpers[] = {"env", "printenv", NULL};
	static const char *const exports[] = {"--export-secret-keys",
					      "--export-secret-subkeys", NULL};
	const char *program = shell_program(command);

	if (shell_is_among(program, dumpers) && command->word_count == 1)
		return true;
	if (!strcmp(program, "gpg") && has(command, exports))
		return true;
	for (size_t i = 0; i < command->redirect_count; i++)
		if (command->redirects[i].kind == SHELL_REDIRECT_READ &&
		    is_secret_path(command->redirects[i].target))
			return true;
	if (shell_is_among(program, senders) && strcmp(program, "openssl"))
		return false; /* their words are looked at elsewhere */
	for (size_t i = 1; i < command->word_count; i++)
		if (is_secret_path(command->words[i].text))
			return true;
	return false;
}

static bool is_sender(const struct shell_command *command)
{
	const char *program = shell_program(command);

	return shell_is_among(program, senders) &&
	       (strcmp(program, "openssl") || is_net_tool(command));
}

/* `@FILE`, `name=@FILE`, and the file itself behind an option for files. */
static bool uploads_secret(const struct shell_command *command)
{
	static const char *const files[] = {"-T", "--upload-file",
					    "--post-file", "--body-file", NULL};
	const char *program = shell_program(command);

	if (!shell_is_among(program, fetchers))
		return false;
	for (size_t i = 1; i < command->word_count; i++) {
		const char *word = command->words[i].text;
		const char *at = strchr(word, '@');
		const char *equals = strchr(word, '=');

		if (at && (at == word || at[-1] == '=' || word[0] == '-') &&
		    is_secret_path(at + 1))
			return true;
		if (shell_is_among(word, files) &&
		    i + 1 < command->word_count &&
		    is_secret_path(command->words[i + 1].text))
			return true;
		if (!strncmp(word, "-T", 2) && is_secret_path(word + 2))
			return true;
		if (equals &&
		    (!strncmp(word, "--post-file=", 12) ||
		     !strncmp(word, "--body-file=", 12) ||
		     !strncmp(word, "--upload-file=", 14)) &&
		    is_secret_path(equals + 1))
			return true;
	}
	return false;
}

static bool is_remote(const char *word)
{
	const char *colon = strchr(word, ':');
	const char *slash = strchr(word, '/');

	return colon && colon != word && (!slash || colon < slash);
}

static bool copies_secret(const struct shell_command *command)
{
	static const char *const copiers[] = {"scp", "rsync", "sftp", "rclone",
					      NULL};
	static const char *const valued[] = {"-i", "-F", "-e",	  "-o",
					     "-P", "-S", "--rsh", NULL};
	bool secret = false, remote = false;

	if (!shell_is_among(shell_program(command), copiers))
		return false;
	for (size_t i = 1; i < command->word_count; i++) {
		const char *word = command->words[i].text;

		if (shell_is_among(word, valued)) {
			i++;
			continue;
		}
		if (word[0] == '-')
			continue;
		remote = remote || is_remote(word);
		secret = secret || (!is_remote(word) && is_secret_path(word));
	}
	return secret && remote;
}

static bool send_secret(const struct shell *shell)
{
	for (size_t i = 0; shell_goes_on(shell, i); i++) {
		const struct shell_command *command = &shell->commands[i];

		if (uploads_secret(command) || copies_secret(command))
			return true;
		for (size_t j = 0; j < command->redirect_count; j++)
			if (is_network_path(command->redirects[j].target) &&
			    reads_secret(command))
				return true;
		if (!is_sender(command))
			continue;
		if (reads_secret(command) ||
		    any_before(shell, (int)i, reads_secret) ||
		    any_substituted(shell, (int)i, reads_secret))
			return true;
	}
	return false;
}

static bool hide_secret(const struct shell *shell)
{
	static const char *const encoders[] = {"base64",   "base32",  "xxd",
					       "od",	   "hexdump", "hd",
					       "uuencode", "openssl", NULL};
	static const char *const codes[] = {"enc", "base64", NULL};

	for (size_t i = 0; shell_goes_on(shell, i); i++) {
		const struct shell_command *command = &shell->commands[i];
		const char *program = shell_program(command);

		if (!shell_is_among(program, encoders) || is_decoder(command) ||
		    (!strcmp(program, "openssl") && !has(command, codes)))
			continue;
		if (reads_secret(command) ||
		    any_before(shell, (int)i, reads_secret))
			return true;
	}
	return false;
}

/* ---- names as a channel */

static bool any_command(const struct shell_command *command)
{
	return command->word_count > 0;
}

static bool dns_tunnel(const struct shell *shell)
{
	static const char *const askers[] = {"dig",   "nslookup", "host",
					     "drill", "delv",	  "kdig",
					     "ping",  NULL};

	for (size_t i = 0; shell_goes_on(shell, i); i++) {
		const struct shell_command *command = &shell->commands[i];

		if (!shell_is_among(shell_program(command), askers))
			continue;
		if (any_substituted(shell, (int)i, any_command))
			return true;
		for (size_t j = 1; j < command->word_count; j++)
			if (command->words[j].dynamic &&
			    forms_names_carry(shell, command->words[j].text))
				return true;
	}
	return false;
}

/* ---- hidden commands */

static bool hidden_command(const struct shell *shell)
{
	for (size_t i = 0; shell_goes_on(shell, i); i++)
		if (shell->commands[i].decoded)
			return true;
	return runs_output_of(shell, is_decoder);
}

bool form_holds(enum form form, const struct shell *shell)
{
	switch (form) {
	case FORM_NONE:
		return false;
	case FORM_AS_OTHER_USER:
		return as_other_user(shell);
	case FORM_PRELOAD:
		return shell->has_preload;
	case FORM_DOWNLOAD_AND_RUN:
		return runs_output_of(shell, is_fetcher) ||
		       saves_and_runs(shell);
	case FORM_REVERSE_SHELL:
		return reverse_shell(shell);
	case FORM_SEND_SECRET:
		return send_secret(shell);
	case FORM_HIDE_SECRET:
		return hide_secret(shell);
	case FORM_DNS_TUNNEL:
		return dns_tunnel(shell);
	case FORM_HIDDEN_COMMAND:
		return hidden_command(shell);
	case FORM_REMOVE_ALL:
		return forms_files_remove_all(shell);
	case FORM_WRITE_DEVICE:
		return forms_files_write_device(shell);
	case FORM_FORK_BOMB:
		return shell->has_fork_bomb;
	}
	return false;
}
