/*
 * A path is walked once, component by component, with the set of trie nodes
 * that the part so far has reached.  Without patterns that set has one member
 * and the walk ends at the first component that no rule mentions; each `**`
 * adds a member that stays.  A rule applies where its node is reached, and so
 * to everything below.
 */

#include "gatekeeper/policy/decide.h"

#include <string.h>

#include "gatekeeper/policy/glob.h"
#include "gatekeeper/policy/image_format.h"

/* With more `**` patterns matching at once than this, the answer is deny. */
#define ACTIVE_MAX 256

struct match {
	uint32_t deny_pattern;
	uint32_t read_pattern;
	uint32_t write_pattern;
	/* These three are of the deepest folder on the way that has any. */
	uint32_t deny;
	uint32_t read;
	uint32_t write;
	bool overflow;
};

struct walk {
	const struct policy *policy;
	const struct policy_question *question;
	struct match *match;
	uint32_t count;
	uint32_t next_count;
	uint32_t *active;
	uint32_t *next;
};

/*
 * Of rules with the same effect, keep one that is logged before one that is
 * not, and then the first written.
 */
static void first_of(const struct policy *policy, uint32_t *slot, uint32_t rule)
{
	uint8_t quiet = policy->rules[rule].quiet;

	if (*slot == POLICY_NONE || quiet < policy->rules[*slot].quiet ||
	    (quiet == policy->rules[*slot].quiet && rule < *slot))
		*slot = rule;
}

/* Take in the rules of a node just reached. */
static void apply_rules(struct walk *walk, const struct policy_node *node)
{
	struct match *match = walk->match;
	bool deeper = true; /* the first plain rule here replaces all above */

	for (uint32_t i = node->rules; i != POLICY_NONE;
	     i = walk->policy->rules[i].next) {
		const struct policy_rule *rule = &walk->policy->rules[i];
		uint32_t *slot;

		if (!policy_rule_counts(walk->policy, i, walk->question->now_s,
					walk->question->passed))
			continue;
		if (!rule->is_pattern && deeper) {
			match->deny = match->read = match->write = POLICY_NONE;
			deeper = false;
		}
		switch ((enum policy_effect)rule->effect) {
		case POLICY_EFFECT_DENY:
			slot = rule->is_pattern ? &match->deny_pattern
						: &match->deny;
			break;
		case POLICY_EFFECT_READ:
			slot = rule->is_pattern ? &match->read_pattern
						: &match->read;
			break;
		case POLICY_EFFECT_WRITE:
		case POLICY_EFFECT_RUN:
			slot = rule->is_pattern ? &match->write_pattern
						: &match->write;
			break;
		case POLICY_EFFECT_CALL:
		case POLICY_EFFECT_REACH: /* none of these ask that */
		default:
			continue;
		}
		first_of(walk->policy, slot, i);
	}
}

static void stay(struct walk *walk, uint32_t node)
{
	for (uint32_t i = 0; i < walk->next_count; i++)
		if (walk->next[i] == node)
			return;
	if (walk->next_count == ACTIVE_MAX)
		walk->match->overflow = true;
	else
		walk->next[walk->next_count++] = node;
}

static void reach(struct walk *walk, uint32_t index)
{
	const struct policy_node *node = &walk->policy->nodes[index];

	apply_rules(walk, node);
	stay(walk, index);
	if (node->any_depth != POLICY_NONE)
		stay(walk, node->any_depth);
}

static void follow_edge(struct walk *walk, uint32_t from,
			enum policy_edge_kind kind, const char *bytes,
			size_t length)
{
	const struct policy_edge *edge =
		policy_edge_find(walk->policy, from, kind, bytes, length);

	if (edge)
		reach(walk, edge->to);
}

