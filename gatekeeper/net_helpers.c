#include "gatekeeper/net_helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/wire/dns_link.h"
#include "gatekeeper/wire/message.h"
#include "gatekeeper/wire/net_memory.h"

#define PRIORITY (-5)

static int make_memory(int *ret)
{
	CLEANUP(fd_close)
	int fd = memfd_create("leash-net", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint64_t seed;

	if (fd < 0 || ftruncate(fd, sizeof(struct net_memory)) < 0 ||
	    getrandom(&seed, sizeof(seed), 0) < 0 ||
	    pwrite(fd, &seed, sizeof(seed),
		   offsetof(struct net_memory, hash_seed)) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	*ret = STEAL_FD(fd);
	return 0;
}

int net_helpers_init(struct net_helpers *helpers,
		     const struct net_helpers_setup *setup)
{
	*helpers = (struct net_helpers){
		.setup = *setup,
		.gate = HELPER_EMPTY,
		.dns = HELPER_EMPTY,
		.memory = -1,
	};
	return make_memory(&helpers->memory);
}

void net_helpers_end(struct net_helpers *helpers)
{
	helper_kill(&helpers->gate);
	helper_reap(&helpers->gate);
	helper_kill(&helpers->dns);
	helper_reap(&helpers->dns);
}

void net_helpers_done(struct net_helpers *helpers)
{
	net_helpers_end(helpers);
	helpers->memory = fd_close(helpers->memory);
}

static int start_gate(struct net_helpers *helpers,
		      const struct policy_header *header, int dns)
{
	/* The last only until it has made /proc its root. */
	static const int capabilities[] = {
		CAP_NET_ADMIN,
		CAP_SYS_PTRACE,
		CAP_DAC_READ_SEARCH,
		CAP_SYS_CHROOT,
	};
	char program[4096];
	char *arguments[] = {(char *)"leash-nfqueue", NULL};
	const int fds[] = {
		helpers->setup.wake,
		helpers->setup.channel_fd,
		helpers->memory,
		dns,
	};
	const struct helper_spec spec = {
		.program = program,
		.arguments = arguments,
		.uid = header->user_uid,
		.gid = header->user_gid,
		.capabilities = capabilities,
		.capability_count = 4,
		.fds = fds,
		.fd_count = 4,
		.priority = PRIORITY,
	};

	snprintf(program, sizeof(program), "%s/leash-nfqueue",
		 helpers->setup.helpers_dir);
	return helper_start(&spec, &helpers->gate);
}

static int start_dns(struct net_helpers *helpers,
		     const struct policy_header *header, int gate)
{
	char program[4096];
	char *arguments[] = {(char *)"leash-dns", NULL};
	const struct helper_spec spec = {
		.program = program,
		.arguments = arguments,
		.uid = header->user_uid,
		.gid = header->user_gid,
		.fds = &gate,
		.fd_count = 1,
		.priority = PRIORITY,
	};

	snprintf(program, sizeof(program), "%s/leash-dns",
		 helpers->setup.helpers_dir);
	return helper_start(&spec, &helpers->dns);
}

static int make_link(int ret_ends[2])
{
	int bytes = DNS_LINK_BUFFER_BYTES;
	int r = message_pair(ret_ends);

	/* Without it fewer packets can be held at once, which is no failure. */
	for (int i = 0; !r && i < 2; i++)
		if (setsockopt(ret_ends[i], SOL_SOCKET, SO_SNDBUFFORCE, &bytes,
			       sizeof(bytes)))
			errno = 0;
	return r;
}

int net_helpers_start(struct net_helpers *helpers,
		      const struct policy_header *header)
{
	CLEANUP(fd_close) int gate = -1;
	CLEANUP(fd_close) int dns = -1;
	int ends[2];
	int r = make_link(ends);

	if (r)
		return r;
	gate = ends[0];
	dns = ends[1];
	r = start_dns(helpers, header, dns);
	if (!r)
		r = start_gate(helpers, header, gate);
	if (r)
		net_helpers_end(helpers);
	return r;
}
