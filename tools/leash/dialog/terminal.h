#pragma once

/*
 * terminal - what others have named, for a terminal
 */

/* A value, escaped, in a buffer that the next 8 calls reuse. */
const char *terminal_shown(const char *text);

/* Print a blank, and text as one word of a shell. */
void terminal_print_word(const char *text);