static void follow_affixes(struct walk *walk, uint32_t from, const char *name,
			   size_t length)
{
	const struct policy_node *node = &walk->policy->nodes[from];

	for (uint64_t bits = node->prefix_lengths; bits; bits &= bits - 1) {
		size_t n = (size_t)__builtin_ctzll(bits);

		if (n <= length)
			follow_edge(walk, from, POLICY_EDGE_PREFIX, name, n);
	}
	for (uint64_t bits = node->suffix_lengths; bits; bits &= bits - 1) {
		size_t n = (size_t)__builtin_ctzll(bits);

		if (n <= length)
			follow_edge(walk, from, POLICY_EDGE_SUFFIX,
				    name + length - n, n);
	}
}

static void step(struct walk *walk, const char *name, size_t length)
{
	const struct policy *policy = walk->policy;
	uint32_t *swap;

	walk->next_count = 0;
	for (uint32_t i = 0; i < walk->count; i++) {
		uint32_t from = walk->active[i];
		const struct policy_node *node = &policy->nodes[from];

		if (node->flags & POLICY_NODE_ANY_DEPTH)
			stay(walk, from);
		follow_edge(walk, from, POLICY_EDGE_NAME, name, length);
		follow_affixes(walk, from, name, length);
		for (uint32_t g = node->globs; g != POLICY_NONE;
		     g = policy->globs[g].next) {
			struct policy_text pattern = policy->globs[g].pattern;

			if (glob_match(policy_text(policy, pattern),
				       pattern.length, name, length))
				reach(walk, policy->globs[g].to);
		}
	}
	swap = walk->active;
	walk->active = walk->next;
	walk->next = swap;
	walk->count = walk->next_count;
}

static void find(const struct policy *policy,
		 const struct policy_question *question, uint32_t root,
		 struct match *ret)
{
	uint32_t sets[2][ACTIVE_MAX];
	struct walk walk = {
		.policy = policy,
		.question = question,
		.match = ret,
		.active = sets[1],
		.next = sets[0],
	};
	const char *at = question->path;
	const char *end = at + question->path_length;

	memset(ret, 0xff, offsetof(struct match, overflow));
	ret->overflow = false;

	reach(&walk, root);
	walk.active = sets[0];
	walk.next = sets[1];
	walk.count = walk.next_count;
	while (walk.count && at < end) {
		const char *slash;

		if (*at == '/') {
			at++;
			continue;
		}
		slash = memchr(at, '/', (size_t)(end - at));
		if (!slash)
			slash = end;
		step(&walk, at, (size_t)(slash - at));
		at = slash;
	}
}

static struct policy_answer by_rule(const struct policy *policy,
				    enum policy_verdict verdict,
				    enum policy_reason reason, uint32_t rule)
{
	return (struct policy_answer){
		.verdict = verdict,
		.reason = reason,
		.rule = rule,
		.log = !(verdict == POLICY_ALLOW && rule != POLICY_NONE &&
			 policy->rules[rule].quiet),
	};
}

static struct policy_answer allow(const struct policy *policy, uint32_t rule)
{
	return by_rule(policy, POLICY_ALLOW, POLICY_REASON_RULE, rule);
}

static struct policy_answer deny(const struct policy *policy,
				 enum policy_reason reason, uint32_t rule)
{
	return by_rule(policy, POLICY_DENY, reason, rule);
}

/* Judge one way of opening by what the files' trie has found. */
static struct policy_answer judge_file(const struct policy *policy,
				       const struct policy_account *account,
				       const struct match *match, bool writing)
{
	if (match->overflow)
		return deny(policy, POLICY_REASON_TOO_COMPLEX, POLICY_NONE);
	if (match->deny_pattern != POLICY_NONE)
		return deny(policy, POLICY_REASON_RULE, match->deny_pattern);
	if (match->deny != POLICY_NONE)
		return deny(policy, POLICY_REASON_RULE, match->deny);
	if (match->write != POLICY_NONE)
		return allow(policy, match->write);
	if (match->read != POLICY_NONE)
		return writing ? deny(policy, POLICY_REASON_READ_ONLY,
				      match->read)
			       : allow(policy, match->read);
	if (match->write_pattern != POLICY_NONE)
		return allow(policy, match->write_pattern);
	if (match->read_pattern != POLICY_NONE)
		return writing ? deny(policy, POLICY_REASON_READ_ONLY,
				      match->read_pattern)
			       : allow(policy, match->read_pattern);
	return by_rule(policy, (enum policy_verdict)account->files_default,
		       POLICY_REASON_DEFAULT, POLICY_NONE);
}

