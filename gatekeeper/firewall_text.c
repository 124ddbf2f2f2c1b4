#include "gatekeeper/firewall_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

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
	fprintf(out, " chain output {\n"
		     "  type filter hook output priority mangle - 1;\n");
	for (uint32_t i = 0; i < policy->header->uids.count; i++) {
		const struct policy_uid_range *range = &policy->uids[i];

		fprintf(out, "  meta skuid %" PRIu32, range->first);
		if (range->last != range->first)
			fprintf(out, "-%" PRIu32, range->last);
		fprintf(out, " goto %s\n",
			inbound_chains[inbound_of(policy, i)]);
	}
	fprintf(out,
		"  ct mark & " MASK " == " MASK " accept\n"
		"  ct direction original ct mark & " MASK " != 0 queue num "
		"%d\n }\n",
		NET_MARK_MASK, mark, NET_MARK_MASK, NET_QUEUE_OUT);
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
	fprintf(out,
		" chain keep {\n"
		"  type filter hook postrouting priority mangle - 1;\n"
		"  meta mark & " MASK " == " MASK " drop\n"
		"  meta mark & " MASK " == " MASK " ct mark set ct mark & " MASK
		" | " MASK "\n"
		"  meta mark & " MASK " == " MASK
		" meta mark set meta mark & " MASK "\n }\n",
		NET_MARK_MASK, NET_MARK_DENIED, NET_MARK_MASK, mark,
		~NET_MARK_MASK, mark, NET_MARK_MASK, mark, ~NET_MARK_MASK);
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

static void write_jump(FILE *out, const char *from, const char *to,
		       unsigned int present)
{
	while (present--)
		fprintf(out, "-D %s -j %s\n", from, to);
	fprintf(out, "-I %s 1 -j %s\n", from, to);
}

static void write_judged(FILE *out, const char *chain)
{
	fprintf(out, "-A %s -j LEASH-JUDGE\n", chain);
}

static void write_xtables_output(const struct policy *policy, uint32_t mark,
				 FILE *out)
{
	const char *output = FIREWALL_CHAIN_OUTPUT;

	for (uint32_t i = 0; i < policy->header->uids.count; i++) {
		const struct policy_uid_range *range = &policy->uids[i];

		fprintf(out,
			"-A %s -m owner --uid-owner %" PRIu32 "-%" PRIu32
			" -g %s\n",
			output, range->first, range->last,
			inbound_upper[inbound_of(policy, i)]);
	}
	fprintf(out,
		"-A %s -m connmark --mark " MASK "/" MASK " -j RETURN\n"
		"-A %s -m conntrack --ctdir ORIGINAL -m connmark ! --mark "
		"0/" MASK " -j NFQUEUE --queue-num %d\n",
		output, mark, NET_MARK_MASK, output, NET_MARK_MASK,
		NET_QUEUE_OUT);
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

static void write_xtables_keep(uint32_t mark, FILE *out)
{
	const char *keep = FIREWALL_CHAIN_KEEP;

	fprintf(out,
		"-A %s -m mark --mark " MASK "/" MASK " -j DROP\n"
		"-A %s -m mark --mark " MASK "/" MASK " -j CONNMARK "
		"--set-xmark " MASK "/" MASK "\n"
		"-A %s -m mark --mark " MASK "/" MASK " -j MARK --set-xmark "
		"0/" MASK "\n",
		keep, NET_MARK_DENIED, NET_MARK_MASK, keep, mark, NET_MARK_MASK,
		mark, NET_MARK_MASK, keep, mark, NET_MARK_MASK, NET_MARK_MASK);
}

static void write_xtables_refuse(bool is_ipv6, FILE *out)
{
	const char *refuse = FIREWALL_CHAIN_REFUSE;

	fprintf(out,
		"-A %s -m mark ! --mark " MASK "/" MASK " -j RETURN\n"
		"-A %s -p tcp -j REJECT --reject-with tcp-reset\n"
		"-A %s -j REJECT --reject-with %s\n",
		refuse, NET_MARK_DENIED, NET_MARK_MASK, refuse, refuse,
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
			  struct firewall_jumps jumps, char **ret)
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
	write_jump(out, "OUTPUT", FIREWALL_CHAIN_REFUSE, jumps.refuse);
	fprintf(out, "COMMIT\n*mangle\n");
	name_chains(out);
	write_xtables_output(policy, mark, out);
	write_xtables_chains(mark, out);
	write_xtables_keep(mark, out);
	write_jump(out, "OUTPUT", FIREWALL_CHAIN_OUTPUT, jumps.output);
	write_jump(out, "POSTROUTING", FIREWALL_CHAIN_KEEP, jumps.keep);
	fprintf(out, "COMMIT\n");
	r = finish(out);
	if (r) {
		free(text);
		return r;
	}
	*ret = text;
	return 0;
}

int firewall_text_xtables_removal(struct firewall_jumps jumps, char **ret)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int r;

	if (!out)
		return -ENOMEM;
	fprintf(out, "*mangle\n");
	name_chains(out);
	while (jumps.output--)
		fprintf(out, "-D OUTPUT -j " FIREWALL_CHAIN_OUTPUT "\n");
	while (jumps.keep--)
		fprintf(out, "-D POSTROUTING -j " FIREWALL_CHAIN_KEEP "\n");
	fprintf(out, "-X " FIREWALL_CHAIN_OUTPUT "\n"
		     "-X " FIREWALL_CHAIN_KEEP "\n");
	for (int i = POLICY_INBOUND_DENY; i <= POLICY_INBOUND_ANY; i++)
		fprintf(out, "-X %s\n", inbound_upper[i]);
	fprintf(out, "-X LEASH-JUDGE\nCOMMIT\n"
		     "*filter\n:" FIREWALL_CHAIN_REFUSE " - [0:0]\n");
	while (jumps.refuse--)
		fprintf(out, "-D OUTPUT -j " FIREWALL_CHAIN_REFUSE "\n");
	fprintf(out, "-X " FIREWALL_CHAIN_REFUSE "\nCOMMIT\n");
	r = finish(out);
	if (r) {
		free(text);
		return r;
	}
	*ret = text;
	return 0;
}
