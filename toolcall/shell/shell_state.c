#include "toolcall/shell/shell_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 32768

int shell_state_add_command(struct shell_state *state,
			    struct shell_command **ret)
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

int shell_state_count(struct shell_state *state, size_t length)
{
	state->sum += length;
	return state->sum > SHELL_SUM_MAX ||
			       effort_is_spent(state->shell->effort)
		       ? SHELL_TOO_COMPLEX
		       : 0;
}

int shell_state_add_word(struct shell_state *state,
			 struct shell_command *command, const char *text,
			 bool dynamic)
{
	struct shell_word *grown;
	int r = shell_state_count(state, strlen(text) + sizeof(*grown));

	if (r)
		return r;
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

int shell_state_add_redirect(struct shell_state *state, int command,
			     enum shell_redirect_kind kind, const char *target,
			     size_t length)
{
	struct shell_command *owner = &state->shell->commands[command];
	struct shell_redirect *grown;
	int r = shell_state_count(state, length + sizeof(*grown));

	if (r)
		return r;
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

int shell_state_set_variable(struct shell_state *state, const char *assignment,
			     bool dynamic)
{
	const char *equals = strchr(assignment, '=');
	size_t length = (size_t)(equals - assignment);
	struct shell_variable *variable = NULL;
	char *value;
	int r = shell_state_count(state, strlen(assignment));

	if (r)
		return r;

	if (length && equals[-1] == '+') {
		length--;
		dynamic = true; /* not worth following */
	}
	for (size_t i = 0; i < state->variable_count; i++)
		if (strlen(state->variables[i].name) == length &&
		    !strncmp(state->variables[i].name, assignment, length))
			variable = &state->variables[i];
	if (!variable) {
		if (state->variable_count == SHELL_STATE_VARIABLES_MAX)
			return 0; /* then it is not known */
		variable = &state->variables[state->variable_count];
		variable->name = strndup(assignment, length);
		if (!variable->name)
			return -ENOMEM;
		variable->value = NULL;
		state->variable_count++;
	}
	state->shell->has_unknown_variable |= dynamic;
	value = dynamic ? NULL : strdup(equals + 1);
	if (!value && !dynamic)
		return -ENOMEM;
	free(variable->value);
	variable->value = value;
	return 0;
}

const char *shell_state_variable(const struct shell_state *state,
				 const char *name, size_t length)
{
	for (size_t i = 0; i < state->variable_count; i++)
		if (strlen(state->variables[i].name) == length &&
		    !strncmp(state->variables[i].name, name, length))
			return state->variables[i].value;
	/* Whatever it is for others, to rules it is this. */
	return length == 4 && !strncmp(name, "HOME", 4) ? "~" : NULL;
}

void shell_state_done(struct shell_state *state)
{
	for (size_t i = 0; i < state->variable_count; i++) {
		free(state->variables[i].name);
		free(state->variables[i].value);
	}
	state->variable_count = 0;
}
