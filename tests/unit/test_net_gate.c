/*
 * The net gate's loop: when it begins to answer, what gatekeeper says to it,
 * and what it does when the kernel has lost packets.  The kernel, and what is
 * answered to a packet, are the test's own.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/wire/message.h"
#include "gatekeeper/wire/net_queue.h"
#include "nfqueue/gate_state.h"
#include "nfqueue/judge_flow.h"
#include "nfqueue/names/judge_name.h"
#include "nfqueue/net_gate.h"
#include "tests/unit/made_policy.h"

#define HAPPENED_MAX 32

/* What the kernel does next, and what has happened, a letter each. */
static struct {
	int packets; /* eventfd: readable while any wait */
	uint16_t bound[8];
	int binds;
	int taken; /* times that somebody still has the first queue */
	int bind_r, owner_r, cut_r, told_r;
	const char *arrives; /* d, n: a packet; l: some lost; m; e: an error */
	char happened[HAPPENED_MAX];
	int control, dns; /* the other ends */
	struct net_gate_ends ends;
} world;

static void happens(char what)
{
	size_t length = strlen(world.happened);

	assert_true(length < HAPPENED_MAX - 1);
	world.happened[length] = what;
}

/* ---- the kernel */

struct queue {
	int fd;
};

static struct queue the_queue;

int queue_new(struct queue **ret)
{
	the_queue.fd = world.packets;
	*ret = &the_queue;
	return 0;
}

struct queue *queue_free(struct queue *queue)
{
	(void)queue;
	return NULL;
}

int queue_fd(const struct queue *queue)
{
	return queue->fd;
}

int queue_bind(struct queue *queue, uint16_t number, uint32_t copy_bytes)
{
	(void)queue;
	assert_true(copy_bytes > 1500);
	if (world.taken-- > 0)
		return QUEUE_TAKEN;
	world.bound[world.binds++] = number;
	return world.bind_r;
}

int queue_receive(struct queue *queue, struct queue_packet *ret)
{
	(void)queue;
	*ret = (struct queue_packet){.queue = NET_QUEUE_OUT};
	switch (*world.arrives) {
	case '\0':
		return QUEUE_EMPTY;
	case 'l':
		world.arrives++;
		return QUEUE_LOST;
	case 'm':
		world.arrives++;
		return QUEUE_MALFORMED;
	case 'e':
		return -EIO;
	case 'n':
		ret->queue = NET_QUEUE_DNS;
		break;
	default:
		break;
	}
	world.arrives++;
	return 0;
}

/* Taken back by the gate as it is freed. */
static struct socket_owner *the_owner(void)
{
	return (struct socket_owner *)&world;
}

int socket_owner_new(int proc, struct socket_owner **ret)
{
	(void)proc;
	if (!world.owner_r)
		*ret = the_owner();
	return world.owner_r;
}

struct socket_owner *socket_owner_free(struct socket_owner *owner)
{
	assert_true(!owner || owner == the_owner());
	return NULL;
}

int socket_owner_cut(struct socket_owner *owner, socket_owner_cut_fn must,
		     void *context)
{
	struct packet packet = {.protocol = POLICY_PROTOCOL_TCP};

	assert_ptr_equal(owner, the_owner());
	assert_true(must(context, MADE_POLICY_UID, &packet));
	happens('c');
	return world.cut_r;
}

/* ---- what is answered */

bool judge_flow_must_cut(struct net_gate *gate, uint32_t uid,
			 const struct packet *packet)
{
	(void)packet;
	return gate->policy && uid == MADE_POLICY_UID;
}

void judge_flow_packet(struct net_gate *gate, const struct queue_packet *queued)
{
	assert_int_equal(queued->queue, NET_QUEUE_OUT);
	assert_non_null(gate->policy);
	happens('a' + (char)policy_generation(gate->policy));
}

