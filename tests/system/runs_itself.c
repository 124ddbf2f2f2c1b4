/*
 * runs_itself - runs itself once more, and sleeps
 *
 * Static, so it opens nothing: no gate hears of it after it was run.
 */

#include <stddef.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char *again[] = {argv[0], (char *)"sleep", NULL};
	char *environment[] = {NULL};

	if (argc < 2)
		execve(argv[0], again, environment);
	pause();
	return 0;
}
