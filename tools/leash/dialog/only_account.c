#include "tools/leash/dialog/only_account.h"

#include <stdio.h>
#include <string.h>

#include "tools/lib/complaint.h"
#include "tools/lib/control_client.h"

int only_account(char *ret, size_t size)
{
	struct fields request = {NULL, 0, 0, false};
	struct fields_cursor cursor = {0};
	struct control_client_reply reply;
	size_t count = 0;

	if (control_client_ask(CONTROL_ASK_STATUS, &request, &reply))
		return EXIT_ERROR;
	while (fields_next(&reply.fields, &cursor))
		if (fields_is(&cursor, "account") && !count++)
			snprintf(ret, size, "%.*s",
				 (int)strcspn(cursor.value, " "), cursor.value);
	if (reply.what != CONTROL_DONE)
		control_client_complain(&reply);
	else if (count != 1)
		complaint_print(
			count ? "several accounts are leashed; name one by "
				"--account"
			      : "no account is leashed");
	control_client_free(&reply);
	return count == 1 ? EXIT_DONE : EXIT_ERROR;
}
