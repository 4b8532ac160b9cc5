/* SPDX-License-Identifier: GPL-2.0-only */
/* What `kexttrigger` can do; each returns how often it was done. */
#ifndef KEXT_TRIGGER_H
#define KEXT_TRIGGER_H

#include "command.h"
#include "json.h"

#include <stdint.h>

/* The whole command, without its name; its exit status. */
int trigger_main(char **words);

/* -1 with a bad answer begun if it could not be done. */
int64_t trigger_syscall(const char *name, uint64_t times, struct json *answer);
int64_t trigger_pagefault(uint64_t times, struct json *answer);
int64_t trigger_spin(uint64_t milliseconds);
int64_t trigger_packets(const struct command *command, uint64_t times, struct json *answer);

#endif
