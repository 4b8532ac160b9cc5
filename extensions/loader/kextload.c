// SPDX-License-Identifier: GPL-2.0-only
/*
 * kextload: load, attach, run and list BPF programs inside a guest.
 *
 * Under its other names it triggers them (kexttrigger), or reads for the host's oracles
 * (kextwitness). It is one file, because each program would carry its own C library into
 * every guest.
 */
#include "answer.h"
#include "kextload.h"
#include "trigger.h"

#include <bpf/libbpf.h>
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
	     "usage: kextload serve | bpf-objects | inventory | alive NONCE [TIMEOUT_MS] | "
	     "log WORD NUMBER|- PATH... | park | peek LENGTH ADDRESS... | version");
	answer_send(&answer);
	json_free(&answer);
	return 2;
}

int do_command(int count, char **words)
{
	if (count == 2 && !strcmp(words[1], "serve"))
		return serve();
	if (count == 2 && !strcmp(words[1], "bpf-objects"))
		return bpf_objects();
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
