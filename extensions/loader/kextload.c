// SPDX-License-Identifier: GPL-2.0-only
/*
 * kextload: loads, attaches, runs and lists BPF programs inside a guest.
 *
 * Called by its other names it makes them run (kexttrigger), or reads for the host's
 * oracles (kextwitness). It is one file, as each would carry a C library into every guest.
 */
#include "answer.h"
#include "loader.h"
#include "trigger.h"

#include <errno.h>
#include <string.h>

static int version(void)
{
	struct json answer = { 0 };

	answer_ok(&answer);
	json_string(&answer, "program", "kextload");
	json_unsigned(&answer, "protocol", 1);
	json_string(&answer, "libbpf", libbpf_version_string() + 1);
	answer_send(&answer);
	json_free(&answer);
	return 0;
}

static int usage(void)
{
	struct json answer = { 0 };

	fail(&answer, "command", EINVAL,
	     "usage: kextload serve | ledger | inventory | alive NONCE [TIMEOUT_MS] | "
	     "log WORD NUMBER|- PATH... | park | peek LENGTH ADDRESS... | version");
	answer_send(&answer);
	json_free(&answer);
	return 2;
}

int do_command(int count, char **words)
{
	if (count == 2 && !strcmp(words[1], "serve"))
		return serve();
	if (count == 2 && !strcmp(words[1], "ledger"))
		return ledger();
	if (count == 2 && !strcmp(words[1], "inventory"))
		return inventory();
	if (count >= 2 && !strcmp(words[1], "alive"))
		return alive(words + 2);
	if (count >= 2 && !strcmp(words[1], "log"))
		return kernel_log(words + 2);
	if (count == 2 && !strcmp(words[1], "park"))
		return park();
	if (count >= 2 && !strcmp(words[1], "peek"))
		return peek(words + 2);
	if (count == 2 && !strcmp(words[1], "version"))
		return version();
	return usage();
}

int main(int count, char **words)
{
	if (count && !strcmp(basename(words[0]), "kexttrigger"))
		return trigger_main(words + 1);
	if (count && !strcmp(basename(words[0]), "kextwitness"))
		return watch_for_host(words + 1);
	return do_command(count, words);
}
