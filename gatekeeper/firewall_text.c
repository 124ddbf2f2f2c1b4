#include "gatekeeper/firewall_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gatekeeper/wire/net_queue.h"

#define MASK "0x%08" PRIx32

static const char *const inbound_chains[] = {
	[POLICY_INBOUND_DENY] = "in_deny",
	[POLICY_INBOUND_LOOPBACK] = "in_loopback",
	[POLICY_INBOUND_ANY] = "in_any",
};

static const char *const inbound_upper[] = {
	[POLICY_INBOUND_DENY] = "LEASH-IN-DENY",
	[POLICY_INBOUND_LOOPBACK] = "LEASH-IN-LOOP",
	[POLICY_INBOUND_ANY] = "LEASH-IN-ANY",
};

static uint32_t inbound_of(const struct policy *policy, uint32_t range)
{
	return policy->accounts[policy->uids[range].account].inbound;
}

static int finish(FILE *out)
{
	bool failed = ferror(out) != 0;

	return fclose(out) || failed ? -ENOMEM : 0;
}

static void write_nft_output(const struct policy *policy, uint32_t mark,
			     FILE *out)
{
	fprintf(out,
		" chain output {\n"
		"  type filter hook output priority mangle - 1;\n"
		"  ct direction original ct mark & " MASK " == " MASK
		" accept\n"
		"  ct direction original ct mark & " MASK " == " MASK
		" accept\n",
		NET_MARK_MASK, mark | NET_MARK_OTHERS, NET_MARK_MASK, mark);
	for (uint32_t i = 0; i < policy->header->uids.count; i++) {
		const struct policy_uid_range *range = &policy->uids[i];

		fprintf(out, "  meta skuid %" PRIu32, range->first);
		if (range->last != range->first)
			fprintf(out, "-%" PRIu32, range->last);
		fprintf(out, " goto %s\n",
			inbound_chains[inbound_of(policy, i)]);
	}
	fprintf(out,
		"  ct direction original ct mark & " MASK " != 0 "
		"ct mark & " MASK " == 0 queue num %d\n"
		"  ct direction original ct mark set ct mark & " MASK " | " MASK
		"\n }\n",
		NET_MARK_MASK, NET_MARK_OTHERS, NET_QUEUE_OUT, ~NET_MARK_MASK,
		mark | NET_MARK_OTHERS);
}

static void write_nft_chains(uint32_t mark, FILE *out)
{
	fprintf(out,
		" chain judge {\n"
		"  ct mark & " MASK " == " MASK " accept\n"
		"  queue num %d\n }\n",
		NET_MARK_MASK, mark, NET_QUEUE_OUT);
	fprintf(out,
		" chain in_deny {\n"
		"  ct direction reply queue num %d\n"
		"  goto judge\n }\n"
		" chain in_loopback {\n"
		"  ct direction reply oifname \"lo\" accept\n"
		"  ct direction reply queue num %d\n"
		"  goto judge\n }\n"
		" chain in_any {\n"
		"  ct direction reply accept\n"
		"  goto judge\n }\n",
		NET_QUEUE_IN, NET_QUEUE_IN);
}

static void write_nft_keep(uint32_t mark, FILE *out)
{
	const uint32_t marks[] = {mark, mark | NET_MARK_OTHERS};

	fprintf(out,
		" chain keep {\n"
		"  type filter hook postrouting priority mangle - 1;\n"
		"  meta mark & " MASK " == 0 accept\n"
		"  meta mark & " MASK " == " MASK " drop\n",
		NET_MARK_MASK, NET_MARK_MASK, NET_MARK_DENIED);
	for (int i = 0; i < 2; i++)
		fprintf(out,
			"  meta mark & " MASK " == " MASK
			" ct mark set ct mark & " MASK " | " MASK "\n"
			"  meta mark & " MASK " == " MASK
			" meta mark set meta mark & " MASK "\n",
			NET_MARK_MASK, marks[i], ~NET_MARK_MASK, marks[i],
			NET_MARK_MASK, marks[i], ~NET_MARK_MASK);
	fprintf(out, " }\n");
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
	uint32_t mark = net_queue_mark(policy_header(policy)->generation);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int r;

	if (!out)
		return -ENOMEM;
	/* Chains that are jumped to come before those that jump. */
	fprintf(out, "table inet " FIREWALL_TABLE "\n"
		     "delete table inet " FIREWALL_TABLE "\n"
		     "table inet " FIREWALL_TABLE " {\n");
	write_nft_chains(mark, out);
	write_nft_output(policy, mark, out);
	write_nft_keep(mark, out);
	write_nft_refuse(out);
	fprintf(out, "}\n");
	r = finish(out);
	if (r) {
		free(text);
		return r;
	}
	*ret = text;
	return 0;
}