void judge_name_answer(struct net_gate *gate, const struct queue_packet *queued)
{
	assert_int_equal(queued->queue, NET_QUEUE_DNS);
	assert_non_null(gate->policy);
	happens('n');
}

int judge_name_told(struct net_gate *gate)
{
	char byte;

	if (recv(gate->ends.dns, &byte, 1, MSG_DONTWAIT) == 1)
		happens('t');
	return world.told_r;
}

/* ---- the test's side */

static int begin(void **state)
{
	int control[2], dns[2];

	(void)state;
	memset(&world, 0, sizeof(world));
	world.arrives = "";
	world.packets = eventfd(1, EFD_CLOEXEC);
	assert_int_equal(message_pair(control), 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, dns), 0);
	world.control = control[1];
	world.dns = dns[1];
	world.ends = (struct net_gate_ends){
		.control = control[0], .wake = -1, .dns = dns[0], .proc = -1};
	return 0;
}

static int end(void **state)
{
	(void)state;
	fd_close(world.packets);
	fd_close(world.control);
	fd_close(world.dns);
	fd_close(world.ends.control);
	fd_close(world.ends.dns);
	return 0;
}

static void says(enum message_type type, uint64_t value, int fd)
{
	const struct message message = {.type = type, .value = value};

	assert_int_equal(message_send(world.control, &message, fd), 0);
}

static void says_policy(uint64_t generation)
{
	CLEANUP(fd_close) int fd = -1;
	struct made_policy made;

	made_policy_begin(&made);
	fd = made_policy_end_fd(&made, generation);
	says(MESSAGE_POLICY, 0, fd);
}

static void hears(enum message_type type, uint64_t value)
{
	struct message message;
	int fd;

	assert_int_equal(message_receive(world.control, &message, &fd), 0);
	assert_int_equal(message.type, type);
	assert_int_equal(message.value, value);
	assert_int_equal(fd, -1);
}

static void hears_nothing(void)
{
	struct message message;
	int fd;

	assert_int_equal(message_receive(world.control, &message, &fd),
			 MESSAGE_NONE);
}

/* A gate that runs until it is told to stop, or cannot go on. */
static int run(void)
{
	CLEANUP(net_gate_free) struct net_gate *gate = NULL;
	int r = net_gate_new(&world.ends, &gate);

	return r ? r : net_gate_run(gate);
}

/* ---- */

/* Its predecessor may be dying still. */
static void waits_for_its_queues(void **state)
{
	(void)state;
	world.taken = 2;
	says(MESSAGE_STOP, 0, -1);
	assert_int_equal(run(), 0);
	assert_int_equal(world.binds, 3);
	assert_int_equal(world.bound[0], NET_QUEUE_OUT);
	assert_int_equal(world.bound[1], NET_QUEUE_IN);
	assert_int_equal(world.bound[2], NET_QUEUE_DNS);
}

static void cannot_begin(void **state)
{
	(void)state;
	world.bind_r = -EPERM;
	assert_int_equal(run(), -EPERM);
	assert_int_equal(world.binds, 1);
	world.owner_r = -ENOENT;
	assert_int_equal(run(), -ENOENT);
	assert_int_equal(world.binds, 1);
}

static void judges_by_no_policy_not_at_all(void **state)
{
	(void)state;
	world.arrives = "dn";
	says(MESSAGE_PING, 7, -1);
	says(MESSAGE_STOP, 0, -1);
	assert_int_equal(run(), 0);
	assert_string_equal(world.happened, "");
	hears(MESSAGE_PONG, 7);
}

/* Each packet by the policy in force; what is open, before any of them. */
static void judges_by_the_policy_in_force(void **state)
{
	(void)state;
	world.arrives = "dnd";
	world.cut_r = 2;
	says_policy(1);
	says(MESSAGE_PING, 8, -1);
	says_policy(4);
	says(MESSAGE_STOP, 0, -1);
	assert_int_equal(run(), 0);
	assert_string_equal(world.happened, "cbnbc");
	hears(MESSAGE_LOADED, 1);
	hears(MESSAGE_PONG, 8);
	hears(MESSAGE_LOADED, 4);
}

