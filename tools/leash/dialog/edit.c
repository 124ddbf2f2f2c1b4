#include "tools/leash/dialog/edit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gatekeeper/base/escape.h"
#include "tools/lib/complaint.h"
#include "tools/lib/control_client.h"

/* A line of a file, its blanks as they are, and of the rest what is unshowable
 * by its number: an account may have named what is in it. */
static void print_line(const char *line, size_t length)
{
	for (size_t i = 0; i < length;) {
		size_t n = line[i] == '\t'
				   ? 1
				   : escape_printable(line + i, length - i);

		if (n)
			fwrite(line + i, 1, n, stdout);
		else
			printf("\\x%02x", (unsigned char)line[i]);
		i += n ? n : 1;
	}
}

/* After a dry run its caller says what to type. */
static int print_done(const struct control_client_reply *reply, bool dry_run)
{
	const char *diff = fields_get(&reply->fields, "diff");
	const char *change = fields_get(&reply->fields, "change");
	const char *generation = fields_get(&reply->fields, "generation");
	const char *notes = fields_get(&reply->fields, "notes");
	bool colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");

	while (diff && *diff) {
		size_t length = strcspn(diff, "\n");
		const char *paint = diff[0] == '+'   ? "\033[32m"
				    : diff[0] == '-' ? "\033[31m"
						     : "";

		fputs(colour ? paint : "", stdout);
		print_line(diff, length);
		puts(colour && *paint ? "\033[0m" : "");
		diff += length + (diff[length] == '\n');
	}
	if (notes)
		fputs(notes, stdout);
	if (dry_run)
		return EXIT_DONE;
	if (generation && change)
		printf("change %s, live as generation %s\n", change,
		       generation);
	else if (generation)
		printf("live as generation %s\n", generation);
	return EXIT_DONE;
}

/* What was done, and before it what the command itself has found out. */
static int print_object(const struct control_client_reply *reply,
			const struct edit_options *options)
{
	static const struct json_list none[] = {{.key = NULL}};
	static const char *const numbers[] = {"change", "generation", "seq",
					      "uses", NULL};
	struct fields all = {NULL, 0, 0, false};

	if (options->found)
		fields_copy(&all, options->found);
	fields_copy(&all, &reply->fields);
	json_output_print(&all, options->lists ? options->lists : none,
			  numbers);
	fields_free(&all);
	return EXIT_DONE;
}

int edit_ask(enum control_what what, const struct fields *request,
	     const struct edit_options *options)
{
	struct control_client_reply reply;
	int r = control_client_ask(what, request, &reply);

	if (r)
		return r;
	if (reply.what == CONTROL_DONE) {
		r = options->json ? print_object(&reply, options)
				  : print_done(&reply, options->dry_run);
	} else {
		control_client_complain(&reply);
		r = EXIT_ERROR;
	}
	control_client_free(&reply);
	return r;
}
