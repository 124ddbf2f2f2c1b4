#include "gatekeeper/power.h"

#include <dirent.h>
#include <stdio.h>

#include "gatekeeper/base/fd.h"

#define SUPPLIES "/sys/class/power_supply"

static bool says(const char *supply, const char *file, char first)
{
	char path[512], text[64];

	snprintf(path, sizeof(path), SUPPLIES "/%s/%s", supply, file);
	return fd_read_path(path, text, sizeof(text)) > 0 && text[0] == first;
}

bool power_is_plentiful(void)
{
	DIR *supplies = opendir(SUPPLIES);
	bool battery = false, on_line = false;
	const struct dirent *entry;

	if (!supplies)
		return true;
	while ((entry = readdir(supplies))) {
		if (entry->d_name[0] == '.')
			continue;
		battery = battery || says(entry->d_name, "type", 'B');
		on_line = on_line || says(entry->d_name, "online", '1');
	}
	closedir(supplies);
	return !battery || on_line;
}