/* One that cannot be read changes nothing, and gatekeeper hears why. */
static void keeps_its_policy(void **state)
{
	CLEANUP(fd_close) int fd = memfd_create("no image", MFD_CLOEXEC);

	(void)state;
	world.cut_r = -EPERM; /* each is judged at its next packet */
	says_policy(3);
	says(MESSAGE_POLICY, 0, fd);
	says(MESSAGE_POLICY, 0, -1);
	says(MESSAGE_STOP, 0, -1);
	world.arrives = "d";
	assert_int_equal(run(), 0);
	assert_string_equal(world.happened, "cd");
	hears(MESSAGE_LOADED, 3);
	hears(MESSAGE_FAILED, EINVAL);
	hears(MESSAGE_FAILED, EINVAL);
	hears_nothing();
}

/* What was lost is the kernel's to refuse; the next are answered. */
static void goes_on_after_losses(void **state)
{
	(void)state;
	world.arrives = "lldmnld";
	says_policy(1);
	says(MESSAGE_STOP, 0, -1);
	assert_int_equal(run(), 0);
	assert_string_equal(world.happened, "cbnb");
}

/* Under load gatekeeper is heard all the same. */
static void looks_up_from_its_packets(void **state)
{
	static char many[1000];

	(void)state;
	memset(many, 'l', sizeof(many) - 1);
	world.arrives = many;
	says_policy(1);
	says(MESSAGE_STOP, 0, -1);
	assert_int_equal(run(), 0);
	assert_true(world.arrives < many + sizeof(many) / 2);
}

static void ends_when_it_cannot_go_on(void **state)
{
	(void)state;
	world.arrives = "de";
	says_policy(1);
	assert_int_equal(run(), -EIO);
	assert_string_equal(world.happened, "cb");
}

static void takes_only_what_is_for_it(void **state)
{
	(void)state;
	says(MESSAGE_GROUP, 0, -1);
	assert_int_equal(run(), -EPROTO);
	assert_int_equal(send(world.control, "?", 1, 0), 1);
	assert_int_equal(run(), -EPROTO);
}

static void hears_leash_dns(void **state)
{
	(void)state;
	assert_int_equal(send(world.dns, "x", 1, 0), 1);
	says(MESSAGE_PING, 1, -1);
	says(MESSAGE_STOP, 0, -1);
	assert_int_equal(run(), 0);
	assert_string_equal(world.happened, "t");

	world.told_r = -EPIPE; /* it is gone: gatekeeper starts both anew */
	assert_int_equal(send(world.dns, "x", 1, 0), 1);
	assert_int_equal(run(), -EPIPE);
}

/*
 * Without gatekeeper what is in force holds, if anything is; also where it has
 * died before it could hear the answer to its last words.
 */
static void outlives_gatekeeper(void **state)
{
	(void)state;
	world.arrives = "dnde";
	says_policy(2);
	says(MESSAGE_PING, 1, -1);
	world.control = fd_close(world.control);
	assert_int_equal(run(), -EIO);
	assert_string_equal(world.happened, "ccnc");
}

static void has_nothing_to_outlive_it_for(void **state)
{
	(void)state;
	world.arrives = "dnde";
	world.control = fd_close(world.control);
	assert_int_equal(run(), 0);
	assert_string_equal(world.happened, "");
}

#define of(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		of(waits_for_its_queues),
		of(cannot_begin),
		of(judges_by_no_policy_not_at_all),
		of(judges_by_the_policy_in_force),
		of(keeps_its_policy),
		of(goes_on_after_losses),
		of(looks_up_from_its_packets),
		of(ends_when_it_cannot_go_on),
		of(takes_only_what_is_for_it),
		of(hears_leash_dns),
		of(outlives_gatekeeper),
		of(has_nothing_to_outlive_it_for),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
