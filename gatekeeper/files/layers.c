/*
 * lowerdir=ONE:TWO,upperdir=THREE,workdir=FOUR: folders may hold "\:" and "\,"
 * (and what mountinfo writes as \ooo, which is for the caller).  Kernels that
 * mount by fsconfig(2) write lowerdir+=ONE,lowerdir+=TWO,datadir+=THREE.
 */

#include "gatekeeper/files/layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct layers_kernel layers_kernel(const char *release)
{
	char *end;
	unsigned long major = strtoul(release, &end, 10);
	unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
	bool is_later = major > 6;

	return (struct layers_kernel){
		.asks_about_layers = is_later || (major == 6 && minor >= 5),
		.waits_for_itself = is_later || (major == 6 && minor >= 14),
	};
}

/* Behind the key of an option that names layers, or NULL. */
static const char *names_layers(const char *option)
{
	static const char *const keys[] = {
		"lowerdir=",
		"lowerdir+=",
		"datadir+=",
		"upperdir=",
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strncmp(option, keys[i], strlen(keys[i])))
			return option + strlen(keys[i]);
	return NULL;
}

/* Past the end of this option, which a backslash puts off. */
static const char *skip_option(const char *at)
{
	for (; *at && *at != ','; at++)
		if (*at == '\\' && at[1])
			at++;
	return *at ? at + 1 : at;
}

/* Copy one folder; yields where it ends. */
static const char *copy_folder(const char *at, char *ret, size_t size)
{
	size_t n = 0;

	for (; *at && *at != ',' && *at != ':'; at++) {
		if (*at == '\\' && at[1])
			at++;
		if (n < size)
			ret[n++] = *at;
	}
	ret[n < size ? n : 0] = '\0';
	return at;
}

bool layers_next(struct layers *layers, char *ret, size_t size)
{
	const char *at = layers->at;

	while (!layers->in_list && *at && !names_layers(at))
		at = skip_option(at);
	if (!*at)
		return false;
	at = copy_folder(layers->in_list ? at : names_layers(at), ret, size);
	layers->in_list = *at == ':';
	while (*at == ':') /* "::" stands before those that hold data alone */
		at++;
	layers->at = *at == ',' ? at + 1 : at;
	return true;
}
