#include "toolcall/shell_parts.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define WORDS_MAX 32768

struct shell *shell_free(struct shell *shell)
{
	if (!shell)
		return NULL;
	for (size_t i = 0; i < shell->count; i++) {
		struct shell_command *command = &shell->commands[i];

		for (size_t j = 0; j < command->word_count; j++)
			free(command->words[j].text);
		for (size_t j = 0; j < command->redirect_count; j++)
			free(command->redirects[j].target);
		free(command->words);
		free(command->redirects);
	}
	free(shell->commands);
	free(shell);
	return NULL;
}

int shell_command_add(struct shell_state *state, struct shell_command **ret)
{
	struct shell *shell = state->shell;
	struct shell_command *grown;

	if (shell->count >= SHELL_COMMANDS_MAX)
		return SHELL_TOO_COMPLEX;
	/* By powers of two. */
	if (!(shell->count & (shell->count - 1))) {
		size_t room = shell->count ? shell->count * 2 : 1;

		grown = realloc(shell->commands, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		shell->commands = grown;
	}
	*ret = &shell->commands[shell->count++];
	**ret = (struct shell_command){
		.reads_from = -1,
		.feeds = -1,
		.part_of = -1,
	};
	return 0;
}

int shell_word_add(struct shell_command *command, const char *text,
		   bool dynamic)
{
	struct shell_word *grown;

	if (command->word_count >= WORDS_MAX)
		return SHELL_TOO_COMPLEX;
	if (!(command->word_count & (command->word_count - 1))) {
		size_t room = command->word_count ? command->word_count * 2 : 1;

		grown = realloc(command->words, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		command->words = grown;
	}
	command->words[command->word_count] = (struct shell_word){
		.text = strdup(text),
		.dynamic = dynamic,
	};
	if (!command->words[command->word_count].text)
		return -ENOMEM;
	command->word_count++;
	return 0;
}

int shell_redirect_add(struct shell_state *state, int command,
		       enum shell_redirect_kind kind, const char *target,
		       size_t length)
{
	struct shell_command *owner = &state->shell->commands[command];
	struct shell_redirect *grown;

	if (owner->redirect_count >= 64)
		return SHELL_TOO_COMPLEX;
	grown = realloc(owner->redirects,
			(owner->redirect_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	owner->redirects = grown;
	grown[owner->redirect_count] = (struct shell_redirect){
		.kind = kind,
		.target = strndup(target, length),
	};
	if (!grown[owner->redirect_count].target)
		return -ENOMEM;
	owner->redirect_count++;
	return 0;
}

int shell_variable_set(struct shell_state *state, const char *assignment,
		       bool dynamic)
{
	const char *equals = strchr(assignment, '=');
	size_t length = (size_t)(equals - assignment);
	struct shell_variable *variable = NULL;
	char *value;

	if (length && equals[-1] == '+') {
		length--;
		dynamic = true; /* not worth following */
	}
	for (size_t i = 0; i < state->variable_count; i++)
		if (strlen(state->variables[i].name) == length &&
		    !strncmp(state->variables[i].name, assignment, length))
			variable = &state->variables[i];
	if (!variable) {
		if (state->variable_count == SHELL_VARIABLES_MAX)
			return 0; /* then it is not known */
		variable = &state->variables[state->variable_count];
		variable->name = strndup(assignment, length);
		if (!variable->name)
			return -ENOMEM;
		variable->value = NULL;
		state->variable_count++;
	}
	value = dynamic ? NULL : strdup(equals + 1);
	if (!value && !dynamic)
		return -ENOMEM;
	free(variable->value);
	variable->value = value;
	return 0;
}

const char *shell_variable_get(const struct shell_state *state,
			       const char *name, size_t length)
{
	for (size_t i = 0; i < state->variable_count; i++)
		if (strlen(state->variables[i].name) == length &&
		    !strncmp(state->variables[i].name, name, length))
			return state->variables[i].value;
	/* Whatever it is for others, to rules it is this. */
	return length == 4 && !strncmp(name, "HOME", 4) ? "~" : NULL;
}

void shell_variables_free(struct shell_state *state)
{
	for (size_t i = 0; i < state->variable_count; i++) {
		free(state->variables[i].name);
		free(state->variables[i].value);
	}
	state->variable_count = 0;
}

static int digits(const char **at, const char *end, int base, int most)
{
	int value = 0;

	for (int i = 0; i < most && *at < end; i++, (*at)++) {
		int c = tolower((unsigned char)**at);
		int digit = isdigit(c) ? c - '0' : c >= 'a' ? c - 'a' + 10 : 99;

		if (digit >= base)
			break;
		value = value * base + digit;
	}
	return value;
}

char shell_escape(const char **at, const char *end)
{
	char c = *(*at)++;

	switch (c) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	case 'e':
		return '\033';
	case 'x':
		return (char)digits(at, end, 16, 2);
	case 'u':
		return (char)digits(at, end, 16, 4);
	case 'U':
		return (char)digits(at, end, 16, 8);
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
		(*at)--;
		return (char)digits(at, end, 8, c == '0' ? 4 : 3);
	default:
		return c;
	}
}

const char *shell_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

const char *shell_program(const struct shell_command *command)
{
	return command->word_count ? shell_basename(command->words[0].text)
				   : "";
}

static bool is_among(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(word, *list))
			return true;
	return false;
}

bool shell_is_shell(const char *program)
{
	static const char *const shells[] = {
		"sh",  "bash", "zsh",  "dash",	"ksh",	"mksh", "ash",
		"csh", "tcsh", "fish", "rbash", "yash", NULL,
	};

	return is_among(program, shells);
}

bool shell_is_interpreter(const char *program)
{
	static const char *const others[] = {
		"perl", "ruby", "node",	 "nodejs",    "deno", "bun",
		"php",	"lua",	"tclsh", "osascript", "pwsh", NULL,
	};

	return shell_is_shell(program) || is_among(program, others) ||
	       !strncmp(program, "python", 6) || !strncmp(program, "pypy", 4);
}
