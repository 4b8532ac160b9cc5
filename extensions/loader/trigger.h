/* SPDX-License-Identifier: GPL-2.0-only */
/* The actions of `kexttrigger`; each returns how often it was done. */
#ifndef KEXT_TRIGGER_H
#define KEXT_TRIGGER_H

#include "command.h"
#include "json.h"

#include <stdint.h>

/* Run the command whose arguments are `words`; returns its exit status. */
int trigger_main(char **words);

/* These return -1 with a bad answer begun if the action failed. */
int64_t trigger_syscall(const char *name, uint64_t times, struct json *answer);
int64_t trigger_pagefault(uint64_t times, struct json *answer);
int64_t trigger_spin(uint64_t milliseconds);
int64_t trigger_packets(const struct command *command, uint64_t times, struct json *answer);

#endif