static void write_judged(FILE *out, const char *chain)
{
	fprintf(out, "-A %s -j LEASH-JUDGE\n", chain);
}

static void write_xtables_output(const struct policy *policy, uint32_t mark,
				 FILE *out)
{
	const char *output = FIREWALL_CHAIN_OUTPUT;
	const uint32_t marks[] = {mark | NET_MARK_OTHERS, mark};

	/* First, because it ends here for all packets but the first of each. */
	for (int i = 0; i < 2; i++)
		fprintf(out,
			"-A %s -m connmark --mark " MASK "/" MASK
			" -m conntrack --ctdir ORIGINAL -j RETURN\n",
			output, marks[i], NET_MARK_MASK);
	for (uint32_t i = 0; i < policy->header->uids.count; i++) {
		const struct policy_uid_range *range = &policy->uids[i];

		fprintf(out,
			"-A %s -m owner --uid-owner %" PRIu32 "-%" PRIu32
			" -g %s\n",
			output, range->first, range->last,
			inbound_upper[inbound_of(policy, i)]);
	}
	fprintf(out,
		"-A %s -m connmark ! --mark 0/" MASK
		" -m connmark --mark 0/" MASK
		" -m conntrack --ctdir ORIGINAL -j NFQUEUE "
		"--queue-num %d\n"
		"-A %s -m conntrack --ctdir ORIGINAL -j CONNMARK "
		"--set-xmark " MASK "/" MASK "\n",
		output, NET_MARK_MASK, NET_MARK_OTHERS, NET_QUEUE_OUT, output,
		marks[0], NET_MARK_MASK);
}

static void write_xtables_chains(uint32_t mark, FILE *out)
{
	const char *deny = inbound_upper[POLICY_INBOUND_DENY];
	const char *loopback = inbound_upper[POLICY_INBOUND_LOOPBACK];
	const char *any = inbound_upper[POLICY_INBOUND_ANY];

	fprintf(out,
		"-A LEASH-JUDGE -m connmark --mark " MASK "/" MASK
		" -j RETURN\n"
		"-A LEASH-JUDGE -j NFQUEUE --queue-num %d\n",
		mark, NET_MARK_MASK, NET_QUEUE_OUT);
	fprintf(out,
		"-A %s -m conntrack --ctdir REPLY -j NFQUEUE "
		"--queue-num %d\n",
		deny, NET_QUEUE_IN);
	write_judged(out, deny);
	fprintf(out,
		"-A %s -o lo -m conntrack --ctdir REPLY -j RETURN\n"
		"-A %s -m conntrack --ctdir REPLY -j NFQUEUE --queue-num %d\n",
		loopback, loopback, NET_QUEUE_IN);
	write_judged(out, loopback);
	fprintf(out, "-A %s -m conntrack --ctdir REPLY -j RETURN\n", any);
	write_judged(out, any);
}

static void write_xtables_keep(FILE *out)
{
	const char *keep = FIREWALL_CHAIN_KEEP;

	fprintf(out,
		"-A %s -m mark --mark " MASK "/" MASK " -j DROP\n"
		"-A %s -j CONNMARK --save-mark --nfmask " MASK " --ctmask " MASK
		"\n"
		"-A %s -j MARK --set-xmark 0/" MASK "\n",
		keep, NET_MARK_DENIED, NET_MARK_MASK, keep, NET_MARK_MASK,
		NET_MARK_MASK, keep, NET_MARK_MASK);
}

static void write_xtables_refuse(bool is_ipv6, FILE *out)
{
	const char *refuse = FIREWALL_CHAIN_REFUSE;

	fprintf(out,
		"-A %s -p tcp -j REJECT --reject-with tcp-reset\n"
		"-A %s -j REJECT --reject-with %s\n",
		refuse, refuse,
		is_ipv6 ? "icmp6-adm-prohibited" : "icmp-admin-prohibited");
}

