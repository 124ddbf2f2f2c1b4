#include "gatekeeper/files/mount_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/files/mount_guard_shared.h"

/* Written by bpftool. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include <mount_guard.skel.h>
#pragma GCC diagnostic pop

struct mount_guard {
	struct mount_guard_bpf *programs; /* owned */
	struct ring_buffer *refusals;	  /* owned */
	mount_guard_fn report;
	void *context;
	uint64_t lost;	     /* told of so far */
	uint64_t generation; /* of the policy whose accounts it has */
	unsigned round;	     /* of mount_guard_leash() */
};

static int quiet(enum libbpf_print_level level, const char *format,
		 va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static int hear(void *context, void *data, size_t size)
{
	const struct mount_guard *guard = context;
	const struct mount_guard_refusal *refusal = data;
	struct mount_guard_refused refused;

	if (size < sizeof(*refusal))
		return 0;
	refused = (struct mount_guard_refused){
		.tid = (pid_t)refusal->tid,
		.uid = refusal->uid,
		.path = refusal->path[0] ? refusal->path : NULL,
	};
	guard->report(guard->context, &refused);
	return 0;
}

/* Which namespaces are ours; the programs' constants. */
static int set_constants(struct mount_guard_bpf *programs)
{
	struct stat mounts, pids;

	if (stat("/proc/self/ns/mnt", &mounts) < 0 ||
	    stat("/proc/self/ns/pid", &pids) < 0)
		return -errno;
	programs->rodata->host_mounts = (unsigned)mounts.st_ino;
	programs->rodata->pid_namespace_device = pids.st_dev;
	programs->rodata->pid_namespace_inode = pids.st_ino;
	return 0;
}

/*
 * A kernel may have the hooks and not call programs there (lsm=).  In /proc
 * nobody is asked about an open, who might not answer.
 */
static int prove(const struct mount_guard_bpf *programs)
{
	CLEANUP(fd_close) int fd = open("/proc", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return __atomic_load_n(&programs->bss->called, __ATOMIC_RELAXED)
		       ? 0
		       : -EOPNOTSUPP;
}

static int load(struct mount_guard *guard)
{
	int r;

	/* Without this file libbpf would look for a kernel image in /boot. */
	if (access("/sys/kernel/btf/vmlinux", R_OK) ||
	    libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_LSM, NULL) != 1)
		return -EOPNOTSUPP;
	guard->programs = mount_guard_bpf__open();
	if (!guard->programs)
		return -errno;
	r = set_constants(guard->programs);
	if (!r)
		r = mount_guard_bpf__load(guard->programs);
	if (!r)
		r = mount_guard_bpf__attach(guard->programs);
	if (!r)
		r = prove(guard->programs);
	if (r)
		return r;
	guard->refusals = ring_buffer__new(
		bpf_map__fd(guard->programs->maps.refusals), hear, guard, NULL);
	return guard->refusals ? 0 : -errno;
}

int mount_guard_new(mount_guard_fn report, void *context,
		    struct mount_guard **ret)
{
	CLEANUP(mount_guard_free)
	struct mount_guard *guard = calloc(1, sizeof(*guard));
	int r;

	if (!guard)
		return -ENOMEM;
	guard->report = report;
	guard->context = context;
	libbpf_set_print(quiet);
	r = load(guard);
	malloc_trim(0); /* of all the kernel's types */
	if (r)
		return r;
	*ret = STEAL(guard);
	return 0;
}

struct mount_guard *mount_guard_free(struct mount_guard *guard)
{
	if (!guard)
		return NULL;
	ring_buffer__free(guard->refusals);
	mount_guard_bpf__destroy(guard->programs);
	free(guard);
	return NULL;
}

void mount_guard_links(const struct mount_guard *guard,
		       int ret[static MOUNT_GUARD_LINKS])
{
	ret[0] = bpf_link__fd(guard->programs->links.refuse_open);
	ret[1] = bpf_link__fd(guard->programs->links.note_young);
	ret[2] = bpf_link__fd(guard->programs->links.forget);
}

int mount_guard_fd(const struct mount_guard *guard)
{
	return ring_buffer__epoll_fd(guard->refusals);
}

uint64_t mount_guard_hear(struct mount_guard *guard)
{
	uint64_t before = guard->lost;

	(void)ring_buffer__consume(guard->refusals);
	guard->lost =
		__atomic_load_n(&guard->programs->bss->lost, __ATOMIC_RELAXED);
	return guard->lost - before;
}

static struct mount_guard_uids key_of(uint32_t uid, unsigned bits)
{
	return (struct mount_guard_uids){
		.bits = bits,
		.uid = {(unsigned char)(uid >> 24), (unsigned char)(uid >> 16),
			(unsigned char)(uid >> 8), (unsigned char)uid},
	};
}

/* A range is cut into blocks of uids that have their first bits in common. */
static int leash_range(struct mount_guard *guard, uint64_t first, uint64_t last)
{
	int r = 0;

	while (!r && first <= last) {
		uint64_t size = first ? first & -first : (uint64_t)1 << 32;
		unsigned bits;
		struct mount_guard_uids key;

		while (size - 1 > last - first)
			size /= 2;
		bits = 32 - (unsigned)__builtin_ctzll(size);
		key = key_of((uint32_t)first, bits);
		r = bpf_map__update_elem(guard->programs->maps.accounts, &key,
					 sizeof(key), &guard->round,
					 sizeof(guard->round), BPF_ANY);
		first += size;
	}
	return r;
}

/* Take out of the map the accounts that this round has not set. */
static int let_go_of_others(struct mount_guard *guard)
{
	const struct bpf_map *accounts = guard->programs->maps.accounts;
	struct mount_guard_uids key, gone;
	const void *previous = NULL;
	bool is_gone = false;
	int r = 0;

	/*
	 * A key is deleted only after the next was found: the kernel begins
	 * anew when asked for the one behind a key that is not there.
	 */
	while (!r &&
	       !bpf_map__get_next_key(accounts, previous, &key, sizeof(key))) {
		struct mount_guard_uids next = key;
		unsigned round;

		r = bpf_map__lookup_elem(accounts, &next, sizeof(next), &round,
					 sizeof(round), 0);
		if (is_gone)
			(void)bpf_map__delete_elem(accounts, &gone,
						   sizeof(gone), 0);
		gone = next;
		is_gone = !r && round != guard->round;
		previous = &gone;
	}
	if (is_gone)
		r = bpf_map__delete_elem(accounts, &gone, sizeof(gone), 0);
	return r;
}

int mount_guard_leash(struct mount_guard *guard, const struct policy *policy)
{
	uint64_t generation = policy_generation(policy);
	int r = 0;

	if (guard->generation == generation)
		return 0;
	guard->round++;
	for (uint32_t i = 0; !r && i < policy_uid_range_count(policy); i++) {
		const struct policy_uid_range *range =
			policy_uid_range(policy, i);

		if (!policy_is_observed(policy, range->account))
			r = leash_range(guard, range->first, range->last);
	}
	if (!r)
		r = let_go_of_others(guard);
	if (!r)
		guard->generation = generation;
	return r;
}

int mount_guard_admit(struct mount_guard *guard, int fd, bool asked)
{
	struct mount_guard_admit argument = {
		.fd = (unsigned)fd,
		.asked = asked,
	};
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &argument,
		    .ctx_size_in = sizeof(argument));
	int r = bpf_prog_test_run_opts(
		bpf_program__fd(guard->programs->progs.admit), &run);

	return r ? r : (int)run.retval;
}

int mount_guard_admit_type(struct mount_guard *guard, const char *type)
{
	char key[MOUNT_GUARD_TYPE_MAX] = "";
	bool yes = true;

	snprintf(key, sizeof(key), "%s", type);
	return bpf_map__update_elem(guard->programs->maps.admitted_types, key,
				    sizeof(key), &yes, sizeof(yes), BPF_ANY);
}

void mount_guard_shut(struct mount_guard *guard, bool shut)
{
	__atomic_store_n(&guard->programs->bss->shut, shut, __ATOMIC_SEQ_CST);
}
