#include "tools/query/query_names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#define KEPT_MAX 1024

/* What was asked before, since each question may take seconds. */
struct kept {
	char address[INET6_ADDRSTRLEN];
	char name[NI_MAXHOST]; /* "": it has none */
};

struct query_names {
	struct kept kept[KEPT_MAX];
	size_t count;
};

/* Ask who that is.  False: it is no address. */
static bool ask(const char *address, char name[static NI_MAXHOST])
{
	struct sockaddr_in ipv4 = {.sin_family = AF_INET};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
	const struct sockaddr *who;
	socklen_t length;

	if (inet_pton(AF_INET, address, &ipv4.sin_addr) == 1) {
		who = (const struct sockaddr *)&ipv4;
		length = sizeof(ipv4);
	} else if (inet_pton(AF_INET6, address, &ipv6.sin6_addr) == 1) {
		who = (const struct sockaddr *)&ipv6;
		length = sizeof(ipv6);
	} else {
		return false;
	}
	if (getnameinfo(who, length, name, NI_MAXHOST, NULL, 0, NI_NAMEREQD))
		name[0] = '\0';
	return true;
}

static const char *find(struct query_names *names, const char *address)
{
	struct kept *kept = &names->kept[names->count % KEPT_MAX];
	size_t filled = names->count < KEPT_MAX ? names->count : KEPT_MAX;

	for (size_t i = 0; i < filled; i++)
		if (!strcmp(names->kept[i].address, address))
			return names->kept[i].name;
	if (strlen(address) >= sizeof(kept->address) ||
	    !ask(address, kept->name))
		return "";
	strcpy(kept->address, address);
	names->count++;
	return kept->name;
}

static void ptr(sqlite3_context *context, int count, sqlite3_value **values)
{
	const char *address = (const char *)sqlite3_value_text(values[0]);
	const char *name =
		address ? find(sqlite3_user_data(context), address) : "";

	(void)count;
	if (*name)
		sqlite3_result_text(context, name, -1, SQLITE_TRANSIENT);
	else
		sqlite3_result_null(context);
}

int query_names_add(sqlite3 *sqlite)
{
	struct query_names *names = calloc(1, sizeof(*names));

	if (!names)
		return -ENOMEM;
	/* SQLite frees names, also when it fails. */
	return sqlite3_create_function_v2(sqlite, "ptr", 1,
					  SQLITE_UTF8 | SQLITE_DETERMINISTIC |
						  SQLITE_DIRECTONLY,
					  names, ptr, NULL, NULL, free)
		       ? -EINVAL
		       : 0;
}
