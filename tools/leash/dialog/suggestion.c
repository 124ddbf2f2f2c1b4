#include "tools/leash/dialog/suggestion.h"

#include <stdio.h>

#include "tools/leash/dialog/terminal.h"

void suggestion_add(struct suggestion *suggestion, const char *word,
		    const char *value)
{
	size_t room = sizeof(suggestion->words) / sizeof(suggestion->words[0]);

	if (suggestion->count + 2 > room)
		return;
	suggestion->words[suggestion->count++] = word;
	if (value)
		suggestion->words[suggestion->count++] = value;
}

void suggestion_print(const struct suggestion *suggestion)
{
	fputs("nothing was changed; leash", stdout);
	for (size_t i = 0; i < suggestion->count; i++)
		terminal_print_word(suggestion->words[i]);
	puts(" does it");
}
