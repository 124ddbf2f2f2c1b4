#pragma once

/*
 * kernel_abi - what newer kernels offer and Debian 12's headers do not name
 *
 * From include/uapi/linux/pidfd.h of Linux 6.13: PIDFD_GET_INFO tells the
 * credentials behind a pidfd, PIDFD_THREAD (6.9) makes one for a thread.
 * Both are probed by use; a kernel without them answers EINVAL or ENOTTY.
 */

#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>

#define KERNEL_PIDFD_THREAD O_EXCL

struct kernel_pidfd_info {
	uint64_t mask;
	uint64_t cgroup_id;
	uint32_t tid, tgid, parent_tgid;
	uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
};

#define KERNEL_PIDFD_GET_INFO _IOWR(0xFF, 11, struct kernel_pidfd_info)
