#include "gatekeeper/policy/host_name.h"

#include <string.h>

/* Its lower case, or 0 for what no label holds. */
static char fold(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	    c == '_')
		return c;
	return 0;
}

int host_name_read(const char *text, size_t length,
		   char ret[static HOST_NAME_SIZE])
{
	size_t label = 0;

	if (length && text[length - 1] == '.')
		length--;
	if (!length || length >= HOST_NAME_SIZE)
		return HOST_NAME_ODD;
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '.') {
			if (!label)
				return HOST_NAME_ODD;
			label = 0;
			ret[i] = '.';
			continue;
		}
		ret[i] = fold(text[i]);
		if (!ret[i] || ++label > HOST_LABEL_MAX)
			return HOST_NAME_ODD;
	}
	ret[length] = '\0';
	return label ? 0 : HOST_NAME_ODD;
}

const char *host_name_parent(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot ? dot + 1 : NULL;
}
