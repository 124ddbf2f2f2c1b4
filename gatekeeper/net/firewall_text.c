#include "gatekeeper/net/firewall_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gatekeeper/wire/net_queue.h"

#define MASK "0x%08" PRIx32

static int finish(FILE *out, char **text, char **ret)
{
	bool failed = ferror(out) != 0;

	if (fclose(out) || failed) {
		free(*text);
		return -ENOMEM;
	}
	*ret = *text;
	return 0;
}

static uint32_t mark_of(const struct policy *policy, uint32_t account)
{
	return net_queue_mark(policy_generation(policy), account);
}

/* How many different marks there are. */
static uint32_t count_marks(const struct policy *policy)
{
	uint32_t count = policy_account_count(policy);

	return count < NET_MARK_ACCOUNTS ? count : NET_MARK_ACCOUNTS;
}

/*
 * Whoever connects to the account from elsewhere is answered by a flow without
 * our mark.  A flow with one was begun on this machine, and is answered on it:
 * an answer that leaves it goes to a source that was made up (IPV6_FREEBIND),
 * and is judged as the packet that it is.
 */
static void write_nft_inbound(enum policy_inbound inbound, FILE *out)
{
	/* An account that is its own resolver could say what it likes. */
	fprintf(out,
		"  ct direction reply ct mark & " MASK " == " MASK " drop\n",
		NET_MARK_MASK, NET_MARK_DNS);
	switch (inbound) {
	case POLICY_INBOUND_ANY:
		fprintf(out,
			"  ct direction reply ct mark & " MASK " == 0 accept\n"
			"  ct direction reply oifname \"lo\" accept\n",
			NET_MARK_MASK);
		return;
	case POLICY_INBOUND_LOOPBACK:
		fprintf(out, "  ct direction reply oifname \"lo\" accept\n");
		break;
	case POLICY_INBOUND_DENY:
		break;
	}
	fprintf(out, "  ct direction reply queue num %d\n", NET_QUEUE_IN);
}

static void write_nft_account(const struct policy *policy, uint32_t account,
			      FILE *out)
{
	const struct policy_account *entry = policy_account(policy, account);

	fprintf(out,
		" chain account_%" PRIu32 " {\n"
		"  tcp flags & (fin | syn | rst | ack) == syn queue num %d\n"
		"  ct direction original ct mark & " MASK " == " MASK
		" accept\n",
		account, NET_QUEUE_OUT, NET_MARK_MASK,
		mark_of(policy, account));
	write_nft_inbound((enum policy_inbound)entry->inbound, out);
	fprintf(out, "  queue num %d\n }\n", NET_QUEUE_OUT);
}

static void write_nft_output(const struct policy *policy, FILE *out)
{
	fprintf(out, " chain output {\n"
		     "  type filter hook output priority mangle - 1;\n");
	for (uint32_t i = 0; i < policy_uid_range_count(policy); i++) {
		const struct policy_uid_range *range =
			policy_uid_range(policy, i);

		fprintf(out, "  meta skuid %" PRIu32, range->first);
		if (range->last != range->first)
			fprintf(out, "-%" PRIu32, range->last);
		fprintf(out, " goto account_%" PRIu32 "\n", range->account);
	}
	fprintf(out, "  ct mark & " MASK " == 0 accept\n", NET_MARK_MASK);
	for (uint32_t i = 0; i < count_marks(policy); i++)
		fprintf(out, "  ct mark & " MASK " == " MASK " accept\n",
			NET_MARK_MASK, mark_of(policy, i));
	/* Somebody else's socket has its port now, and waits for no gate. */
	fprintf(out,
		"  ct direction original meta skuid 0-%u ct mark set ct mark "
		"& " MASK " accept\n"
		"  ct direction original queue num %d\n }\n",
		UINT32_MAX - 1, ~NET_MARK_MASK, NET_QUEUE_OUT);
}

static void write_nft_input(FILE *out)
{
	fprintf(out,
		" chain input {\n"
		"  type filter hook input priority mangle - 1;\n"
		"  meta mark & " MASK " == " MASK " accept\n"
		"  ct direction reply ct mark & " MASK " == " MASK
		" queue num %d\n }\n",
		NET_MARK_MASK, NET_MARK_REPLY, NET_MARK_MASK, NET_MARK_DNS,
		NET_QUEUE_DNS);
}

