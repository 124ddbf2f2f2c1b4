/*
 * Whose a socket is: the kernel's own word (sock_diag) about sockets that this
 * process has made on the loopback, of which none is ever cut.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/system/process.h"
#include "nfqueue/socket_owner.h"
#include "tests/unit/made_policy.h"

struct bed {
	int proc;
	struct socket_owner *owner;
	struct policy *policy;
	uint32_t account; /* that this process is of */
	int listener, client, server;
	struct packet packet; /* as the client would send it */
};

static struct bed bed;

/* A policy in which whoever runs this is an account. */
static void make_policy(void)
{
	struct made_policy made;

	made_policy_begin(&made);
	bed.account = getuid() == MADE_POLICY_UID
			      ? made.puppy
			      : made_policy_account(&made, "me", getuid());
	made_policy_end(&made, 1);
	bed.policy = made.policy;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in address;
	socklen_t size = sizeof(address);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size),
			 0);
	return ntohs(address.sin_port);
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static int bound(int type)
{
	struct sockaddr_in address = loopback(0);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)),
			 0);
	return fd;
}

static struct packet packet_of(int from, uint16_t to)
{
	return (struct packet){
		.protocol = POLICY_PROTOCOL_TCP,
		.ip_protocol = IPPROTO_TCP,
		.source = made_policy_address("127.0.0.1"),
		.destination = made_policy_address("127.0.0.1"),
		.source_port = port_of(from),
		.destination_port = to,
	};
}