/* Naming a chain makes it, or empties it where it is. */
static void name_chains(FILE *out)
{
	fprintf(out, ":" FIREWALL_CHAIN_OUTPUT " - [0:0]\n"
		     ":" FIREWALL_CHAIN_KEEP " - [0:0]\n"
		     ":LEASH-JUDGE - [0:0]\n");
	for (int i = POLICY_INBOUND_DENY; i <= POLICY_INBOUND_ANY; i++)
		fprintf(out, ":%s - [0:0]\n", inbound_upper[i]);
}

int firewall_text_xtables(const struct policy *policy, bool is_ipv6,
			  const struct firewall_undo *undo, char **ret)
{
	uint32_t mark = net_queue_mark(policy_header(policy)->generation);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int r;

	if (!out)
		return -ENOMEM;
	/* What refuses is there before what judges. */
	fprintf(out, "*filter\n:" FIREWALL_CHAIN_REFUSE " - [0:0]\n");
	write_xtables_refuse(is_ipv6, out);
	fprintf(out,
		"%s-I OUTPUT 1 -m mark --mark " MASK "/" MASK
		" -j " FIREWALL_CHAIN_REFUSE "\nCOMMIT\n*mangle\n",
		undo->filter, NET_MARK_DENIED, NET_MARK_MASK);
	name_chains(out);
	write_xtables_output(policy, mark, out);
	write_xtables_chains(mark, out);
	write_xtables_keep(out);
	fprintf(out,
		"%s-I OUTPUT 1 -j " FIREWALL_CHAIN_OUTPUT "\n"
		"-I POSTROUTING 1 -m mark ! --mark 0/" MASK
		" -j " FIREWALL_CHAIN_KEEP "\nCOMMIT\n",
		undo->mangle, NET_MARK_MASK);
	r = finish(out);
	if (r) {
		free(text);
		return r;
	}
	*ret = text;
	return 0;
}

int firewall_text_xtables_removal(const struct firewall_undo *undo, char **ret)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int r;

	if (!out)
		return -ENOMEM;
	fprintf(out, "*mangle\n");
	name_chains(out);
	fputs(undo->mangle, out);
	fprintf(out, "-X " FIREWALL_CHAIN_OUTPUT "\n"
		     "-X " FIREWALL_CHAIN_KEEP "\n");
	for (int i = POLICY_INBOUND_DENY; i <= POLICY_INBOUND_ANY; i++)
		fprintf(out, "-X %s\n", inbound_upper[i]);
	fprintf(out, "-X LEASH-JUDGE\nCOMMIT\n"
		     "*filter\n:" FIREWALL_CHAIN_REFUSE " - [0:0]\n");
	fputs(undo->filter, out);
	fprintf(out, "-X " FIREWALL_CHAIN_REFUSE "\nCOMMIT\n");
	r = finish(out);
	if (r) {
		free(text);
		return r;
	}
	*ret = text;
	return 0;
}

/* "-A CHAIN ... -j LEASH-..." of a built-in chain, as a deletion. */
static int find_in(const char *text, char **ret)
{
	char *found = NULL;
	size_t size;
	FILE *out = open_memstream(&found, &size);
	int r;

	if (!out)
		return -ENOMEM;
	for (const char *line = text; *line;) {
		size_t length = strcspn(line, "\n");
		const char *jump = memmem(line, length, " -j LEASH-", 10);

		if (jump && !strncmp(line, "-A ", 3) &&
		    strncmp(line, "-A LEASH-", 9))
			fprintf(out, "-D%.*s\n", (int)(length - 2), line + 2);
		line += length + (line[length] == '\n');
	}
	r = finish(out);
	if (r)
		free(found);
	else
		*ret = found;
	return r;
}

int firewall_text_find_undo(const char *mangle, const char *filter,
			    struct firewall_undo *ret)
{
	CLEANUP_FREE char *one = NULL;
	CLEANUP_FREE char *other = NULL;
	int r = find_in(mangle, &one);

	if (!r)
		r = find_in(filter, &other);
	if (r)
		return r;
	ret->mangle = STEAL(one);
	ret->filter = STEAL(other);
	return 0;
}

void firewall_text_done_undo(struct firewall_undo *undo)
{
	undo->mangle = cleanup_free(undo->mangle);
	undo->filter = cleanup_free(undo->filter);
}
