#include "fanotify/kernel_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/log.h"

void kernel_cache_init(struct kernel_cache *cache, int group,
		       _Atomic uint32_t *marks)
{
	*cache = (struct kernel_cache){.group = group, .marks = marks};
	atomic_store(marks, 0);
}

bool kernel_cache_is_of_use(const struct policy *policy)
{
	for (uint32_t i = 0; i < policy_header(policy)->rules.count; i++) {
		const struct policy_rule *rule = policy_rule(policy, i);

		if (rule->quiet && (rule->effect == POLICY_EFFECT_READ ||
				    rule->effect == POLICY_EFFECT_WRITE))
			return true;
	}
	return false;
}

static size_t slot_of(uint64_t device, uint64_t inode)
{
	return (inode ^ device * 31) % KERNEL_CACHE_FILES;
}

static const struct kernel_cache_file *find(const struct kernel_cache *cache,
					    uint64_t device, uint64_t inode)
{
	const struct kernel_cache_file *file =
		&cache->files[slot_of(device, inode)];

	return file->known && file->device == device && file->inode == inode
		       ? file
		       : NULL;
}

bool kernel_cache_knows(const struct kernel_cache *cache, uint64_t device,
			uint64_t inode)
{
	return cache->refused || find(cache, device, inode);
}

bool kernel_cache_marked(const struct kernel_cache *cache, uint64_t device,
			 uint64_t inode)
{
	const struct kernel_cache_file *file = find(cache, device, inode);

	return file && file->marked;
}

/* libc.so.6, libm-2.36.so, _socket.cpython-311.so */
static bool is_library_name(const struct target *target)
{
	const char *dot = memrchr(target->path, '/', target->path_length);

	while (dot && (dot = strstr(dot, ".so"))) {
		dot += 3;
		if (dot[strspn(dot, ".0123456789")] == '\0')
			return true;
	}
	return false;
}

static bool may_account(const struct policy *policy, uint32_t account,
			const struct target *target, uint32_t facts,
			int64_t now_s)
{
	struct policy_answer answer;
	struct policy_question question =
		target_question(target, account, POLICY_KIND_OPEN, now_s);

	question.access = POLICY_ACCESS_READ;
	question.facts |= facts;
	return policy_decide(policy, &question, &answer) == 0 &&
	       answer.verdict == POLICY_ALLOW && !answer.log;
}

bool kernel_cache_may(const struct policy *policy, const struct target *target,
		      bool is_elf, int64_t now_s)
{
	uint32_t count = policy_header(policy)->accounts.count;
	uint32_t facts =
		is_elf && !is_library_name(target) ? POLICY_FACT_BY_LOADER : 0;

	if (!S_ISREG(target->mode) || !target_is_closed(target, policy))
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (!may_account(policy, i, target, facts, now_s))
			return false;
	return count > 0;
}

static bool mark(struct kernel_cache *cache, int fd)
{
	const unsigned int how =
		FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_EVICTABLE;

	if (atomic_load(cache->marks) >= KERNEL_CACHE_MARKS)
		return false;
	if (fanotify_mark(cache->group, how, FAN_OPEN_PERM, fd, NULL) == 0) {
		atomic_fetch_add(cache->marks, 1);
		return true;
	}
	if (errno == EINVAL || errno == EPERM) {
		log_notice("the kernel does not open files without asking: %m");
		cache->refused = true;
	}
	return false;
}

void kernel_cache_consider(struct kernel_cache *cache,
			   const struct policy *policy,
			   const struct target *target, int fd, int64_t now_s)
{
	if (kernel_cache_knows(cache, target->device, target->inode))
		return;
	if (!cache->since_s)
		cache->since_s = clock_monotonic_ns() / CLOCK_NS_PER_S;
	cache->files[slot_of(target->device, target->inode)] =
		(struct kernel_cache_file){
			.device = target->device,
			.inode = target->inode,
			.known = true,
			.marked = kernel_cache_may(policy, target,
						   target_read_elf(fd).is_elf,
						   now_s) &&
				  mark(cache, fd),
		};
}

void kernel_cache_flush(struct kernel_cache *cache)
{
	bool refused = cache->refused;

	if (fanotify_mark(cache->group, FAN_MARK_FLUSH, 0, AT_FDCWD, NULL) < 0)
		log_error("cannot have the kernel ask again: %m");
	kernel_cache_init(cache, cache->group, cache->marks);
	cache->refused = refused;
}

void kernel_cache_age(struct kernel_cache *cache, int64_t monotonic_s)
{
	if (cache->since_s && monotonic_s - cache->since_s >= KERNEL_CACHE_S)
		kernel_cache_flush(cache);
}

int kernel_cache_wait_ms(const struct kernel_cache *cache)
{
	return cache->since_s ? KERNEL_CACHE_S * 1000 : -1;
}