static int begin(void **state)
{
	struct sockaddr_in address;

	(void)state;
	bed.proc = process_open_proc();
	assert_true(bed.proc >= 0);
	assert_int_equal(socket_owner_new(bed.proc, &bed.owner), 0);
	make_policy();
	bed.listener = bound(SOCK_STREAM);
	assert_int_equal(listen(bed.listener, 1), 0);
	address = loopback(port_of(bed.listener));
	bed.client = bound(SOCK_STREAM);
	assert_int_equal(connect(bed.client, (struct sockaddr *)&address,
				 sizeof(address)),
			 0);
	bed.server = accept4(bed.listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(bed.server >= 0);
	bed.packet = packet_of(bed.client, port_of(bed.listener));
	return 0;
}

static int end(void **state)
{
	(void)state;
	fd_close(bed.client);
	fd_close(bed.server);
	fd_close(bed.listener);
	socket_owner_free(bed.owner);
	policy_free(bed.policy);
	fd_close(bed.proc);
	return 0;
}

static uint64_t inode_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static void finds(void **state)
{
	struct socket_found found = {.uid = 77};
	struct packet other = bed.packet;

	(void)state;
	assert_int_equal(socket_owner_find(bed.owner, &bed.packet, &found), 0);
	assert_int_equal(found.uid, getuid());
	assert_int_equal(found.inode, inode_of(bed.client));
	assert_int_equal(found.unacknowledged, 0);
	/* The other side is another socket. */
	other.source_port = bed.packet.destination_port;
	other.destination_port = bed.packet.source_port;
	assert_int_equal(socket_owner_find(bed.owner, &other, &found), 0);
	assert_int_equal(found.inode, inode_of(bed.server));
	found.uid = 77;
	other.source = made_policy_address("127.0.0.99");
	assert_int_equal(socket_owner_find(bed.owner, &other, &found),
			 SOCKET_OWNER_NONE);
	assert_int_equal(found.uid, 77); /* untouched */
	other = bed.packet;
	other.source_port = 0;
	assert_int_equal(socket_owner_find(bed.owner, &other, &found),
			 SOCKET_OWNER_NONE);
}

static void finds_datagrams(void **state)
{
	CLEANUP(fd_close) int fd = bound(SOCK_DGRAM);
	struct packet packet = packet_of(fd, 9);
	struct socket_found found;

	(void)state;
	packet.protocol = POLICY_PROTOCOL_UDP;
	packet.ip_protocol = IPPROTO_UDP;
	assert_int_equal(socket_owner_find(bed.owner, &packet, &found), 0);
	assert_int_equal(found.inode, inode_of(fd));
}

/* Bytes that the other side has no room for have not arrived. */
static void tells_what_has_not_arrived(void **state)
{
	static char much[1 << 20];
	struct socket_found found;
	ssize_t n, sum = 0;

	(void)state;
	while ((n = send(bed.client, much, sizeof(much), MSG_DONTWAIT)) > 0)
		sum += n;
	assert_int_equal(socket_owner_find(bed.owner, &bed.packet, &found), 0);
	assert_in_range(found.unacknowledged, 1, sum);
}

static struct socket_process process_of(uint64_t inode, bool all)
{
	struct socket_process process = {.pid = 99};

	socket_owner_process(bed.owner, bed.policy, bed.account, &bed.packet,
			     inode, all, &process);
	return process;
}

static void finds_processes(void **state)
{
	uint64_t inode = inode_of(bed.client);
	struct socket_process process;
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	(void)state;
	assert_true(n > 0);
	self[n] = '\0';
	for (int i = 0; i < 3; i++) { /* then as one found lately */
		process = process_of(inode, i == 2);
		assert_int_equal(process.pid, getpid());
		assert_int_equal(process.parent_pid, getppid());
		assert_false(process.several);
		assert_string_equal(process.program, self);
	}
	/* By another of its descriptors. */
	fd_close(bed.client);
	bed.client = dup(bed.server);
	bed.packet = packet_of(bed.server, port_of(bed.client));
	process = process_of(inode, false);
	assert_int_equal(process.pid, 0); /* it is gone */
	assert_string_equal(process.program, "");
	process = process_of(inode_of(bed.server), true);
	assert_int_equal(process.pid, getpid());
	process = process_of(0, true);
	assert_int_equal(process.pid, 0);
}

/* Nobody else's descriptors are looked through. */
static void not_of_others(void **state)
{
	struct socket_process process = {.pid = 99};
	struct made_policy made;

	(void)state;
	made_policy_begin(&made);
	made_policy_account(&made, "other", getuid() + 1);
	made_policy_end(&made, 1);
	socket_owner_process(bed.owner, made.policy, 1, &bed.packet,
			     inode_of(bed.client), true, &process);
	assert_int_equal(process.pid, 0);
	policy_free(made.policy);
}

/* Two processes that hold it run one program, or they do not. */
static void several_processes(void **state)
{
	uint64_t inode = inode_of(bed.client);
	pid_t same = fork(), other;

	(void)state;
	if (same == 0)
		for (;;)
			pause();
	assert_false(process_of(inode, true).several);
	other = fork();
	if (other == 0) {
		dup2(bed.client, 100); /* which an exec leaves open */
		execl("/bin/sleep", "sleep", "100", (char *)NULL);
		_exit(1);
	}
	for (int i = 0; i < 2000 && !process_of(inode, true).several; i++)
		usleep(10000);
	assert_true(process_of(inode, true).several);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	kill(same, SIGKILL);
	waitpid(same, NULL, 0);
	assert_false(process_of(inode, true).several);
}

struct seen {
	int of_client, of_server, of_datagrams, wrong;
	uint16_t datagrams;
};

/* Nothing is ever cut here. */
static bool look(void *context, uint32_t uid, const struct packet *packet)
{
	struct seen *seen = context;

	seen->wrong += packet->destination_port == 0;
	if (uid != getuid())
		return false;
	if (packet->protocol == POLICY_PROTOCOL_UDP)
		seen->of_datagrams += packet->source_port == seen->datagrams;
	else if (packet->source_port == bed.packet.source_port)
		seen->of_client +=
			!memcmp(&packet->destination, &bed.packet.destination,
				16) &&
			packet->destination_port == bed.packet.destination_port;
	else
		seen->of_server +=
			packet->source_port == bed.packet.destination_port;
	return false;
}

/* A connection that was begun is looked at; one that was accepted is not. */
static void looks_at_connections(void **state)
{
	CLEANUP(fd_close) int fd = bound(SOCK_DGRAM);
	CLEANUP(fd_close) int idle = bound(SOCK_DGRAM);
	struct sockaddr_in address = loopback(port_of(idle));
	struct seen seen = {.datagrams = port_of(fd)};

	(void)state;
	assert_int_equal(
		connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(socket_owner_cut(bed.owner, look, &seen), 0);
	assert_int_equal(seen.of_client, 1);
	assert_int_equal(seen.of_server, 0);
	assert_int_equal(seen.of_datagrams, 1);
	assert_int_equal(seen.wrong, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(finds),
		CASE(finds_datagrams),
		CASE(tells_what_has_not_arrived),
		CASE(finds_processes),
		CASE(not_of_others),
		CASE(several_processes),
		CASE(looks_at_connections),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
