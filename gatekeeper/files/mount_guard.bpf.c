/*
 * mount_guard.bpf - what mount_guard.h says, inside the kernel
 *
 * Compiled for the kernel's BPF machine; the structures below name the fields
 * used of the kernel's own, whose places are looked up when it is loaded.
 *
 * The kernel lets no program decide at its security hooks whose licence is not
 * compatible with the GPL, so this file alone may be used under the MIT licence
 * or the GPL, version 2, as well as under that of the project.
 */

#include <linux/bpf.h>
#include <linux/errno.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "gatekeeper/files/mount_guard_shared.h"

#define FILESYSTEMS_MAX 16384
#define UID_RANGES_MAX	16384
#define REFUSALS_BYTES	(256 * 1024)
#define YOUNG_MAX	4096
#define YOUNG_NS	(10 * 1000000000ull)
#define SB_KERNMOUNT	(1ul << 22) /* linux/fs.h: the kernel's own, no mount */

#pragma clang attribute push(__attribute__((preserve_access_index)),           \
			     apply_to = record)
struct ns_common {
	unsigned int inum;
};
struct mnt_namespace {
	struct ns_common ns;
};
struct file_system_type {
	const char *name;
};
struct super_block {
	unsigned long s_flags;
	struct file_system_type *s_type;
};
struct vfsmount {
	struct super_block *mnt_sb;
};
struct mount {
	struct vfsmount mnt;
	struct mnt_namespace *mnt_ns;
};
struct path {
	struct vfsmount *mnt;
};
struct file {
	struct path f_path;
};
struct fdtable {
	struct file **fd;
};
struct files_struct {
	struct fdtable *fdt;
};
struct nsproxy {
	struct mnt_namespace *mnt_ns;
};
typedef struct {
	unsigned int val;
} kuid_t;
struct cred {
	kuid_t uid, suid, euid, fsuid;
};
struct task_struct {
	const struct cred *real_cred;
	struct nsproxy *nsproxy;
	struct files_struct *files;
};
#pragma clang attribute pop

char LICENSE[] SEC("license") = "Dual MIT/GPL";

const volatile unsigned int host_mounts = 0; /* mount namespace's number */
const volatile unsigned long long pid_namespace_device = 0;
const volatile unsigned long long pid_namespace_inode = 0;
unsigned long long called = 0; /* opens seen: the hooks are alive */
unsigned long long lost = 0;   /* refusals for which there was no room */
bool shut = false;	       /* nobody is asked, so accounts are refused */

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, UID_RANGES_MAX);
	__type(key, struct mount_guard_uids);
	__type(value, unsigned int); /* round in which it was set */
} accounts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, char[MOUNT_GUARD_TYPE_MAX]);
	__type(value, bool);
} admitted_types SEC(".maps");

/*
 * By the address of its super_block, forgotten before that is freed.  True: the
 * gate is asked about what is opened there.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FILESYSTEMS_MAX);
	__type(key, unsigned long long);
	__type(value, bool);
} admitted SEC(".maps");

/* When a process with the host's mounts made it; the kernel's clock. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, YOUNG_MAX);
	__type(key, unsigned long long);
	__type(value, unsigned long long);
} young SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, REFUSALS_BYTES);
} refusals SEC(".maps");

static __always_inline bool is_account(unsigned int uid)
{
	struct mount_guard_uids key = {
		.bits = 32,
		.uid = {uid >> 24, uid >> 16, uid >> 8, uid},
	};

	return bpf_map_lookup_elem(&accounts, &key);
}

/* All four, as the gate does: a setuid program stays on the leash. */
static __always_inline bool is_leashed(struct task_struct *task)
{
	unsigned int uid = task->real_cred->uid.val;
	unsigned int euid = task->real_cred->euid.val;
	unsigned int suid = task->real_cred->suid.val;
	unsigned int fsuid = task->real_cred->fsuid.val;

	return is_account(uid) || (euid != uid && is_account(euid)) ||
	       (suid != euid && is_account(suid)) ||
	       (fsuid != euid && is_account(fsuid));
}

