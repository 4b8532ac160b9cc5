/* SPDX-License-Identifier: GPL-2.0-only */
/* The commands of kextload; each returns its exit status. */
#ifndef KEXT_KEXTLOAD_H
#define KEXT_KEXTLOAD_H

int do_command(int count, char **words); /* the command that `words[1]` names */
int serve(void);
int bpf_objects(void);
int inventory(void);
int alive(char **words);
int park(void);
int watch_for_host(char **words);
int kernel_log(char **words);
int peek(char **words);

#endif
