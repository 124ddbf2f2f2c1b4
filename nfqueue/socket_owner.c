/*
 * An account's connections mostly come from the same few processes, so those
 * that were found last are looked at first.
 */

#include "nfqueue/socket_owner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/system/process.h"

#define RECENT_MAX    8
#define PROCESSES_MAX 4096
#define FDS_MAX	      65536
#define LISTENERS_MAX 1024
#define DOOMED_MAX    1024

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* Who was found lately, and by which of its descriptors. */
struct recent {
	pid_t pid; /* 0: empty */
	uint32_t parent_pid;
	char fd[12];
	char program[256]; /* "": too long to keep */
};

struct socket_owner {
	struct mnl_socket *diag; /* owned */
	unsigned int portid;
	uint32_t sequence;
	int proc;			 /* borrowed */
	struct program_reader *programs; /* owned */
	struct recent recent[RECENT_MAX];
	unsigned int recent_next;
	_Alignas(struct nlmsghdr) char buffer[16384];
};

int socket_owner_new(int proc, struct socket_owner **ret)
{
	CLEANUP(socket_owner_free)
	struct socket_owner *owner = calloc(1, sizeof(*owner));
	const struct timeval patience = {.tv_sec = 1};
	int r;

	if (!owner)
		return -ENOMEM;
	owner->proc = proc;
	r = program_reader_new(owner->proc, &owner->programs);
	if (r)
		return r;
	owner->diag = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (!owner->diag || mnl_socket_bind(owner->diag, 0, MNL_SOCKET_AUTOPID))
		return -errno;
	if (setsockopt(mnl_socket_get_fd(owner->diag), SOL_SOCKET, SO_RCVTIMEO,
		       &patience, sizeof(patience)))
		return -errno;
	owner->portid = mnl_socket_get_portid(owner->diag);
	*ret = STEAL(owner);
	return 0;
}

struct socket_owner *socket_owner_free(struct socket_owner *owner)
{
	if (!owner)
		return NULL;
	if (owner->diag)
		mnl_socket_close(owner->diag);
	program_reader_free(owner->programs);
	free(owner);
	return NULL;
}

static void put_address(bool is_ipv6, const struct policy_address *address,
			uint32_t ret[static 4])
{
	if (is_ipv6)
		memcpy(ret, address->bytes, sizeof(address->bytes));
	else
		memcpy(ret, address->bytes + sizeof(mapped), 4);
}

/*
 * For UDP, sock_diag looks for who would receive the packet, not for who has
 * sent it: source and destination change places.
 */
static struct inet_diag_sockid socket_id(const struct packet *packet)
{
	bool swapped = packet->protocol == POLICY_PROTOCOL_UDP ||
		       packet->protocol == POLICY_PROTOCOL_UDPLITE;
	struct inet_diag_sockid id = {
		.idiag_sport = htons(packet->source_port),
		.idiag_dport = htons(packet->destination_port),
		.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE},
	};

	put_address(packet->is_ipv6, &packet->source, id.idiag_src);
	put_address(packet->is_ipv6, &packet->destination, id.idiag_dst);
	if (swapped) {
		struct inet_diag_sockid other = id;

		other.idiag_sport = id.idiag_dport;
		other.idiag_dport = id.idiag_sport;
		memcpy(other.idiag_src, id.idiag_dst, sizeof(id.idiag_dst));
		memcpy(other.idiag_dst, id.idiag_src, sizeof(id.idiag_src));
		return other;
	}
	return id;
}

static int send_request(struct socket_owner *owner, uint16_t type,
			uint16_t flags, const struct inet_diag_req_v2 *request)
{
	_Alignas(struct nlmsghdr) char buffer[256];
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct inet_diag_req_v2 *body;

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	message->nlmsg_seq = ++owner->sequence;
	body = mnl_nlmsg_put_extra_header(message, sizeof(*body));
	*body = *request;
	return mnl_socket_sendto(owner->diag, message, message->nlmsg_len) < 0
		       ? -errno
		       : 0;
}

/* Receive what answers the last request; late answers are passed over. */
static int receive(struct socket_owner *owner, mnl_cb_t callback, void *context)
{
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(owner->diag, owner->buffer,
						sizeof(owner->buffer));
		int r;

		if (n < 0)
			return -errno;
		errno = 0;
		r = mnl_cb_run(owner->buffer, (size_t)n, owner->sequence,
			       owner->portid, callback, context);
		if (r < 0 && (errno == EPROTO || errno == ESRCH))
			continue; /* of an older request */
		if (r < 0)
			return -errno;
		if (r == MNL_CB_STOP)
			return 0;
	}
}

