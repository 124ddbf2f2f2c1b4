#include "toolcall/commands/forms_files.h"

#include <stdio.h>
#include <string.h>

#include "gatekeeper/policy/glob.h"
#include "toolcall/commands/written_files.h"

/* Lexically, `~` as it is; "/" or "~" or ".." is what is left of too much. */
static void normalise(const char *path, char ret[static 4096])
{
	char *parts[256];
	size_t count = 0, length = 0;
	char copy[4096], *save = NULL;
	bool absolute = path[0] == '/';

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *part = strtok_r(copy, "/", &save); part && count < 256;
	     part = strtok_r(NULL, "/", &save)) {
		if (!strcmp(part, "."))
			continue;
		if (strcmp(part, "..")) {
			parts[count++] = part;
			continue;
		}
		if (count && strcmp(parts[count - 1], ".."))
			count--;
		else if (!absolute)
			parts[count++] = part;
	}
	ret[0] = '\0';
	for (size_t i = 0; i < count; i++)
		length += (size_t)snprintf(ret + length, 4096 - length, "%s%s",
					   absolute || i ? "/" : "", parts[i]);
	if (!count)
		snprintf(ret, 4096, "%s", absolute ? "/" : ".");
}

static bool is_not_ours(const char *path)
{
	static const char *const whole[] = {
		"/",	    "/*",	"~",	    "~/*",    "/bin",
		"/boot",    "/dev",	"/etc",	    "/home",  "/lib",
		"/lib64",   "/opt",	"/proc",    "/root",  "/sbin",
		"/srv",	    "/sys",	"/usr",	    "/var",   "/run",
		"/mnt",	    "/media",	"/home/*",  "/etc/*", "/usr/*",
		"/var/*",   "/root/*",	"/srv/*",   "/opt/*", "/boot/*",
		"/usr/bin", "/usr/lib", "/var/lib", "..",     "../*",
		"~/.ssh",   NULL};
	char normal[4096];

	normalise(path, normal);
	return shell_is_among(normal, whole) || !strncmp(normal, "../..", 5) ||
	       !strncmp(normal, "/etc/", 5) || !strncmp(normal, "/usr/", 5) ||
	       !strncmp(normal, "/boot/", 6);
}

static bool removes_deep(const struct shell_command *command)
{
	for (size_t i = 1; i < command->word_count; i++) {
		const char *word = command->words[i].text;

		if (!strcmp(word, "--recursive"))
			return true;
		if (word[0] == '-' && word[1] != '-' &&
		    (strchr(word, 'r') || strchr(word, 'R')))
			return true;
	}
	return false;
}

static bool find_removes(const struct shell_command *command)
{
	static const char *const removers[] = {"-delete", "rm", "shred",
					       "unlink", NULL};

	if (command->word_count < 2 || !is_not_ours(command->words[1].text))
		return false;
	for (size_t i = 2; i < command->word_count; i++)
		if (shell_is_among(command->words[i].text, removers))
			return true;
	return false;
}

bool forms_files_remove_all(const struct shell *shell)
{
	bool elsewhere = false;

	for (size_t i = 0; shell_goes_on(shell, i); i++) {
		const struct shell_command *command = &shell->commands[i];
		const char *program = shell_program(command);

		if (!strcmp(program, "cd") && command->word_count > 1)
			elsewhere = is_not_ours(command->words[1].text);
		if (!strcmp(program, "find") && find_removes(command))
			return true;
		if (strcmp(program, "rm") || !removes_deep(command))
			continue;
		for (size_t j = 1; j < command->word_count; j++) {
			const char *word = command->words[j].text;

			if (word[0] != '-' &&
			    (is_not_ours(word) ||
			     (elsewhere &&
			      (!strcmp(word, "*") || !strcmp(word, ".") ||
			       !strcmp(word, "./*")))))
				return true;
		}
	}
	return false;
}

static bool is_disk(void *context, const char *path)
{
	static const char *const disks[] = {
		"/dev/sd*",   "/dev/nvme*",   "/dev/vd*",      "/dev/hd*",
		"/dev/xvd*",  "/dev/mmcblk*", "/dev/dm-*",     "/dev/md*",
		"/dev/loop*", "/dev/disk/*",  "/dev/mapper/*", NULL};

	(void)context;
	for (size_t i = 0; disks[i]; i++)
		if (glob_match(disks[i], strlen(disks[i]), path, strlen(path)))
			return true;
	return false;
}

bool forms_files_write_device(const struct shell *shell)
{
	for (size_t i = 0; shell_goes_on(shell, i); i++)
		if (written_files_any(&shell->commands[i], is_disk, NULL))
			return true;
	return false;
}