static __always_inline bool is_of_host(struct vfsmount *seen)
{
	struct mount *mount =
		(void *)seen - bpf_core_field_offset(struct mount, mnt);

	return BPF_CORE_READ(mount, mnt_ns, ns.inum) == host_mounts;
}

static __always_inline bool is_young(unsigned long long filesystem)
{
	unsigned long long *made_ns = bpf_map_lookup_elem(&young, &filesystem);

	return made_ns && bpf_ktime_get_boot_ns() - *made_ns < YOUNG_NS;
}

static __always_inline bool is_admitted_type(struct super_block *filesystem)
{
	char type[MOUNT_GUARD_TYPE_MAX] = {};

	bpf_probe_read_kernel_str(type, sizeof(type),
				  BPF_CORE_READ(filesystem, s_type, name));
	return bpf_map_lookup_elem(&admitted_types, type);
}

static __always_inline bool is_closed(struct vfsmount *mount)
{
	struct super_block *filesystem = mount->mnt_sb;
	unsigned long long key = (unsigned long long)filesystem;
	bool *asked = bpf_map_lookup_elem(&admitted, &key);

	if (asked)
		return *asked && shut;
	if (!is_of_host(mount) && !is_young(key))
		return false;
	return !(filesystem->s_flags & SB_KERNMOUNT) &&
	       !is_admitted_type(filesystem);
}

static __always_inline void tell(struct file *file)
{
	struct bpf_pidns_info ids = {};
	struct mount_guard_refusal *refusal =
		bpf_ringbuf_reserve(&refusals, sizeof(*refusal), 0);

	if (!refusal) {
		__sync_fetch_and_add(&lost, 1);
		return;
	}
	if (bpf_get_ns_current_pid_tgid(pid_namespace_device,
					pid_namespace_inode, &ids, sizeof(ids)))
		ids.pid = 0;
	refusal->tid = ids.pid;
	refusal->uid = (unsigned int)bpf_get_current_uid_gid();
	if (bpf_d_path(&file->f_path, refusal->path, sizeof(refusal->path)) < 0)
		refusal->path[0] = '\0';
	bpf_ringbuf_submit(refusal, 0);
}

SEC("lsm/file_open")
int BPF_PROG(refuse_open, struct file *file, int earlier)
{
	if (earlier)
		return earlier;
	if (!called)
		called = 1;
	if (!is_leashed(bpf_get_current_task_btf()) ||
	    !is_closed(file->f_path.mnt))
		return 0;
	tell(file);
	return -EACCES;
}

SEC("lsm/sb_alloc_security")
int BPF_PROG(note_young, struct super_block *filesystem, int earlier)
{
	struct task_struct *task = bpf_get_current_task_btf();
	unsigned long long key = (unsigned long long)filesystem;
	unsigned long long now_ns = bpf_ktime_get_boot_ns();

	if (BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum) == host_mounts)
		bpf_map_update_elem(&young, &key, &now_ns, BPF_ANY);
	return earlier;
}

SEC("lsm/sb_delete")
int BPF_PROG(forget, struct super_block *filesystem)
{
	unsigned long long key = (unsigned long long)filesystem;

	bpf_map_delete_elem(&admitted, &key);
	bpf_map_delete_elem(&young, &key);
	return 0;
}

/* Run by gatekeeper, which holds the filesystem by fd meanwhile. */
SEC("syscall")
int admit(struct mount_guard_admit *argument)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file **files = BPF_CORE_READ(task, files, fdt, fd);
	struct file *file = NULL;
	unsigned long long key;
	bool asked = argument->asked;
	bool *before;

	bpf_probe_read_kernel(&file, sizeof(file), files + argument->fd);
	key = (unsigned long long)BPF_CORE_READ(file, f_path.mnt, mnt_sb);
	if (!key)
		return -EBADF;
	/* A mark is taken away from all or from none. */
	before = bpf_map_lookup_elem(&admitted, &key);
	if (before && *before)
		return 0;
	return (int)bpf_map_update_elem(&admitted, &key, &asked, BPF_ANY);
}