static int take_found(const struct nlmsghdr *message, void *context)
{
	const struct inet_diag_msg *socket = mnl_nlmsg_get_payload(message);
	struct socket_found *found = context;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*socket))
		return MNL_CB_ERROR;
	*found = (struct socket_found){
		.uid = socket->idiag_uid,
		.inode = socket->idiag_inode,
		.unacknowledged = socket->idiag_wqueue,
	};
	return MNL_CB_STOP;
}

int socket_owner_find(struct socket_owner *owner, const struct packet *packet,
		      struct socket_found *ret)
{
	const struct inet_diag_req_v2 request = {
		.sdiag_family = packet->is_ipv6 ? AF_INET6 : AF_INET,
		.sdiag_protocol = packet->ip_protocol,
		.idiag_states = ~0u,
		.id = socket_id(packet),
	};
	int r;

	if (!packet->source_port)
		return SOCKET_OWNER_NONE;
	r = send_request(owner, SOCK_DIAG_BY_FAMILY, 0, &request);
	if (!r)
		r = receive(owner, take_found, ret);
	return r ? SOCKET_OWNER_NONE : 0;
}

static bool link_is(int folder, const char *name, const char *wanted)
{
	char link[64];
	ssize_t n = readlinkat(folder, name, link, sizeof(link) - 1);

	if (n <= 0)
		return false;
	link[n] = '\0';
	return !strcmp(link, wanted);
}

static void name_socket(uint64_t inode, char ret[static 64])
{
	snprintf(ret, 64, "socket:[%" PRIu64 "]", inode);
}

