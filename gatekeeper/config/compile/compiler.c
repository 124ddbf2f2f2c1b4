#include "gatekeeper/config/compile/compiler.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct report_place compiler_place(const struct compiler *compiler,
				   const config_setting_t *setting)
{
	const char *file = config_setting_source_file(setting);

	/* By the name that it is to have (config_source.h). */
	if (file && compiler->source->replacement &&
	    !strcmp(file, compiler->source->replacement))
		file = compiler->source->replaced;
	return (struct report_place){
		.file = file		 ? file
			: compiler->file ? compiler->file->path
					 : compiler->source->path,
		.line = config_setting_source_line(setting),
		.key = config_setting_name(setting),
	};
}

void compiler_error(struct compiler *compiler, const config_setting_t *setting,
		    const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	report_error(compiler->report, compiler_place(compiler, setting), "%s",
		     text);
}

void compiler_note(struct compiler *compiler, const config_setting_t *setting,
		   const char *format, ...)
{
	char text[9216]; /* two paths and what is said of them */
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	report_note(compiler->report, compiler_place(compiler, setting), "%s",
		    text);
}
