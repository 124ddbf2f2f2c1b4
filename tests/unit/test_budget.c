/* What accounts may take of the tool gate, whose turn it is, and its clock. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "toolcall/budget.h"
#include "gatekeeper/base/effort.h"

#define MS INT64_C(1000000)

static struct budget *begin(void)
{
	struct budget *budget = NULL;

	assert_int_equal(budget_new(&budget), 0);
	return budget;
}

static void bounds_connections(void **state)
{
	CLEANUP(budget_free) struct budget *budget = begin();

	(void)state;
	for (int i = 0; i < BUDGET_CONNECTIONS; i++)
		assert_int_equal(budget_connect(budget, 1), 0);
	assert_int_equal(budget_connect(budget, 1), BUDGET_FULL);
	assert_int_equal(budget_connect(budget, 2), 0);
	budget_disconnect(budget, 1);
	assert_int_equal(budget_connect(budget, 1), 0);
	assert_int_equal(budget_connect(budget, 1), BUDGET_FULL);
}

static void bounds_connections_of_all(void **state)
{
	CLEANUP(budget_free) struct budget *budget = begin();
	uint32_t account = 0;

	(void)state;
	for (int i = 0; i < BUDGET_CONNECTIONS_ALL; i++)
		assert_int_equal(budget_connect(budget, account++ % 100), 0);
	assert_int_equal(budget_connect(budget, 1000), BUDGET_FULL);
	budget_disconnect(budget, 7);
	assert_int_equal(budget_connect(budget, 1000), 0);
}

static void bounds_bytes(void **state)
{
	CLEANUP(budget_free) struct budget *budget = begin();

	(void)state;
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(budget_connect(budget, i), 0);
	assert_int_equal(budget_take(budget, 0, BUDGET_BYTES), 0);
	assert_int_equal(budget_take(budget, 0, 1), BUDGET_FULL);
	assert_int_equal(budget_take(budget, 0, SIZE_MAX), BUDGET_FULL);
	assert_int_equal(budget_bytes(budget, 0), BUDGET_BYTES);
	for (uint32_t i = 1; i < 4; i++)
		assert_int_equal(budget_take(budget, i, BUDGET_BYTES), 0);
	/* Its own would suffice; that of all does not. */
	assert_int_equal(budget_take(budget, 4, 1), BUDGET_FULL);
	budget_give_back(budget, 0, 100);
	assert_int_equal(budget_take(budget, 4, 100), 0);
	assert_int_equal(budget_bytes_all(budget), BUDGET_BYTES_ALL);
}

/* A turn that takes so long, by a clock that only runs meanwhile. */
static int64_t now_ns;

static uint32_t turn(struct budget *budget, int64_t taken_ns)
{
	uint32_t account = UINT32_MAX;

	assert_true(budget_next(budget, now_ns, &account));
	now_ns += taken_ns;
	budget_served(budget, account, taken_ns, now_ns);
	return account;
}

/* An account that asks for little is next, however much others ask for. */
static void serves_who_has_taken_least(void **state)
{
	CLEANUP(budget_free) struct budget *budget = begin();
	uint32_t none;

	(void)state;
	for (uint32_t i = 1; i <= 4; i++)
		assert_int_equal(budget_connect(budget, i), 0);
	assert_false(budget_next(budget, now_ns, &none));
	for (int i = 0; i < 10; i++) { /* three that cost much */
		for (uint32_t j = 1; j <= 3; j++)
			budget_wait(budget, j);
		(void)turn(budget, 500 * MS);
	}
	for (int i = 0; i < 20; i++) {
		for (uint32_t j = 1; j <= 4; j++)
			budget_wait(budget, j);
		assert_int_equal(turn(budget, MS), 4);
	}
}

/* Time is shared by what was taken, not by how often one asks. */
static void shares_time(void **state)
{
	CLEANUP(budget_free) struct budget *budget = begin();
	int64_t taken[2] = {0, 0};

	(void)state;
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(budget_connect(budget, i), 0);
	for (int i = 0; i < 1000; i++) {
		for (uint32_t j = 0; j < 2; j++)
			budget_wait(budget, j);
		if (turn(budget, i % 2 ? 100 * MS : 10 * MS))
			taken[1] += i % 2 ? 100 * MS : 10 * MS;
		else
			taken[0] += i % 2 ? 100 * MS : 10 * MS;
	}
	assert_in_range(taken[0] * 10, taken[1] * 9, taken[1] * 11);
}

/* Who has done nothing for long has saved nothing up. */
static void saves_nothing_up(void **state)
{
	CLEANUP(budget_free) struct budget *budget = begin();
	int of_first = 0;

	(void)state;
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(budget_connect(budget, i), 0);
	for (int i = 0; i < 1000; i++) {
		budget_wait(budget, 1);
		(void)turn(budget, 100 * MS);
	}
	for (int i = 0; i < 100; i++) {
		budget_wait(budget, 0);
		budget_wait(budget, 1);
		of_first += turn(budget, 100 * MS) == 0;
	}
	assert_in_range(of_first, 50, 60);
}

/* Nor is what was taken forgotten by hanging up. */
static void remembers_who_hung_up(void **state)
{
	CLEANUP(budget_free) struct budget *budget = begin();

	(void)state;
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(budget_connect(budget, i), 0);
	budget_wait(budget, 0);
	assert_int_equal(turn(budget, 500 * MS), 0);
	budget_disconnect(budget, 0);
	assert_int_equal(budget_connect(budget, 0), 0);
	for (int i = 0; i < 4; i++) {
		budget_wait(budget, 0);
		budget_wait(budget, 1);
		assert_int_equal(turn(budget, 50 * MS), 1);
	}
}

/* Accounts that come and go do not fill it. */
static void has_room_for_who_comes(void **state)
{
	CLEANUP(budget_free) struct budget *budget = begin();

	(void)state;
	assert_int_equal(budget_connect(budget, 0), 0);
	for (uint32_t i = 1; i < 5 * BUDGET_ACCOUNTS_MAX; i++) {
		assert_int_equal(budget_connect(budget, i), 0);
		budget_wait(budget, i);
		assert_int_equal(turn(budget, MS), i);
		budget_disconnect(budget, i);
	}
	budget_wait(budget, 0);
	assert_int_equal(turn(budget, MS), 0);
}

static void efforts_end(void **state)
{
	struct effort effort;
	unsigned int steps = 0;

	(void)state;
	assert_false(effort_is_spent(NULL));
	effort_begin(&effort, 0);
	for (int i = 0; i < 1000; i++)
		assert_false(effort_is_spent(&effort));
	effort_begin(&effort, MS);
	while (!effort_is_spent(&effort) && steps < 1u << 30)
		steps++;
	assert_true(steps > 0 && steps < 1u << 30);
	assert_true(effort_is_spent(&effort) && effort_is_spent_now(&effort));
	assert_true(effort_taken_ns(&effort) >= MS);
	effort_begin(&effort, 1000 * MS);
	assert_false(effort_is_spent_now(&effort));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_connections),
		cmocka_unit_test(bounds_connections_of_all),
		cmocka_unit_test(bounds_bytes),
		cmocka_unit_test(serves_who_has_taken_least),
		cmocka_unit_test(shares_time),
		cmocka_unit_test(saves_nothing_up),
		cmocka_unit_test(remembers_who_hung_up),
		cmocka_unit_test(has_room_for_who_comes),
		cmocka_unit_test(efforts_end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