/* The rule that denies this very file (by inode), whatever its name here. */
static uint32_t find_inode(const struct policy *policy,
			   const struct policy_question *question)
{
	uint32_t low = 0, high = policy->header->inodes.count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct policy_inode *inode = &policy->inodes[middle];
		bool before;

		if (inode->device != question->device)
			before = inode->device < question->device;
		else if (inode->inode != question->inode)
			before = inode->inode < question->inode;
		else if (inode->account != question->account)
			before = inode->account < question->account;
		else
			return inode->rule;
		if (before)
			low = middle + 1;
		else
			high = middle;
	}
	return POLICY_NONE;
}

static bool inode_denied(const struct policy *policy,
			 const struct policy_question *question,
			 struct policy_answer *ret)
{
	uint32_t rule = policy->header->inodes.count
				? find_inode(policy, question)
				: POLICY_NONE;

	if (rule == POLICY_NONE ||
	    !policy_rule_counts(policy, rule, question->now_s,
				question->passed))
		return false;
	*ret = deny(policy, POLICY_REASON_INODE, rule);
	return true;
}

static bool content_is(const struct policy *policy, uint32_t rule,
		       const struct policy_question *question)
{
	uint32_t index = policy->rules[rule].digest;
	const struct policy_digest *digest;

	if (index == POLICY_NONE)
		return true;
	digest = &policy->digests[index];
	return digest->device == question->device &&
	       digest->inode == question->inode &&
	       digest->size == question->size &&
	       digest->changed_ns == question->changed_ns;
}

/* May the program at this path be run, as far as `programs` goes? */
static struct policy_answer
judge_program(const struct policy *policy,
	      const struct policy_question *question)
{
	const struct policy_account *account =
		&policy->accounts[question->account];
	struct match match;
	uint32_t rule;

	find(policy, question, account->programs, &match);
	if (match.overflow)
		return deny(policy, POLICY_REASON_TOO_COMPLEX, POLICY_NONE);
	if (match.deny_pattern != POLICY_NONE)
		return deny(policy, POLICY_REASON_RULE, match.deny_pattern);
	if (match.deny != POLICY_NONE)
		return deny(policy, POLICY_REASON_RULE, match.deny);
	rule = match.write != POLICY_NONE ? match.write : match.write_pattern;
	if (rule == POLICY_NONE)
		return by_rule(policy,
			       (enum policy_verdict)account->programs_default,
			       POLICY_REASON_DEFAULT, POLICY_NONE);
	if (!content_is(policy, rule, question))
		return deny(policy, POLICY_REASON_CONTENT, rule);
	return allow(policy, rule);
}

/* A file that `files` denies by a rule may not be run either. */
static bool files_forbid(const struct policy_answer *reading)
{
	return reading->verdict == POLICY_DENY &&
	       reading->reason != POLICY_REASON_DEFAULT;
}

static struct policy_answer decide_exec(const struct policy *policy,
					const struct policy_question *question,
					const struct policy_answer *reading)
{
	struct policy_answer answer = judge_program(policy, question);

	if (answer.verdict == POLICY_DENY &&
	    answer.reason == POLICY_REASON_DEFAULT &&
	    (question->facts & POLICY_FACT_INTERPRETER))
		answer = by_rule(policy, POLICY_ALLOW,
				 POLICY_REASON_INTERPRETER, POLICY_NONE);
	if (answer.verdict == POLICY_ALLOW && files_forbid(reading))
		answer = *reading;
	return answer;
}

/*
 * An open is reading, writing, or the kernel's own on behalf of exec.  Most
 * questions have the same answer for all three; only the others are worth
 * the cost of finding out.
 */
