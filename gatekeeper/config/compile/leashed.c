#include "gatekeeper/config/compile/leashed.h"

bool leashed_uid(void *context, uid_t uid)
{
	const struct compiler *compiler = context;

	for (size_t i = 0; i < compiler->uid_count; i++)
		if (compiler->uids[i].first <= uid &&
		    uid <= compiler->uids[i].last)
			return true;
	return false;
}

bool leashed_group(void *context, gid_t gid)
{
	const struct compiler *compiler = context;

	for (size_t i = 0; i < compiler->account_count; i++)
		for (int j = 0; j < compiler->accounts[i].group_count; j++)
			if (compiler->accounts[i].groups[j] == gid)
				return true;
	return false;
}

bool leashed_is_own(const struct compiler *compiler,
		    const struct account_entry *account, uid_t uid)
{
	for (size_t i = 0; i < compiler->uid_count; i++)
		if (compiler->uids[i].account == account->index &&
		    compiler->uids[i].first <= uid &&
		    uid <= compiler->uids[i].last)
			return true;
	return false;
}
