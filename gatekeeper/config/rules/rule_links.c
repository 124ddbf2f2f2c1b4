/*
 * What an account has pointed somewhere is no word of the administrator's,
 * and no mistake of his.  A rule that allows is not followed through it.  One
 * that denies holds where the link leads now, too, if that hurts nobody but
 * the account; and one for a program of known content follows it, since the
 * content is what it is about.
 *
 * These come last, after all that was written: where they contradict a rule
 * as written, that one stands.
 */

#include "gatekeeper/config/rules/rule_links.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/config/compile/leashed.h"
#include "gatekeeper/config/rules/digest.h"
#include "gatekeeper/config/rules/rule_path.h"
#include "gatekeeper/policy/decide.h"
#include "gatekeeper/policy/glob.h"

struct rule_link {
	const struct config_file *file;
	struct rule_entry entry;
	struct account_entry *account;
	char *path;   /* as written, owned */
	char *link;   /* on the way, owned */
	char *target; /* where it leads now, owned; NULL: nowhere */
	char *loop;  /* a link of the loop that it leads into, owned, or NULL */
	uid_t owner; /* of the link */
};

int rule_links_add(struct compiler *compiler, const struct rule_entry *entry,
		   struct account_entry *account, const char *path,
		   const struct resolved *resolved)
{
	struct rule_link *grown, *link;

	grown = realloc(compiler->links,
			(compiler->link_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	compiler->links = grown;
	link = &grown[compiler->link_count++];
	*link = (struct rule_link){
		.file = compiler->file,
		.entry = *entry,
		.account = account,
		.path = strdup(path),
		.link = strdup(resolved->link),
		.owner = resolved->link_owner,
	};
	return link->path && link->link ? 0 : -ENOMEM;
}

/* Another account's link is not asked: it would deny what it likes to. */
static bool may_follow(const struct compiler *compiler,
		       const struct rule_link *link)
{
	const struct rule_entry *entry = &link->entry;

	if (entry->wants_sha256)
		return true;
	return entry->spec.effect == POLICY_EFFECT_DENY &&
	       (!leashed_uid((void *)compiler, link->owner) ||
		leashed_is_own(compiler, link->account, link->owner));
}

static int add_target(struct compiler *compiler, struct rule_link *link,
		      const struct resolved *now)
{
	struct rule_entry *entry = &link->entry;
	struct policy_rule_spec *spec = &entry->spec;
	struct report_place place = compiler_place(compiler, entry->setting);
	struct policy_digest digest;
	struct policy_inode inode = {.inode = 0};
	const char *other;
	char origin[4200];
	int r;

	if (now->exists && S_ISREG(now->st.st_mode)) {
		inode.device = now->st.st_dev;
		inode.inode = now->st.st_ino;
	}
	spec->inode = NULL;
	if (entry->wants_sha256) {
		digest = digest_take(compiler, entry, link->account, now);
		spec->digest = &digest;
	} else if (inode.inode) {
		spec->inode = &inode;
	}
	snprintf(origin, sizeof(origin), "%s:%u", place.file, place.line);
	spec->path = now->path;
	spec->meta = entry->meta;
	spec->meta.origin = origin;
	r = policy_builder_rule(compiler->builder, spec, &other);
	return r == POLICY_BUILD_CONFLICT ? 0 : r;
}

static int settle(struct compiler *compiler, struct rule_link *link)
{
	struct resolved now;
	int r = rule_path_resolve_now(compiler, link->path, &now);

	if (r == RESOLVE_LOOP) {
		link->loop = strdup(now.link);
		return link->loop ? 0 : -ENOMEM;
	}
	if (r)
		return r < 0 ? r : 0;
	link->target = strdup(now.path);
	r = link->target ? 0 : -ENOMEM;
	if (!r && may_follow(compiler, link))
		r = add_target(compiler, link, &now);
	resolved_done(&now);
	return r;
}

int rule_links_settle(struct compiler *compiler)
{
	int r = 0;

	for (size_t i = 0; !r && i < compiler->link_count; i++) {
		compiler->file = compiler->links[i].file;
		r = settle(compiler, &compiler->links[i]);
	}
	return r;
}

/* Is what the link leads to allowed by a rule of its own? */
static bool is_allowed(const struct policy *policy,
		       const struct rule_link *link)
{
	const struct policy_rule_spec *spec = &link->entry.spec;
	bool program = spec->class == POLICY_CLASS_PROGRAMS;
	struct policy_question question = {
		.account = spec->account,
		.kind = program ? POLICY_KIND_EXEC : POLICY_KIND_OPEN,
		.access = program ? POLICY_ACCESS_EXEC
			  : spec->effect == POLICY_EFFECT_WRITE
				  ? POLICY_ACCESS_WRITE
				  : POLICY_ACCESS_READ,
		.path = link->target,
		.now_s = clock_realtime_ns() / CLOCK_NS_PER_S,
	};
	struct policy_answer answer;

	if (!link->target ||
	    glob_is_pattern(link->target, strlen(link->target)))
		return false;
	question.path_length = strlen(link->target);
	return !policy_decide(policy, &question, &answer) &&
	       answer.verdict == POLICY_ALLOW;
}

static void note(struct compiler *compiler, const struct policy *policy,
		 const struct rule_link *link)
{
	const struct rule_entry *entry = &link->entry;
	const char *target = link->target ? link->target : "nowhere";
	bool denies = entry->spec.effect == POLICY_EFFECT_DENY;

	if (link->loop)
		compiler_note(compiler, entry->setting,
			      "\"%s\" leads through %s, a symlink that an "
			      "account can change, into a loop of symlinks at "
			      "%s, and %s; remove that one, or have it lead "
			      "where it should",
			      entry->path, link->link, link->loop,
			      denies ? "what is denied is the path as written"
				     : "allows nothing");
	if (link->loop || entry->wants_sha256)
		return;
	if (denies)
		compiler_note(compiler, entry->setting,
			      "\"%s\" leads through %s, a symlink that an "
			      "account can change; denied is the path as "
			      "written%s (%s)",
			      entry->path, link->link,
			      may_follow(compiler, link) && link->target
				      ? ", and where it leads now"
				      : ", and not where it leads now",
			      target);
	else if (!is_allowed(policy, link))
		compiler_note(compiler, entry->setting,
			      "\"%s\" leads through %s, a symlink that an "
			      "account can change, and is not followed; to "
			      "allow where it leads now, write that (%s)",
			      entry->path, link->link, target);
}

int rule_links_note(struct compiler *compiler, int image)
{
	CLEANUP(policy_free) struct policy *policy = NULL;
	int r;

	if (!compiler->link_count)
		return 0;
	r = policy_map(image, &policy);
	if (r)
		return r < 0 ? r : -EINVAL;
	for (size_t i = 0; i < compiler->link_count; i++) {
		compiler->file = compiler->links[i].file;
		note(compiler, policy, &compiler->links[i]);
	}
	return 0;
}

void rule_links_free(struct compiler *compiler)
{
	for (size_t i = 0; i < compiler->link_count; i++) {
		free(compiler->links[i].path);
		free(compiler->links[i].link);
		free(compiler->links[i].target);
		free(compiler->links[i].loop);
	}
	free(compiler->links);
}