/* Keep a packet's mark with its flow; nft wants constants. */
static void write_nft_save(uint32_t mark, uint32_t kept, FILE *out)
{
	fprintf(out,
		"  meta mark & " MASK " == " MASK " ct mark set ct mark & " MASK
		" | " MASK "\n",
		NET_MARK_MASK, mark, ~NET_MARK_MASK, kept);
}

static void write_nft_keep(const struct policy *policy, FILE *out)
{
	fprintf(out,
		" chain keep {\n"
		"  type filter hook postrouting priority mangle - 1;\n"
		"  meta mark & " MASK " == 0 accept\n"
		"  meta mark & " MASK " == " MASK " accept\n"
		"  meta mark & " MASK " == " MASK " drop\n",
		NET_MARK_MASK, NET_MARK_MASK, NET_MARK_REPLY, NET_MARK_MASK,
		NET_MARK_DENIED);
	for (uint32_t i = 0; i < count_marks(policy); i++)
		write_nft_save(mark_of(policy, i), mark_of(policy, i), out);
	write_nft_save(NET_MARK_DNS, NET_MARK_DNS, out);
	write_nft_save(NET_MARK_PENDING, NET_MARK_PENDING, out);
	write_nft_save(NET_MARK_CLEAR, 0, out);
	fprintf(out, "  meta mark set meta mark & " MASK "\n }\n",
		~NET_MARK_MASK);
}

static void write_nft_refuse(FILE *out)
{
	fprintf(out,
		" chain refuse {\n"
		"  type filter hook output priority filter + 10;\n"
		"  meta mark & " MASK " != " MASK " accept\n"
		"  meta l4proto tcp reject with tcp reset\n"
		"  reject with icmpx admin-prohibited\n }\n",
		NET_MARK_MASK, NET_MARK_DENIED);
}

int firewall_text_nft(const struct policy *policy, char **ret)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return -ENOMEM;
	/* Chains that are gone to come before those that go. */
	fprintf(out, "table inet " FIREWALL_TABLE "\n"
		     "delete table inet " FIREWALL_TABLE "\n"
		     "table inet " FIREWALL_TABLE " {\n");
	for (uint32_t i = 0; i < policy_account_count(policy); i++)
		write_nft_account(policy, i, out);
	write_nft_output(policy, out);
	write_nft_input(out);
	write_nft_keep(policy, out);
	write_nft_refuse(out);
	fprintf(out, "}\n");
	return finish(out, &text, ret);
}

static void write_inbound(enum policy_inbound inbound, uint32_t account,
			  FILE *out)
{
	/* An account that is its own resolver could say what it likes. */
	fprintf(out,
		"-A LEASH-ACCOUNT-%" PRIu32 " -m conntrack --ctdir REPLY "
		"-m connmark --mark " MASK "/" MASK " -j DROP\n",
		account, NET_MARK_DNS, NET_MARK_MASK);
	switch (inbound) {
	case POLICY_INBOUND_ANY:
		fprintf(out,
			"-A LEASH-ACCOUNT-%" PRIu32
			" -m conntrack --ctdir REPLY "
			"-m connmark --mark 0/" MASK " -j RETURN\n"
			"-A LEASH-ACCOUNT-%" PRIu32
			" -o lo -m conntrack --ctdir REPLY -j RETURN\n",
			account, NET_MARK_MASK, account);
		return;
	case POLICY_INBOUND_LOOPBACK:
		fprintf(out,
			"-A LEASH-ACCOUNT-%" PRIu32
			" -o lo -m conntrack --ctdir REPLY -j RETURN\n",
			account);
		break;
	case POLICY_INBOUND_DENY:
		break;
	}
	fprintf(out,
		"-A LEASH-ACCOUNT-%" PRIu32
		" -m conntrack --ctdir REPLY -j NFQUEUE --queue-num %d\n",
		account, NET_QUEUE_IN);
}

static void write_account(const struct policy *policy, uint32_t account,
			  FILE *out)
{
	const struct policy_account *entry = policy_account(policy, account);

	fprintf(out,
		"-A LEASH-ACCOUNT-%" PRIu32
		" -p tcp --tcp-flags FIN,SYN,RST,ACK SYN -j NFQUEUE "
		"--queue-num %d\n"
		"-A LEASH-ACCOUNT-%" PRIu32 " -m connmark --mark " MASK "/" MASK
		" -m conntrack --ctdir ORIGINAL -j RETURN\n",
		account, NET_QUEUE_OUT, account, mark_of(policy, account),
		NET_MARK_MASK);
	write_inbound((enum policy_inbound)entry->inbound, account, out);
	fprintf(out, "-A LEASH-ACCOUNT-%" PRIu32 " -j NFQUEUE --queue-num %d\n",
		account, NET_QUEUE_OUT);
}

