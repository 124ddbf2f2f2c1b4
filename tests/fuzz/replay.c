/*
 * replay - run a fuzz target over a corpus without a fuzzer, as a test
 *
 * Every file is also tried cut short at several places and with single bytes
 * changed, so that each corpus file stands for some hundred inputs.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "tests/fuzz/fuzz.h"

#define VARIANTS 200

static void run_variants(const uint8_t *bytes, size_t size)
{
	uint32_t random = 12345;

	LLVMFuzzerTestOneInput(bytes, size);
	for (int i = 0; size && i < VARIANTS; i++) {
		uint8_t *copy = malloc(size);
		size_t cut = size;

		if (!copy)
			return;
		memcpy(copy, bytes, size);
		random = random * 1664525 + 1013904223;
		copy[random % size] ^= (uint8_t)(random >> 24 | 1);
		if (i % 4 == 0)
			cut = random % size;
		LLVMFuzzerTestOneInput(copy, cut);
		free(copy);
	}
}

int main(int argc, char **argv)
{
	struct dirent *entry;
	int count = 0;
	DIR *folder;

	if (argc != 2 || !(folder = opendir(argv[1])))
		return 2;
	while ((entry = readdir(folder))) {
		CLEANUP_FREE char *bytes = NULL;
		char path[4096];
		size_t size;
		int fd;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fd_read_all(fd, 1 << 20, &bytes, &size))
			return 2;
		fd_close(fd);
		run_variants((const uint8_t *)bytes, size);
		printf("ok %d - %s\n", ++count, entry->d_name);
	}
	closedir(folder);
	printf("1..%d\n", count);
	return count ? 0 : 1;
}
