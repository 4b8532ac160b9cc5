/* SPDX-License-Identifier: GPL-2.0-only */
/* The inventory: named objects of the kernel, as requested by lines on standard input. */
#ifndef KEXT_INVENTORY_H
#define KEXT_INVENTORY_H

#include "command.h"
#include "json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Each line of the host is a source, which adds one object to the answer's list
 * `sources`. A function adds the fields of this object. The field `absent` says why
 * a source can't be read, or was read only in part.
 */
typedef void (*inventory_source)(const struct command *command, struct json *answer);

/* True if the process takes one inventory and ends: it is then left out of the result. */
extern bool inventory_is_passing;

/* Add the reason why a source can't be read: "WHAT: text of ERROR", or "WHAT" if it is 0. */
void source_absent(struct json *answer, const char *what, int error);

/* walk.c: the files in a folder and below it, by name. */
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

/* bpf_objects.c: add the arrays of BPF objects. Returns 0, or -1 with a bad answer begun. */
int add_bpf_objects(struct json *answer);

#endif
