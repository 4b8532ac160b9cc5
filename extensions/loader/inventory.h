/* SPDX-License-Identifier: GPL-2.0-only */
/* The inventory: the kernel's named objects, read as the lines on standard input request. */
#ifndef KEXT_INVENTORY_H
#define KEXT_INVENTORY_H

#include "command.h"
#include "json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One line of the host's, one object in the answer's list `sources`. Each
 * function adds the fields of its object; `absent` says why one can't be read.
 */
typedef void (*inventory_source)(const struct command *command, struct json *answer);

/* The process takes one inventory and ends: it is not part of the result. */
extern bool inventory_is_passing;

/* Say why a source can't be read: `what`: text of `error` (0: only `what`). */
void source_absent(struct json *answer, const char *what, int error);

/* walk.c: a folder and those below it, by name. */
void source_tree(const struct command *command, struct json *answer);
/* tasks.c: kernel threads and processes. */
void source_tasks(const struct command *command, struct json *answer);
/* kcore.c: lists in the kernel's memory that no file shows. */
void source_chain(const struct command *command, struct json *answer);
void source_ring(const struct command *command, struct json *answer);
void source_resources(const struct command *command, struct json *answer);
void source_array(const struct command *command, struct json *answer);
void source_references(const struct command *command, struct json *answer);
void source_counter(const struct command *command, struct json *answer);
void source_probes(const struct command *command, struct json *answer);

/* ledger.c: the arrays of BPF objects; 0, or -1 with a bad answer begun. */
int add_ledger(struct json *answer);

#endif