/* Does the process hold that socket?  Yields the descriptor's name. */
static bool holds(struct socket_owner *owner, pid_t pid, uint64_t inode,
		  int *budget, char ret_fd[static 12])
{
	char path[64], wanted[64];
	struct dirent *entry;
	bool found = false;
	DIR *folder;
	int fd;

	snprintf(path, sizeof(path), "%d/fd", (int)pid);
	name_socket(inode, wanted);
	fd = openat(owner->proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	folder = fdopendir(fd);
	if (!folder) {
		fd_close(fd);
		return false;
	}
	while (!found && (entry = readdir(folder)) && (*budget)-- > 0) {
		found = link_is(dirfd(folder), entry->d_name, wanted);
		if (found)
			snprintf(ret_fd, 12, "%.11s", entry->d_name);
	}
	closedir(folder);
	return found;
}

static void take_program(const struct program *program,
			 struct socket_process *ret)
{
	ret->program_known = program->known;
	strcpy(ret->program, program->text);
}

static void describe(struct socket_owner *owner, pid_t pid,
		     struct socket_process *ret)
{
	struct program program;
	struct process_ids ids;

	program_read(owner->programs, pid, &program);
	/*
	 * If a program is not known, its text says nothing: two of them may
	 * differ.
	 */
	if (ret->pid && (!program.known || strcmp(ret->program, program.text)))
		ret->several = true;
	if (ret->pid)
		return;
	ret->pid = pid;
	take_program(&program, ret);
	if (!process_ids_of(owner->proc, pid, &ids))
		ret->parent_pid = ids.parent_tgid;
}

static bool is_of_account(struct socket_owner *owner, pid_t pid,
			  const struct policy *policy, uint32_t account)
{
	char name[16];
	struct stat st;

	snprintf(name, sizeof(name), "%d", (int)pid);
	return fstatat(owner->proc, name, &st, 0) == 0 &&
	       policy_account_of(policy, st.st_uid) == account;
}

/* The same descriptor again, most often: the last was closed. */
static bool is_same_fd(struct socket_owner *owner, struct recent *recent,
		       uint64_t inode)
{
	char path[64], wanted[64];

	snprintf(path, sizeof(path), "%d/fd/%s", (int)recent->pid, recent->fd);
	name_socket(inode, wanted);
	return link_is(owner->proc, path, wanted);
}

static bool is_other_fd(struct socket_owner *owner, struct recent *recent,
			uint64_t inode)
{
	int budget = FDS_MAX;

	return holds(owner, recent->pid, inode, &budget, recent->fd);
}

static struct recent *find_recent(struct socket_owner *owner, uint64_t inode,
				  bool (*is_it)(struct socket_owner *owner,
						struct recent *recent,
						uint64_t inode))
{
	for (unsigned int i = 0; i < RECENT_MAX; i++)
		if (owner->recent[i].pid &&
		    is_it(owner, &owner->recent[i], inode))
			return &owner->recent[i];
	return NULL;
}

/* A short connection may be over before its process is looked for. */
static bool is_gone(struct socket_owner *owner, const struct packet *packet,
		    uint64_t inode)
{
	struct socket_found now;

	return socket_owner_find(owner, packet, &now) || now.inode != inode;
}

static bool look_at_recent(struct socket_owner *owner,
			   const struct packet *packet, uint64_t inode,
			   struct socket_process *ret)
{
	/*
	 * The descriptors found last are looked at first, which is cheap;
	 * others of the same processes only after it is known that the socket
	 * exists.
	 */
	struct recent *recent = find_recent(owner, inode, is_same_fd);
	struct program program;

	if (!recent && is_gone(owner, packet, inode))
		return true;
	if (!recent)
		recent = find_recent(owner, inode, is_other_fd);
	if (!recent)
		return false;
	/* The same pid and program as last time: so is the parent. */
	program_read(owner->programs, recent->pid, &program);
	if (program.known && !strcmp(program.text, recent->program)) {
		ret->pid = recent->pid;
		ret->parent_pid = recent->parent_pid;
		take_program(&program, ret);
	} else {
		describe(owner, recent->pid, ret);
	}
	return true;
}

static void remember(struct socket_owner *owner,
		     const struct socket_process *process, const char *fd)
{
	struct recent *recent =
		&owner->recent[owner->recent_next++ % RECENT_MAX];
	size_t length = strlen(process->program);

	recent->pid = process->pid;
	recent->parent_pid = process->parent_pid;
	snprintf(recent->fd, sizeof(recent->fd), "%s", fd);
	recent->program[0] = '\0';
	if (length < sizeof(recent->program))
		memcpy(recent->program, process->program, length + 1);
}

static bool was_recent(const struct socket_owner *owner, pid_t pid)
{
	for (unsigned int i = 0; i < RECENT_MAX; i++)
		if (owner->recent[i].pid == pid)
			return true;
	return false;
}

static void look_at_all(struct socket_owner *owner, const struct policy *policy,
			uint32_t account, uint64_t inode, bool all,
			struct socket_process *ret)
{
	int fd = openat(owner->proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	int processes = PROCESSES_MAX, budget = FDS_MAX;
	struct dirent *entry;
	char found[12];

	if (!folder) {
		fd_close(fd);
		return;
	}
	while ((all || !ret->pid) && (entry = readdir(folder))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		/*
		 * Unless all are wanted, those found lately were looked at
		 * before.
		 */
		if (pid <= 0 || (!all && was_recent(owner, pid)) ||
		    !is_of_account(owner, pid, policy, account))
			continue;
		if (processes-- <= 0 || budget <= 0) {
			ret->several = true; /* not all were seen */
			break;
		}
		if (!holds(owner, pid, inode, &budget, found))
			continue;
		describe(owner, pid, ret);
		if (ret->pid == pid)
			remember(owner, ret, found);
	}
	closedir(folder);
}

void socket_owner_process(struct socket_owner *owner,
			  const struct policy *policy, uint32_t account,
			  const struct packet *packet, uint64_t inode, bool all,
			  struct socket_process *ret)
{
	ret->pid = 0;
	ret->parent_pid = 0;
	ret->several = false;
	ret->program_known = false;
	ret->program[0] = '\0';
	if (!inode || (!all && look_at_recent(owner, packet, inode, ret)))
		return;
	look_at_all(owner, policy, account, inode, all, ret);
}

/* What one dump collects. */
struct sweep {
	socket_owner_cut_fn must;
	void *context;
	uint32_t protocol;
	uint8_t ip_protocol;
	uint16_t listeners[LISTENERS_MAX]; /* ports, network order */
	size_t listener_count;
	struct inet_diag_req_v2 doomed[DOOMED_MAX];
	size_t doomed_count;
};

static void get_address(bool is_ipv6, const uint32_t words[static 4],
			struct policy_address *ret)
{
	if (is_ipv6) {
		memcpy(ret->bytes, words, sizeof(ret->bytes));
		return;
	}
	memcpy(ret->bytes, mapped, sizeof(mapped));
	memcpy(ret->bytes + sizeof(mapped), words, 4);
}

static bool is_accepted(const struct sweep *sweep, uint16_t port)
{
	for (size_t i = 0; i < sweep->listener_count; i++)
		if (sweep->listeners[i] == port)
			return true;
	/*
	 * With too many to list, any port may be a listener's: nothing is cut
	 * now, and each is judged at its next packet.
	 */
	return sweep->listener_count == LISTENERS_MAX;
}

static int take_listener(const struct nlmsghdr *message, void *context)
{
	const struct inet_diag_msg *socket = mnl_nlmsg_get_payload(message);
	struct sweep *sweep = context;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*socket))
		return MNL_CB_ERROR;
	if (sweep->listener_count < LISTENERS_MAX)
		sweep->listeners[sweep->listener_count++] =
			socket->id.idiag_sport;
	return MNL_CB_OK;
}

