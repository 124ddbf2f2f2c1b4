#include "gatekeeper/net/firewall.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper/base/hash.h"
#include "gatekeeper/system/command.h"
#include "gatekeeper/net/firewall_text.h"

#define LOCK_WAIT "10" /* seconds for the lock that iptables share */

/* The programs of one backend and family. */
struct tool {
	const char *restore;
	const char *save;
	bool is_ipv6;
};

static const struct tool xtables[][2] = {
	{{"iptables-legacy-restore", "iptables-legacy-save", false},
	 {"ip6tables-legacy-restore", "ip6tables-legacy-save", true}},
	{{"iptables-restore", "iptables-save", false},
	 {"ip6tables-restore", "ip6tables-save", true}},
};

static bool has_ipv6(void)
{
	return access("/proc/net/if_inet6", F_OK) == 0;
}

static void keep_problem(struct firewall_state *state, const char *program,
			 const char *output)
{
	size_t length = strcspn(output, "\n");

	snprintf(state->problem, sizeof(state->problem), "%s: %.*s", program,
		 (int)(length > 400 ? 400 : length),
		 *output ? output : "failed without a word");
}

/* Run, and yield what it said; FIREWALL_REFUSED if it failed. */
static int run(struct firewall_state *state, char *const *arguments,
	       const char *input, char **ret)
{
	struct command_result result = {0, NULL};
	int r = command_run(arguments, input, &result);

	if (r == -ENOENT) {
		snprintf(state->problem, sizeof(state->problem),
			 "%s is not installed", arguments[0]);
		return FIREWALL_REFUSED;
	}
	if (r)
		return r;
	if (!WIFEXITED(result.status) || WEXITSTATUS(result.status)) {
		keep_problem(state, arguments[0], result.output);
		command_result_done(&result);
		return FIREWALL_REFUSED;
	}
	if (ret)
		*ret = STEAL(result.output);
	command_result_done(&result);
	return 0;
}

static uint64_t add_to_digest(uint64_t digest, const char *bytes, size_t length)
{
	return hash_bytes(digest, bytes, length);
}

static int nft_list(struct firewall_state *state, char **ret)
{
	char *const arguments[] = {(char *)"nft",	   (char *)"list",
				   (char *)"table",	   (char *)"inet",
				   (char *)FIREWALL_TABLE, NULL};

	return run(state, arguments, NULL, ret);
}

static int nft_digest(struct firewall_state *state, uint64_t *ret)
{
	CLEANUP_FREE char *text = NULL;
	int r = nft_list(state, &text);

	if (!r)
		*ret = add_to_digest(1, text, strlen(text));
	return r;
}

static int nft_put(const struct policy *policy, struct firewall_state *state)
{
	char *const arguments[] = {(char *)"nft", (char *)"-f", (char *)"-",
				   NULL};
	CLEANUP_FREE char *text = NULL;
	int r = firewall_text_nft(policy, &text);

	return r ? r : run(state, arguments, text, NULL);
}

static int save(struct firewall_state *state, const struct tool *tool,
		const char *table, char **ret)
{
	char *const arguments[] = {(char *)tool->save, (char *)"-t",
				   (char *)table, NULL};

	return run(state, arguments, NULL, ret);
}

static void tables_done(struct firewall_tables *tables)
{
	firewall_text_found_done(&tables->mangle);
	firewall_text_found_done(&tables->filter);
}

static int find_tables(struct firewall_state *state, const struct tool *tool,
		       struct firewall_tables *ret)
{
	CLEANUP_FREE char *mangle = NULL;
	CLEANUP_FREE char *filter = NULL;
	int r = save(state, tool, "mangle", &mangle);

	*ret = (struct firewall_tables){{NULL, NULL}, {NULL, NULL}};
	if (!r)
		r = save(state, tool, "filter", &filter);
	if (!r)
		r = firewall_text_find(mangle, &ret->mangle);
	if (!r)
		r = firewall_text_find(filter, &ret->filter);
	if (r)
		tables_done(ret);
	return r;
}

/*
 * What matters of a table: our chains, and the first rule of the built-in
 * chains we stand in.  Others may come and go behind it.
 */
static uint64_t digest_table(uint64_t digest, const char *text)
{
	static const char *const hooks[] = {"-A OUTPUT ", "-A POSTROUTING "};
	bool seen[2] = {false, false};

	for (const char *line = text; *line;) {
		size_t length = strcspn(line, "\n");
		bool matters = !strncmp(line, "-A LEASH-", 9);

		for (int i = 0; i < 2; i++)
			if (!strncmp(line, hooks[i], strlen(hooks[i]))) {
				matters = matters || !seen[i];
				seen[i] = true;
			}
		if (matters)
			digest = add_to_digest(digest, line, length);
		line += length + (line[length] == '\n');
	}
	return digest;
}

static int xtables_digest(struct firewall_state *state,
			  const struct tool tools[2], uint64_t *ret)
{
	static const char *const tables[] = {"mangle", "filter"};
	uint64_t digest = 2;

	for (int i = 0; i < (has_ipv6() ? 2 : 1); i++) {
		for (int t = 0; t < 2; t++) {
			CLEANUP_FREE char *text = NULL;
			int r = save(state, &tools[i], tables[t], &text);

			if (r)
				return r;
			digest = digest_table(digest, text);
		}
	}
	*ret = digest;
	return 0;
}

