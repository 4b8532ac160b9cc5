/* SPDX-License-Identifier: GPL-2.0-only */
/* Load C objects and Rex images, and find out why a load failed. */
#ifndef KEXT_LOAD_H
#define KEXT_LOAD_H

#include "handle.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * load.c, rex_load.c: open and load the handle's file. Returns 0 with the log in the
 * answer, or -1 with a bad answer begun.
 */
int load_object(struct handle *handle, const struct command *command, struct json *answer);
int load_image(struct handle *handle, const struct command *command, struct json *answer);
/* rex_image.c: true if the file's content (not its name) is a Rex image. */
bool is_image(const char *path);
/* sections.c: fill in the programs and maps of a C object. Returns 0 or -ENOMEM. */
int list_object(struct handle *handle, const char *targets);
/* rex_stats.c: add the outcomes of a Rex program's runs. Returns 0, or -1 with a bad answer begun. */
int add_outcomes(const struct program *program, uint32_t id, struct json *answer);

/* One program's share of the verifier's log. */
struct verifier_log {
	char *text; /* mmapped, so that pages which the kernel does not write cost nothing */
	size_t size;
};

/* failure.c: the point at which a load failed. */
struct failure {
	const char *stage; /* btf, map, relocate, permission, verify or load */
	const struct bpf_program *program; /* NULL: none of the object's programs was tried */
	const char *log; /* of that program; "" if the kernel wrote none */
	int error; /* errno */
};
/* Analyze a failed `bpf_object__load` that returned `error`; `logs` has one log per program. */
void find_failure(struct failure *failure, struct bpf_object *object,
		  const struct verifier_log *logs, int error);
/* Begin a bad answer. */
void report_failure_to_load(const struct failure *failure, const char *path, struct json *answer);
/* True if a log (at the level that prints no trace) has more than statistics. */
bool has_complaint(const char *log);

#endif
