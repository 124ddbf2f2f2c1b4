#include "gatekeeper/net/name_services.h"

#include <acl/libacl.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/acl.h>
#include <sys/stat.h>

static const char *const paths[NAME_SERVICES_COUNT] = {
	"/run/systemd/resolve/io.systemd.Resolve",
	"/run/systemd/resolve/io.systemd.Resolve.Monitor",
	"/run/nscd/socket",
	"/run/avahi-daemon/socket",
	"/run/dbus/system_bus_socket", /* leads to systemd-resolved, too */
};

static inline void *free_acl(void *acl)
{
	if (acl)
		acl_free(acl);
	return NULL;
}
DEFINE_CLEANUP(void *, free_acl)

/* The entry for uid in acl, or NULL. */
static acl_entry_t find_entry(acl_t acl, uid_t uid)
{
	acl_entry_t entry;

	for (int which = ACL_FIRST_ENTRY;
	     acl_get_entry(acl, which, &entry) == 1; which = ACL_NEXT_ENTRY) {
		CLEANUP(free_acl) void *qualifier = NULL;
		acl_tag_t tag;

		if (acl_get_tag_type(entry, &tag) || tag != ACL_USER)
			continue;
		qualifier = acl_get_qualifier(entry);
		if (qualifier && *(const uid_t *)qualifier == uid)
			return entry;
	}
	return NULL;
}

/* Without any permission, as ours are. */
static bool is_ours(acl_entry_t entry)
{
	acl_permset_t permissions;

	return !acl_get_permset(entry, &permissions) &&
	       acl_get_perm(permissions, ACL_READ) == 0 &&
	       acl_get_perm(permissions, ACL_WRITE) == 0;
}

static int add_entry(acl_t *acl, uid_t uid)
{
	acl_permset_t permissions;
	acl_entry_t entry;

	if (find_entry(*acl, uid))
		return 0;
	return acl_create_entry(acl, &entry) ||
			       acl_set_tag_type(entry, ACL_USER) ||
			       acl_set_qualifier(entry, &uid) ||
			       acl_get_permset(entry, &permissions) ||
			       acl_clear_perms(permissions)
		       ? -errno
		       : 0;
}

static int remove_entry(acl_t *acl, uid_t uid)
{
	acl_entry_t entry = find_entry(*acl, uid);

	return entry && is_ours(entry) && acl_delete_entry(*acl, entry) ? -errno
									: 0;
}

/* Change the entries of every account, by add_entry or remove_entry. */
static int change(const char *path, const struct policy *policy,
		  int (*change_one)(acl_t *acl, uid_t uid))
{
	uint32_t count = policy_account_count(policy);
	acl_t acl = acl_get_file(path, ACL_TYPE_ACCESS);
	int r = acl ? 0 : -errno;

	for (uint32_t i = 0; !r && i < count; i++)
		r = change_one(&acl, policy_account(policy, i)->uid);
	if (!r &&
	    (acl_calc_mask(&acl) || acl_set_file(path, ACL_TYPE_ACCESS, acl)))
		r = -errno;
	free_acl(acl);
	return r;
}

const char *name_services_close(struct name_services *services,
				const struct policy *policy)
{
	const char *failed = NULL;

	for (int i = 0; i < NAME_SERVICES_COUNT; i++) {
		struct stat st;
		int r;

		if (lstat(paths[i], &st) || !S_ISSOCK(st.st_mode) ||
		    (services->seen[i].device == st.st_dev &&
		     services->seen[i].inode == st.st_ino))
			continue;
		r = change(paths[i], policy, add_entry);
		/* Said once for each socket, so seen either way. */
		services->seen[i].device = st.st_dev;
		services->seen[i].inode = st.st_ino;
		if (r) {
			failed = paths[i];
			errno = -r;
		}
	}
	return failed;
}

void name_services_open(struct name_services *services,
			const struct policy *policy)
{
	for (int i = 0; i < NAME_SERVICES_COUNT; i++) {
		/* It may have gone with its service. */
		if (services->seen[i].inode &&
		    change(paths[i], policy, remove_entry))
			errno = 0;
	}
	memset(services, 0, sizeof(*services));
}