static int restore(struct firewall_state *state, const struct tool *tool,
		   const char *text)
{
	char *const arguments[] = {(char *)tool->restore, (char *)"--noflush",
				   (char *)"-w", (char *)LOCK_WAIT, NULL};

	return run(state, arguments, text, NULL);
}

static int xtables_put_family(const struct policy *policy,
			      struct firewall_state *state,
			      const struct tool *tool)
{
	CLEANUP_FREE char *text = NULL;
	struct firewall_tables tables;
	int r = find_tables(state, tool, &tables);

	if (r)
		return r;
	r = firewall_text_xtables(policy, tool->is_ipv6, &tables, &text);
	if (!r)
		r = restore(state, tool, text);
	tables_done(&tables);
	return r;
}

static int xtables_put(const struct policy *policy,
		       struct firewall_state *state, const struct tool tools[2])
{
	int r = xtables_put_family(policy, state, &tools[0]);

	if (!r && has_ipv6())
		r = xtables_put_family(policy, state, &tools[1]);
	return r;
}

static int put_by(const struct policy *policy, struct firewall_state *state,
		  enum firewall_backend backend)
{
	switch (backend) {
	case FIREWALL_NFT:
		return nft_put(policy, state);
	case FIREWALL_XTABLES:
		return xtables_put(policy, state, xtables[1]);
	case FIREWALL_XTABLES_LEGACY:
		return xtables_put(policy, state, xtables[0]);
	case FIREWALL_NONE:
		break;
	}
	return FIREWALL_REFUSED;
}

static int digest_of(struct firewall_state *state, uint64_t *ret)
{
	switch ((enum firewall_backend)state->backend) {
	case FIREWALL_NFT:
		return nft_digest(state, ret);
	case FIREWALL_XTABLES:
		return xtables_digest(state, xtables[1], ret);
	case FIREWALL_XTABLES_LEGACY:
		return xtables_digest(state, xtables[0], ret);
	case FIREWALL_NONE:
		break;
	}
	return FIREWALL_REFUSED;
}

static int xtables_remove_family(struct firewall_state *state,
				 const struct tool *tool)
{
	CLEANUP_FREE char *text = NULL;
	struct firewall_tables tables;
	int r = find_tables(state, tool, &tables);

	if (r)
		return r;
	if (*tables.mangle.chains || *tables.filter.chains)
		r = firewall_text_xtables_removal(&tables, &text);
	if (!r && text)
		r = restore(state, tool, text);
	tables_done(&tables);
	return r;
}

static int xtables_remove(struct firewall_state *state,
			  const struct tool tools[2])
{
	int r = xtables_remove_family(state, &tools[0]);
	int r6 = has_ipv6() ? xtables_remove_family(state, &tools[1]) : 0;

	return r ? r : r6;
}

static int remove_by(struct firewall_state *state, uint32_t backend)
{
	char *const arguments[] = {(char *)"nft",	   (char *)"delete",
				   (char *)"table",	   (char *)"inet",
				   (char *)FIREWALL_TABLE, NULL};

	switch ((enum firewall_backend)backend) {
	case FIREWALL_NFT:
		return run(state, arguments, NULL, NULL);
	case FIREWALL_XTABLES:
		return xtables_remove(state, xtables[1]);
	case FIREWALL_XTABLES_LEGACY:
		return xtables_remove(state, xtables[0]);
	case FIREWALL_NONE:
		break;
	}
	return 0;
}

/*
 * What a predecessor that died has left by another backend would send every
 * packet to the queue.  That it cannot be looked for means it is not there.
 */
static void remove_leftovers(const struct firewall_state *state)
{
	struct firewall_state other = *state;

	for (uint32_t i = FIREWALL_NFT; i <= FIREWALL_XTABLES; i++)
		if (i != state->backend && remove_by(&other, i) < 0)
			return;
}

int firewall_put(const struct policy *policy, struct firewall_state *state)
{
	int r = FIREWALL_REFUSED;

	if (state->backend != FIREWALL_NONE) {
		r = put_by(policy, state,
			   (enum firewall_backend)state->backend);
		return r ? r : digest_of(state, &state->digest);
	}
	for (uint32_t i = FIREWALL_NFT; r > 0 && i <= FIREWALL_XTABLES; i++) {
		r = put_by(policy, state, (enum firewall_backend)i);
		if (!r)
			state->backend = i;
	}
	if (r)
		return r;
	remove_leftovers(state);
	return digest_of(state, &state->digest);
}

int firewall_verify(struct firewall_state *state)
{
	uint64_t digest = 0;
	int r = digest_of(state, &digest);

	if (r < 0)
		return r;
	return r || digest != state->digest ? FIREWALL_CHANGED : 0;
}

int firewall_remove(struct firewall_state *state)
{
	return remove_by(state, state->backend);
}

const char *firewall_backend_word(uint32_t backend)
{
	switch ((enum firewall_backend)backend) {
	case FIREWALL_NFT:
		return "nft";
	case FIREWALL_XTABLES:
		return "iptables";
	case FIREWALL_XTABLES_LEGACY:
		return "iptables-legacy";
	case FIREWALL_NONE:
		break;
	}
	return "none";
}
