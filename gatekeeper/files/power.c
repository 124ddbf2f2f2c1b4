#include "gatekeeper/files/power.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"

int power_open(void)
{
	return open("/sys/class/power_supply",
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool says(int supplies, const char *supply, const char *file, char first)
{
	char path[512], text[64];

	snprintf(path, sizeof(path), "%s/%s", supply, file);
	return fd_read_at(supplies, path, text, sizeof(text)) > 0 &&
	       text[0] == first;
}

bool power_is_plentiful(int supplies)
{
	bool battery = false, on_line = false;
	const struct dirent *entry;
	DIR *list = NULL;
	int again = supplies < 0 ? -1
				 : openat(supplies, ".",
					  O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (again >= 0)
		list = fdopendir(again);
	if (!list) {
		fd_close(again);
		return true;
	}
	while ((entry = readdir(list))) {
		if (entry->d_name[0] == '.')
			continue;
		battery = battery || says(supplies, entry->d_name, "type", 'B');
		on_line =
			on_line || says(supplies, entry->d_name, "online", '1');
	}
	closedir(list);
	return !battery || on_line;
}
