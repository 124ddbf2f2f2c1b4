/*
 * golden - say what a configuration means, for comparison with what it should
 *
 *   golden PROFILES check CONF        mistakes and findings, as gatekeeper says
 *                                     them
 *   golden PROFILES decide CONF       answers questions from standard input:
 *                                     read|write|list|exec|any PATH
 *   golden PROFILES rules CONF        the firewall rules, for nft and for
 *                                     iptables-restore over older ones
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/config/config.h"
#include "gatekeeper/config/findings.h"
#include "gatekeeper/net/firewall_text.h"
#include "gatekeeper/policy/decide.h"
#include "gatekeeper/policy/decide_flow.h"
#include "gatekeeper/policy/decide_host.h"

static struct policy_question parse(char *line)
{
	char *path = strchr(line, ' ');
	struct policy_question question = {.kind = POLICY_KIND_OPEN};

	*path++ = '\0';
	path[strcspn(path, "\n")] = '\0';
	question.path = path;
	question.path_length = strlen(path);
	if (!strcmp(line, "read"))
		question.access = POLICY_ACCESS_READ;
	else if (!strcmp(line, "write"))
		question.access = POLICY_ACCESS_WRITE;
	else if (!strcmp(line, "list"))
		question.kind = POLICY_KIND_LIST;
	else if (!strcmp(line, "exec"))
		question.kind = POLICY_KIND_EXEC;
	question.now_s = 1700000000;
	return question;
}

/* "NAME:PORT": may it be asked for, and then reached over TCP? */
static void answer_host(const struct policy *policy, char *text)
{
	char name[HOST_NAME_SIZE], *colon = strchr(text, ':');
	const char *names[] = {name};
	struct policy_flow flow = {
		.kind = POLICY_KIND_CONNECT,
		.understood = true,
		.program_known = true,
		.protocol = POLICY_PROTOCOL_TCP,
		.address = {{[10] = 0xff, [11] = 0xff, 192, 0, 2, 1}},
		.names = names,
		.name_count = 1,
		.now_s = 1700000000,
	};
	struct policy_answer question, found;

	text[strcspn(text, "\n")] = '\0';
	flow.port = (uint16_t)atoi(colon + 1);
	if (host_name_read(text, (size_t)(colon - text), name)) {
		printf("host %s: odd\n", text);
		return;
	}
	policy_decide_question(policy, 0, name, flow.now_s, &question);
	if (policy_decide_flow(policy, &flow, &found) < 0)
		return;
	printf("host %s: question %s, connection %s\n", text,
	       policy_verdict_word(question.verdict),
	       policy_verdict_word(found.verdict));
}

static void answer(const struct policy *policy,
		   const struct policy_question *question, const char *word)
{
	struct policy_answer answer;

	printf("%s %s: ", word, question->path);
	if (policy_decide(policy, question, &answer)) {
		puts("depends on how it is opened");
		return;
	}
	printf("%s, %s", policy_verdict_word(answer.verdict),
	       policy_reason_text(answer.reason, answer.verdict));
	if (answer.rule != POLICY_NONE)
		printf(" (%s)",
		       policy_text(policy,
				   policy_rule(policy, answer.rule)->name));
	puts(answer.log ? "" : ", not logged");
}

static int print_rules(const struct policy *policy)
{
	static const char mangle[] = "*mangle\n"
				     ":OUTPUT ACCEPT [0:0]\n"
				     ":LEASH-ACCOUNT-0 - [0:0]\n"
				     ":LEASH-ACCOUNT-7 - [0:0]\n"
				     "-A OUTPUT -p tcp -j ACCEPT\n"
				     "-A OUTPUT -j LEASH-OUTPUT\n"
				     "-A LEASH-ACCOUNT-0 -j RETURN\n"
				     "COMMIT\n";
	struct firewall_tables found = {{NULL, NULL}, {NULL, NULL}};
	char *texts[3] = {NULL, NULL, NULL};
	int r = firewall_text_find(mangle, &found.mangle);

	if (!r)
		r = firewall_text_find("*filter\nCOMMIT\n", &found.filter);
	if (!r)
		r = firewall_text_nft(policy, &texts[0]);
	if (!r)
		r = firewall_text_xtables(policy, true, &found, &texts[1]);
	if (!r)
		r = firewall_text_xtables_removal(&found, &texts[2]);
	for (int i = 0; i < 3; i++) {
		if (texts[i])
			puts(texts[i]);
		free(texts[i]);
	}
	firewall_text_found_done(&found.mangle);
	firewall_text_found_done(&found.filter);
	return r ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct report report = {.out = stdout};
	CLEANUP(policy_free) struct policy *policy = NULL;
	CLEANUP(fd_close) int fd = -1;
	char line[8192];
	int r;

	if (argc != 4)
		return 2;
	r = config_compile(&(struct config_source){.path = argv[3],
						   .profiles_dir = argv[1]},
			   1, &report, &fd);
	if (!r)
		r = policy_map(fd, &policy);
	if (!r && !strcmp(argv[2], "check"))
		r = findings_report(
			policy, &(struct findings_scope){.profiles = argv[1]},
			&report);
	if (r || !strcmp(argv[2], "check")) {
		printf("%s, %d mistake(s), %d note(s)\n",
		       r ? "wrong" : "correct", report.errors, report.notes);
		return 0;
	}
	if (!strcmp(argv[2], "rules"))
		return print_rules(policy);
	while (fgets(line, sizeof(line), stdin)) {
		struct policy_question question;

		if (!strchr(line, ' '))
			continue;
		if (!strncmp(line, "host ", 5)) {
			answer_host(policy, line + 5);
			continue;
		}
		question = parse(line);
		answer(policy, &question, line);
	}
	return 0;
}