static int take_connected(const struct nlmsghdr *message, void *context)
{
	const struct inet_diag_msg *socket = mnl_nlmsg_get_payload(message);
	struct sweep *sweep = context;
	struct packet packet = {
		.protocol = sweep->protocol,
		.ip_protocol = sweep->ip_protocol,
	};

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*socket))
		return MNL_CB_ERROR;
	if (!socket->id.idiag_dport ||
	    is_accepted(sweep, socket->id.idiag_sport))
		return MNL_CB_OK;
	packet.is_ipv6 = socket->idiag_family == AF_INET6;
	get_address(packet.is_ipv6, socket->id.idiag_src, &packet.source);
	get_address(packet.is_ipv6, socket->id.idiag_dst, &packet.destination);
	packet.source_port = ntohs(socket->id.idiag_sport);
	packet.destination_port = ntohs(socket->id.idiag_dport);
	if (sweep->must(sweep->context, socket->idiag_uid, &packet) &&
	    sweep->doomed_count < DOOMED_MAX)
		sweep->doomed[sweep->doomed_count++] =
			(struct inet_diag_req_v2){
				.sdiag_family = socket->idiag_family,
				.sdiag_protocol = sweep->ip_protocol,
				.idiag_states = ~0u,
				.id = socket->id,
			};
	return MNL_CB_OK;
}

static int dump(struct socket_owner *owner, const struct sweep *sweep,
		uint8_t family, uint32_t states, mnl_cb_t callback)
{
	const struct inet_diag_req_v2 request = {
		.sdiag_family = family,
		.sdiag_protocol = sweep->ip_protocol,
		.idiag_states = states,
	};
	int r = send_request(owner, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &request);

	return r ? r : receive(owner, callback, (void *)(uintptr_t)sweep);
}

static int nothing(const struct nlmsghdr *message, void *context)
{
	(void)message;
	(void)context;
	return MNL_CB_OK;
}

static int destroy(struct socket_owner *owner, struct sweep *sweep)
{
	int count = 0;

	for (size_t i = 0; i < sweep->doomed_count; i++) {
		int r = send_request(owner, SOCK_DESTROY, NLM_F_ACK,
				     &sweep->doomed[i]);

		/* One that has ended by itself meanwhile is no failure. */
		if (!r && !receive(owner, nothing, NULL))
			count++;
	}
	return count;
}

int socket_owner_cut(struct socket_owner *owner, socket_owner_cut_fn must,
		     void *context)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	CLEANUP_FREE struct sweep *sweep = calloc(1, sizeof(*sweep));
	int r = 0, count;

	if (!sweep)
		return -ENOMEM;
	sweep->must = must;
	sweep->context = context;
	sweep->protocol = POLICY_PROTOCOL_TCP;
	sweep->ip_protocol = IPPROTO_TCP;
	for (size_t i = 0; !r && i < 2; i++)
		r = dump(owner, sweep, families[i], 1 << TCP_LISTEN,
			 take_listener);
	for (size_t i = 0; !r && i < 2; i++)
		r = dump(owner, sweep, families[i],
			 ~0u & ~(1u << TCP_LISTEN | 1u << TCP_TIME_WAIT),
			 take_connected);
	if (r)
		return r;
	count = destroy(owner, sweep);

	sweep->doomed_count = sweep->listener_count = 0;
	sweep->protocol = POLICY_PROTOCOL_UDP;
	sweep->ip_protocol = IPPROTO_UDP;
	for (size_t i = 0; !r && i < 2; i++)
		r = dump(owner, sweep, families[i], ~0u, take_connected);
	return r ? r : count + destroy(owner, sweep);
}
