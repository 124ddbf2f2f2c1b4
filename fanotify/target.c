#include "fanotify/target.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"

#define DELETED	  " (deleted)"
#define ELF_START 1024 /* what is read of it: in practice, all headers */

static bool ends_deleted(const struct target *target)
{
	size_t n = strlen(DELETED);

	return target->path_length > n &&
	       !memcmp(target->path + target->path_length - n, DELETED, n);
}

void target_name(int fds_dir, int fd, struct target *target)
{
	char name[16];
	ssize_t n;

	snprintf(name, sizeof(name), "%d", fd);
	n = readlinkat(fds_dir, name, target->path, TARGET_PATH_MAX);
	if (n <= 0 || n == TARGET_PATH_MAX || target->path[0] != '/') {
		target->facts |= POLICY_FACT_UNKNOWN_PATH;
		n = n < 0 || n == TARGET_PATH_MAX ? 0 : n;
	}
	target->path[n] = '\0';
	target->path_length = (size_t)n;
	if (ends_deleted(target))
		target->facts |= POLICY_FACT_DELETED;
}

void target_identify(int fd, struct mount_table *mounts, struct target *ret)
{
	struct statx st;

	ret->facts = 0;
	ret->path[0] = '\0';
	ret->path_length = 0;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID,
		  &st) < 0) {
		/* No owner, no mount: nothing of it may be believed. */
		ret->device = ret->inode = ret->size = 0;
		ret->changed_ns = 0;
		ret->mode = 0777;
		ret->owner = 0;
		ret->facts |= POLICY_FACT_UNKNOWN_PATH;
		return;
	}
	ret->device = makedev(st.stx_dev_major, st.stx_dev_minor);
	ret->inode = st.stx_ino;
	ret->size = st.stx_size;
	ret->changed_ns =
		st.stx_ctime.tv_sec * CLOCK_NS_PER_S + st.stx_ctime.tv_nsec;
	ret->mode = st.stx_mode;
	ret->owner = st.stx_uid;
	if (!(st.stx_mask & STATX_MNT_ID) ||
	    !mount_table_has(mounts, st.stx_mnt_id))
		ret->facts |= POLICY_FACT_FOREIGN_MOUNT;
}

struct policy_question target_question(const struct target *target,
				       uint32_t account, enum policy_kind kind,
				       int64_t now_s)
{
	return (struct policy_question){
		.account = account,
		.kind = kind,
		.facts = target->facts,
		.path = target->path,
		.path_length = target->path_length,
		.device = target->device,
		.inode = target->inode,
		.size = target->size,
		.changed_ns = target->changed_ns,
		.now_s = now_s,
	};
}

bool target_is_closed(const struct target *target, const struct policy *policy)
{
	return !(target->mode & (S_IWGRP | S_IWOTH)) &&
	       policy_account_of(policy, target->owner) == POLICY_NONE;
}

void target_accept_unnamed(struct target *target)
{
	if (!(target->facts & POLICY_FACT_DELETED))
		return;
	target->facts &= ~(uint32_t)POLICY_FACT_DELETED;
	target->path_length -= strlen(DELETED);
	target->path[target->path_length] = '\0';
}

/* Program headers of either word size begin with the 32-bit type. */
static bool find_loader(const unsigned char *start, size_t size,
			uint64_t offset, size_t entry, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t type;

		if (offset > size || size - offset < sizeof(type))
			return true; /* out of sight: it may well be there */
		memcpy(&type, start + offset, sizeof(type));
		if (type == PT_INTERP)
			return true;
		offset += entry;
	}
	return false;
}

struct target_elf target_read_elf(int fd)
{
	union {
		unsigned char bytes[ELF_START];
		Elf64_Ehdr wide;
		Elf32_Ehdr narrow;
	} start;
	struct target_elf elf = {false, false};
	ssize_t n = pread(fd, &start, sizeof(start), 0);

	if (n < (ssize_t)sizeof(start.narrow) ||
	    memcmp(start.bytes, ELFMAG, SELFMAG))
		return elf;
	elf.is_elf = true;
	if (start.bytes[EI_CLASS] == ELFCLASS64 &&
	    n >= (ssize_t)sizeof(start.wide))
		elf.has_loader =
			find_loader(start.bytes, (size_t)n, start.wide.e_phoff,
				    start.wide.e_phentsize, start.wide.e_phnum);
	else if (start.bytes[EI_CLASS] == ELFCLASS32)
		elf.has_loader = find_loader(
			start.bytes, (size_t)n, start.narrow.e_phoff,
			start.narrow.e_phentsize, start.narrow.e_phnum);
	return elf;
}
