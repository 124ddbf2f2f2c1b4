#include "gatekeeper/system/forker.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

/* Who asks waits until it is done: there is never more than one request. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool lives;
	bool asked;
	int (*run)(void *context);
	void *context;
	pid_t pid;
} forker = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
};

static pid_t fork_here(int (*run)(void *context), void *context)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(run(context));
	return pid < 0 ? -errno : pid;
}

__attribute__((noreturn)) static void *serve(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&forker.lock);
	for (;;) {
		while (!forker.asked)
			pthread_cond_wait(&forker.changed, &forker.lock);
		forker.pid = fork_here(forker.run, forker.context);
		forker.asked = false;
		pthread_cond_broadcast(&forker.changed);
	}
}

int forker_start(void)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, serve, NULL);

	if (r)
		return -r;
	pthread_detach(thread);
	forker.lives = true;
	return 0;
}

pid_t forker_fork(int (*run)(void *context), void *context)
{
	pid_t pid;

	if (!forker.lives)
		return fork_here(run, context);
	pthread_mutex_lock(&forker.lock);
	forker.run = run;
	forker.context = context;
	forker.asked = true;
	pthread_cond_broadcast(&forker.changed);
	while (forker.asked)
		pthread_cond_wait(&forker.changed, &forker.lock);
	pid = forker.pid;
	pthread_mutex_unlock(&forker.lock);
	return pid;
}