static int decide_open(const struct policy *policy,
		       const struct policy_question *question,
		       const struct match *match, struct policy_answer *ret)
{
	const struct policy_account *account =
		&policy->accounts[question->account];
	struct policy_answer reading, writing, running;

	reading = judge_file(policy, account, match, false);
	if (question->kind == POLICY_KIND_LIST ||
	    question->access == POLICY_ACCESS_READ || files_forbid(&reading)) {
		*ret = reading;
		return 0;
	}
	writing = judge_file(policy, account, match, true);
	if (question->access == POLICY_ACCESS_WRITE) {
		*ret = writing;
		return 0;
	}
	if (reading.verdict == POLICY_ALLOW) {
		/*
		 * What may be read may be opened by the kernel for an exec,
		 * too: that exec was a question of its own, and allowed.
		 */
		if (question->access == POLICY_ACCESS_UNKNOWN &&
		    writing.verdict != POLICY_ALLOW)
			return POLICY_NEED_ACCESS;
		*ret = reading;
		return 0;
	}
	running = judge_program(policy, question);
	if (question->access == POLICY_ACCESS_UNKNOWN &&
	    running.verdict == POLICY_ALLOW)
		return POLICY_NEED_ACCESS;
	*ret = question->access == POLICY_ACCESS_EXEC ? running : reading;
	return 0;
}

static bool unknown(const struct policy *policy, uint32_t facts,
		    struct policy_answer *ret)
{
	enum policy_reason reason;

	if (facts & POLICY_FACT_UNKNOWN_PATH)
		reason = POLICY_REASON_UNKNOWN_PATH;
	else if (facts & POLICY_FACT_FOREIGN_MOUNT)
		reason = POLICY_REASON_FOREIGN_MOUNT;
	else if (facts & POLICY_FACT_DELETED)
		reason = POLICY_REASON_DELETED;
	else
		return false;
	*ret = deny(policy, reason, POLICY_NONE);
	return true;
}

static int decide(const struct policy *policy,
		  const struct policy_question *question,
		  struct policy_answer *ret)
{
	const struct policy_account *account =
		&policy->accounts[question->account];
	struct policy_answer program;
	struct match match;
	int r;

	if (unknown(policy, question->facts, ret) ||
	    inode_denied(policy, question, ret))
		return 0;

	find(policy, question, account->files, &match);
	if (question->kind == POLICY_KIND_EXEC) {
		struct policy_answer reading =
			judge_file(policy, account, &match, false);

		*ret = decide_exec(policy, question, &reading);
		return 0;
	}

	r = decide_open(policy, question, &match, ret);
	if (r || ret->verdict != POLICY_ALLOW ||
	    !(question->facts & POLICY_FACT_BY_LOADER))
		return r;
	program = judge_program(policy, question);
	if (program.verdict != POLICY_ALLOW)
		*ret = deny(policy, POLICY_REASON_LOADER, program.rule);
	return 0;
}

void policy_observe(const struct policy *policy, uint32_t account,
		    struct policy_answer *answer)
{
	if (answer->verdict == POLICY_DENY &&
	    (policy_is_observed(policy, account) ||
	     (answer->rule != POLICY_NONE &&
	      policy->rules[answer->rule].observe)))
		answer->verdict = POLICY_OBSERVE;
}

int policy_decide(const struct policy *policy,
		  const struct policy_question *question,
		  struct policy_answer *ret)
{
	struct policy_answer answer;
	int r = decide(policy, question, &answer);

	if (r)
		return r;
	policy_observe(policy, question->account, &answer);
	/*
	 * Where denials are only observed, rules are learned from them (leash
	 * learn), so it is worth finding out how the file is opened.
	 */
	if (answer.verdict == POLICY_OBSERVE &&
	    question->kind == POLICY_KIND_OPEN &&
	    question->access == POLICY_ACCESS_UNKNOWN)
		return POLICY_NEED_ACCESS;
	*ret = answer;
	return 0;
}