static void write_output(const struct policy *policy, FILE *out)
{
	for (uint32_t i = 0; i < policy_uid_range_count(policy); i++) {
		const struct policy_uid_range *range =
			policy_uid_range(policy, i);

		fprintf(out,
			"-A LEASH-OUTPUT -m owner --uid-owner %" PRIu32
			"-%" PRIu32 " -g LEASH-ACCOUNT-%" PRIu32 "\n",
			range->first, range->last, range->account);
	}
	fprintf(out,
		"-A LEASH-OUTPUT -m connmark --mark 0/" MASK " -j RETURN\n",
		NET_MARK_MASK);
	for (uint32_t i = 0; i < count_marks(policy); i++)
		fprintf(out,
			"-A LEASH-OUTPUT -m connmark --mark " MASK "/" MASK
			" -j RETURN\n",
			mark_of(policy, i), NET_MARK_MASK);
	/* Somebody else's socket has its port now, and waits for no gate. */
	fprintf(out,
		"-A LEASH-OUTPUT -m conntrack --ctdir ORIGINAL -m owner "
		"--socket-exists -j CONNMARK --set-xmark 0/" MASK "\n",
		NET_MARK_MASK);
	/* Without a conntrack entry there is nothing to go by. */
	fprintf(out,
		"-A LEASH-OUTPUT -m conntrack --ctdir ORIGINAL -m connmark "
		"! --mark 0/" MASK " -j NFQUEUE --queue-num %d\n",
		NET_MARK_MASK, NET_QUEUE_OUT);
}

static void write_keep(FILE *out)
{
	fprintf(out,
		"-A LEASH-KEEP -m mark --mark " MASK "/" MASK " -j RETURN\n"
		"-A LEASH-KEEP -m mark --mark " MASK "/" MASK " -j DROP\n"
		"-A LEASH-KEEP -m mark --mark " MASK "/" MASK
		" -j CONNMARK --set-xmark 0/" MASK "\n"
		"-A LEASH-KEEP -m mark ! --mark " MASK "/" MASK
		" -j CONNMARK --save-mark --nfmask " MASK " --ctmask " MASK "\n"
		"-A LEASH-KEEP -j MARK --set-xmark 0/" MASK "\n",
		NET_MARK_REPLY, NET_MARK_MASK, NET_MARK_DENIED, NET_MARK_MASK,
		NET_MARK_CLEAR, NET_MARK_MASK, NET_MARK_MASK, NET_MARK_CLEAR,
		NET_MARK_MASK, NET_MARK_MASK, NET_MARK_MASK, NET_MARK_MASK);
}

static void write_input(FILE *out)
{
	fprintf(out,
		"-A LEASH-INPUT -m mark --mark " MASK "/" MASK " -j RETURN\n"
		"-A LEASH-INPUT -m conntrack --ctdir REPLY -j NFQUEUE "
		"--queue-num %d\n",
		NET_MARK_REPLY, NET_MARK_MASK, NET_QUEUE_DNS);
}

static void write_refuse(bool is_ipv6, FILE *out)
{
	fprintf(out,
		"-A LEASH-REFUSE -p tcp -j REJECT --reject-with tcp-reset\n"
		"-A LEASH-REFUSE -j REJECT --reject-with %s\n",
		is_ipv6 ? "icmp6-adm-prohibited" : "icmp-admin-prohibited");
}

/* Say something about each chain of a list. */
static void for_chains(const char *chains, const char *before,
		       const char *behind, FILE *out)
{
	while (*chains) {
		size_t length = strcspn(chains, "\n");

		fprintf(out, "%s%.*s%s\n", before, (int)length, chains, behind);
		chains += length + (chains[length] == '\n');
	}
}

/* Account chains that the last policy needed and this one does not. */
static void delete_unused(const char *chains, uint32_t accounts, FILE *out)
{
	while (*chains) {
		size_t length = strcspn(chains, "\n");
		uint32_t account;

		if (sscanf(chains, "LEASH-ACCOUNT-%" SCNu32, &account) == 1 &&
		    account >= accounts)
			fprintf(out, "-X %.*s\n", (int)length, chains);
		chains += length + (chains[length] == '\n');
	}
}

