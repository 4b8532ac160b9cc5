/* SPDX-License-Identifier: GPL-2.0-only */
/* Every answer is one JSON object that begins with "ok". */
#ifndef KEXT_ANSWER_H
#define KEXT_ANSWER_H

#include "json.h"

/* Begin an `"ok":true` answer; fields may follow. */
void answer_ok(struct json *answer);

/*
 * Discard the answer and begin an `"ok":false` one; fields may follow.
 * `error` is an errno, negative or positive. Returns -1, for `return fail(...)`.
 */
int fail(struct json *answer, const char *stage, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Close the object and write it to standard output; 0 or -errno. */
int answer_send(struct json *answer);

#endif
