#include "nfqueue/names/questions.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/hash.h"

#define SETS	256
#define WAYS	16
#define LATE_NS (15 * CLOCK_NS_PER_S) /* no resolver is worth more waiting */

struct questions {
	uint64_t seed;
	struct question sets[SETS][WAYS];
};

int questions_new(struct questions **ret)
{
	CLEANUP(questions_free)
	struct questions *questions = calloc(1, sizeof(*questions));

	if (!questions)
		return -ENOMEM;
	if (getrandom(&questions->seed, sizeof(questions->seed), 0) < 0)
		return -errno;
	*ret = STEAL(questions);
	return 0;
}

struct questions *questions_free(struct questions *questions)
{
	free(questions);
	return NULL;
}

static struct question *set_of(struct questions *questions,
			       const struct question *question)
{
	uint64_t hash = hash_bytes(
		hash_seed(questions->seed, question->source_port, question->id),
		question->name, strlen(question->name));

	return questions->sets[hash % SETS];
}

static bool is_same(const struct question *one, const struct question *other)
{
	return one->protocol == other->protocol && one->id == other->id &&
	       one->source_port == other->source_port &&
	       one->type == other->type && one->class == other->class &&
	       !memcmp(&one->source, &other->source, sizeof(one->source)) &&
	       !memcmp(&one->resolver, &other->resolver,
		       sizeof(one->resolver)) &&
	       !strcmp(one->name, other->name);
}

static struct question question_of(const struct packet *packet,
				   const struct dns_link_told *told)
{
	struct question question = {
		.protocol = packet->protocol,
		.source = packet->source,
		.resolver = packet->destination,
		.source_port = packet->source_port,
		.id = told->id,
		.type = told->type,
		.class = told->class,
	};

	memcpy(question.name, told->name, sizeof(question.name));
	question.name[sizeof(question.name) - 1] = '\0';
	return question;
}

void questions_add(struct questions *questions, uint32_t uid,
		   const struct packet *packet,
		   const struct dns_link_told *told, int64_t now_ns)
{
	struct question question = question_of(packet, told);
	struct question *set = set_of(questions, &question);
	struct question *slot = set;

	question.uid = uid;
	question.asked_ns = now_ns;
	question.times = 1;
	for (int i = 0; i < WAYS; i++) {
		if (set[i].asked_ns && is_same(&set[i], &question)) {
			slot = &set[i];
			if (slot->uid == uid &&
			    now_ns - slot->asked_ns < LATE_NS)
				question.times += slot->times;
			break;
		}
		if (set[i].asked_ns < slot->asked_ns)
			slot = &set[i];
	}
	*slot = question;
}

bool questions_take(struct questions *questions, const struct packet *packet,
		    const struct dns_link_told *told, int64_t now_ns,
		    uint32_t *ret_uid)
{
	struct question wanted = question_of(packet, told);
	struct question *set;

	wanted.source = packet->destination;
	wanted.resolver = packet->source;
	wanted.source_port = packet->destination_port;
	set = set_of(questions, &wanted);
	for (int i = 0; i < WAYS; i++) {
		if (!set[i].asked_ns || !is_same(&set[i], &wanted))
			continue;
		*ret_uid = set[i].uid;
		if (now_ns - set[i].asked_ns > LATE_NS) {
			set[i].asked_ns = 0;
			return false;
		}
		if (!--set[i].times)
			set[i].asked_ns = 0;
		return true;
	}
	return false;
}
