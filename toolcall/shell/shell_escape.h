#pragma once

/*
 * shell_escape - the character behind a backslash, as $'..' and printf have it
 *
 * *at is behind the backslash and before end, and moves behind what was read.
 */
char shell_escape(const char **at, const char *end);
