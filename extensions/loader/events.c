// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attach through perf events: kprobes, tracepoints and samples
 * ("software/NAME@HERTZ" or "hardware/NAME@HERTZ"; an emulated CPU has no
 * hardware events). The link keeps the event, so the event's own descriptor can be closed.
 */
#include "attach.h"
#include "cpus.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KPROBES "/sys/bus/event_source/devices/kprobe/"

/* Read the number after a prefix in a file. Returns 0 or -errno. */
static int number_in(const char *path, const char *prefix, uint64_t *number)
{
	FILE *file = fopen(path, "re");
	size_t length = strlen(prefix);
	char text[64], *line;

	if (!file)
		return -errno;
	line = fgets(text, sizeof(text), file);
	fclose(file);
	if (!line)
		return -EIO;
	text[strcspn(text, "\n")] = '\0';
	return !strncmp(text, prefix, length) && parse_unsigned(text + length, number) ? 0 : -EIO;
}

static int attach_event(struct attachment *attachment, int program,
			struct perf_event_attr *attributes, int cpu)
{
	int event = (int)syscall(SYS_perf_event_open, attributes, -1, cpu, -1,
				 PERF_FLAG_FD_CLOEXEC);
	int error;

	if (event < 0)
		return -errno;
	error = keep_link(attachment, bpf_link_create(program, event, BPF_PERF_EVENT, NULL));
	close(event);
	return error;
}

int attach_kprobe(struct attachment *attachment, int program, const char *place, bool at_return)
{
	struct perf_event_attr attributes = { .size = sizeof(attributes) };
	uint64_t type, return_bit, offset = 0;
	char *symbol, *plus;
	int error = number_in(KPROBES "type", "", &type);

	if (!error)
		error = number_in(KPROBES "format/retprobe", "config:", &return_bit);
	if (error)
		return error;
	symbol = strdup(place);
	if (!symbol)
		return -ENOMEM;
	plus = strchr(symbol, '+');
	if (plus) {
		*plus = '\0';
		if (!parse_unsigned(plus + 1, &offset))
			error = -EINVAL;
	}
	attributes.type = (uint32_t)type;
	attributes.config = (uint64_t)at_return << return_bit;
	attributes.kprobe_func = (uintptr_t)symbol;
	attributes.probe_offset = offset;
	/* A probe fires on all CPUs, whichever CPU its event is opened on. */
	if (!error)
		error = attach_event(attachment, program, &attributes, 0);
	free(symbol);
	return error;
}

int attach_tracepoint(struct attachment *attachment, int program, const char *place)
{
	static const char *const folders[] = { "/sys/kernel/tracing",
					       "/sys/kernel/debug/tracing" };
	struct perf_event_attr attributes = { .size = sizeof(attributes),
					      .type = PERF_TYPE_TRACEPOINT };
	const char *slash = strchr(place, '/');
	int error = -ENOENT;
	char path[512];
	uint64_t id;
	size_t i;

	/* It must be CATEGORY/NAME, not a longer path. */
	if (!slash || strchr(slash + 1, '/'))
		return -EINVAL;
	for (i = 0; error == -ENOENT && i < sizeof(folders) / sizeof(folders[0]); i++) {
		if ((size_t)snprintf(path, sizeof(path), "%s/events/%s/id", folders[i], place) >=
		    sizeof(path))
			return -ENAMETOOLONG;
		error = number_in(path, "", &id);
	}
	if (error)
		return error;
	attributes.config = id;
	return attach_event(attachment, program, &attributes, 0);
}

static const struct {
	const char *name;
	uint32_t type;
	uint64_t config;
} events[] = {
	{ "software/cpu-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK },
	{ "software/task-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK },
	{ "software/page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS },
	{ "software/context-switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES },
	{ "software/cpu-migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS },
	{ "hardware/cpu-cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES },
	{ "hardware/instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS },
};

static int parse_event(const char *event, struct perf_event_attr *attributes)
{
	size_t length = strcspn(event, "@"), i;
	uint64_t frequency = 100;

	if (event[length] && (!parse_unsigned(event + length + 1, &frequency) || !frequency))
		return -EINVAL;
	for (i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (strlen(events[i].name) != length || memcmp(events[i].name, event, length))
			continue;
		memset(attributes, 0, sizeof(*attributes));
		attributes->size = sizeof(*attributes);
		attributes->type = events[i].type;
		attributes->config = events[i].config;
		attributes->freq = 1;
		attributes->sample_freq = frequency;
		return 0;
	}
	return -EINVAL;
}

int attach_perf(struct attachment *attachment, int program, const char *event, int cpu)
{
	struct perf_event_attr attributes;
	int cpus[MAX_CPUS], count = 1, i;
	int error = parse_event(event, &attributes);

	if (error)
		return error;
	cpus[0] = cpu;
	if (cpu < 0)
		count = cpus_online(cpus, MAX_CPUS);
	if (count < 0)
		return count;
	for (i = 0; i < count && !error; i++)
		error = attach_event(attachment, program, &attributes, cpus[i]);
	return error; /* the caller closes the links created so far */
}
