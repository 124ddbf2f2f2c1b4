/*
 * connections - how long a connect() takes, and how many there are a second
 *
 *   connections serve PORT                    accept and close, for ever
 *   connections connect HOST PORT SECONDS     one after the other
 *
 * connect prints the median and the 99th percentile in microseconds, and the
 * number a second.  Connections end by reset, so that none is left waiting.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_MAX 2000000

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void must(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
}

static struct sockaddr_in address_of(const char *host, const char *port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
	};

	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		exit(2);
	return address;
}

static void serve(const char *port)
{
	const struct sockaddr_in address = address_of("0.0.0.0", port);
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	must(bind(listener, (const struct sockaddr *)&address, sizeof(address)),
	     "bind");
	must(listen(listener, 4096), "listen");
	puts("ready");
	fflush(stdout);
	for (;;)
		close(accept(listener, NULL, NULL));
}

static int64_t connect_once(const struct sockaddr_in *address)
{
	const struct linger at_once = {.l_onoff = 1};
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t begin_ns = now_ns(), took_ns;

	must(connect(client, (const struct sockaddr *)address,
		     sizeof(*address)),
	     "connect");
	took_ns = now_ns() - begin_ns;
	setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(client);
	return took_ns;
}

static int by_value(const void *a, const void *b)
{
	const int64_t *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

static void measure(const char *host, const char *port, double seconds)
{
	static int64_t samples[SAMPLES_MAX];
	const struct sockaddr_in address = address_of(host, port);
	int64_t begin_ns, end_ns;
	size_t count = 0;

	begin_ns = now_ns();
	while (now_ns() - begin_ns < 200000000)
		connect_once(&address);
	begin_ns = now_ns();
	end_ns = begin_ns + (int64_t)(seconds * 1e9);
	while (count < SAMPLES_MAX && now_ns() < end_ns)
		samples[count++] = connect_once(&address);
	end_ns = now_ns();
	qsort(samples, count, sizeof(samples[0]), by_value);
	printf("%.2f %.2f %.0f\n", (double)samples[count / 2] / 1e3,
	       (double)samples[count - count / 100 - 1] / 1e3,
	       (double)count / ((double)(end_ns - begin_ns) / 1e9));
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve(argv[2]);
	if (argc != 5 || strcmp(argv[1], "connect"))
		return 2;
	measure(argv[2], argv[3], atof(argv[4]));
	return 0;
}