static void write_filter(const struct firewall_found *found, bool is_ipv6,
			 FILE *out)
{
	/* Naming a chain makes it, or empties it where it is. */
	fprintf(out, "*filter\n:LEASH-REFUSE - [0:0]\n");
	write_refuse(is_ipv6, out);
	fprintf(out,
		"%s-I OUTPUT 1 -m mark --mark " MASK "/" MASK
		" -j LEASH-REFUSE\nCOMMIT\n",
		found->jumps, NET_MARK_DENIED, NET_MARK_MASK);
}

static void write_mangle(const struct policy *policy,
			 const struct firewall_found *found, FILE *out)
{
	uint32_t accounts = policy_account_count(policy);

	fprintf(out, "*mangle\n");
	for_chains(found->chains, ":", " - [0:0]", out);
	fprintf(out, ":LEASH-OUTPUT - [0:0]\n:LEASH-INPUT - [0:0]\n"
		     ":LEASH-KEEP - [0:0]\n");
	for (uint32_t i = 0; i < accounts; i++)
		fprintf(out, ":LEASH-ACCOUNT-%" PRIu32 " - [0:0]\n", i);
	for (uint32_t i = 0; i < accounts; i++)
		write_account(policy, i, out);
	write_output(policy, out);
	write_input(out);
	write_keep(out);
	fprintf(out,
		"%s-I OUTPUT 1 -j LEASH-OUTPUT\n"
		"-I INPUT 1 -m connmark --mark " MASK "/" MASK
		" -j LEASH-INPUT\n"
		"-I POSTROUTING 1 -m mark ! --mark 0/" MASK " -j LEASH-KEEP\n",
		found->jumps, NET_MARK_DNS, NET_MARK_MASK, NET_MARK_MASK);
	delete_unused(found->chains, accounts, out);
	fprintf(out, "COMMIT\n");
}

int firewall_text_xtables(const struct policy *policy, bool is_ipv6,
			  const struct firewall_tables *found, char **ret)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return -ENOMEM;
	/* What refuses is there before what judges. */
	write_filter(&found->filter, is_ipv6, out);
	write_mangle(policy, &found->mangle, out);
	return finish(out, &text, ret);
}

static void write_removal(const char *table, const struct firewall_found *found,
			  FILE *out)
{
	fprintf(out, "*%s\n", table);
	for_chains(found->chains, ":", " - [0:0]", out);
	fputs(found->jumps, out);
	for_chains(found->chains, "-X ", "", out);
	fprintf(out, "COMMIT\n");
}

int firewall_text_xtables_removal(const struct firewall_tables *found,
				  char **ret)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return -ENOMEM;
	write_removal("mangle", &found->mangle, out);
	write_removal("filter", &found->filter, out);
	return finish(out, &text, ret);
}

static void find_in_line(const char *line, size_t length, FILE *jumps,
			 FILE *chains)
{
	if (!strncmp(line, ":LEASH-", 7))
		fprintf(chains, "%.*s\n", (int)strcspn(line + 1, " \n"),
			line + 1);
	else if (!strncmp(line, "-A ", 3) && strncmp(line, "-A LEASH-", 9) &&
		 memmem(line, length, " -j LEASH-", 10))
		fprintf(jumps, "-D%.*s\n", (int)(length - 2), line + 2);
}

int firewall_text_find(const char *saved, struct firewall_found *ret)
{
	struct firewall_found found = {NULL, NULL};
	size_t sizes[2];
	FILE *jumps = open_memstream(&found.jumps, &sizes[0]);
	FILE *chains = open_memstream(&found.chains, &sizes[1]);
	int r = 0;

	for (const char *line = saved; jumps && chains && *line;) {
		size_t length = strcspn(line, "\n");

		find_in_line(line, length, jumps, chains);
		line += length + (line[length] == '\n');
	}
	if (!jumps || fclose(jumps))
		r = -ENOMEM;
	if (!chains || fclose(chains))
		r = -ENOMEM;
	if (r)
		firewall_text_found_done(&found);
	else
		*ret = found;
	return r;
}

void firewall_text_found_done(struct firewall_found *found)
{
	found->jumps = cleanup_free(found->jumps);
	found->chains = cleanup_free(found->chains);
}
