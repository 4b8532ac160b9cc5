// SPDX-License-Identifier: GPL-2.0-only
/* Read the kernel's counts of the outcomes of a Rex program's runs. */
#include "answer.h"
#include "info.h"
#include "load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define PROGRAMS "/sys/kernel/debug/rex/progs"

/* The counts that the answer has; the file has others, too. */
static const char outcomes[] = "returned panicked faulted terminated overflowed refused disabled";

int add_outcomes(const struct program *program, uint32_t id, struct json *answer)
{
	char path[64], line[128], name[32], value[32];
	unsigned int found = 0;
	uint64_t count;
	FILE *file;
	int error;

	snprintf(path, sizeof(path), PROGRAMS "/%" PRIu32, id);
	file = fopen(path, "re");
	if (!file)
		return fail(answer, "stats", errno, "%s: %s: %s", program->name, path,
			    error_text(errno));
	json_open(answer, "outcomes", '{');
	while (fgets(line, sizeof(line), file)) {
		/* Skip lines that are no such count, for example the program's name. */
		if (sscanf(line, "%31s %31s", name, value) != 2 ||
		    !word_in_list(name, outcomes, ' ') || !parse_unsigned(value, &count))
			continue;
		json_unsigned(answer, name, count);
		found++;
	}
	json_close(answer, '}');
	error = ferror(file) ? EIO : found ? 0 : EPROTO;
	fclose(file);
	if (error)
		return fail(answer, "stats", error, "%s: %s has no outcomes", program->name, path);
	return 0;
}
